"""Image files without metadata, which may be damaged or larger than Pillow allows."""

import struct
import zlib

JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"  # how the files begin


def without_metadata(content: bytes) -> bytes:
    """A JPEG or PNG file without what may be damaged in it and makes no pixels; others as given."""
    if content.startswith(JPEG):
        return _without_exif(content)
    return _without_texts(content) if content.startswith(PNG) else content


def _without_exif(jpeg: bytes) -> bytes:
    """A JPEG file without its APP1 segments (EXIF and XMP)."""
    kept, place = [jpeg[:2]], 2
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF and jpeg[place + 1] not in (0xDA, 0xFF):
        end = place + 2 + struct.unpack(">H", jpeg[place + 2 : place + 4])[0]
        if jpeg[place + 1] != 0xE1:
            kept.append(jpeg[place:end])
        place = end
    return b"".join([*kept, jpeg[place:]])


def _without_texts(png: bytes) -> bytes:
    """A PNG file without its texts and color profile, and without ancillary chunks whose checksum
    is wrong (their names begin with a lower-case letter)."""
    kept, place = [png[:8]], 8
    while place + 12 <= len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4], "big")
        kind, chunk = png[place + 4 : place + 8], png[place:end]
        wrong = zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big")
        if not (kind in (b"tEXt", b"zTXt", b"iTXt", b"iCCP") or (wrong and kind[:1].islower())):
            kept.append(chunk)
        place = end
    return b"".join(kept)
