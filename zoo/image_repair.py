"""Remove metadata from image files, because it may be damaged or larger than Pillow allows."""

import struct
import zlib

JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"  # how the files begin


def without_metadata(content: bytes) -> bytes:
    """Return a JPEG or PNG file without metadata that may be damaged; other files unchanged."""
    if content.startswith(JPEG):
        return _without_exif(content)
    return _without_texts(content) if content.startswith(PNG) else content


def _without_exif(jpeg: bytes) -> bytes:
    """Return a JPEG file without its APP1 segments (EXIF and XMP)."""
    kept, place = [jpeg[:2]], 2
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF and jpeg[place + 1] not in (0xDA, 0xFF):
        end = place + 2 + struct.unpack(">H", jpeg[place + 2 : place + 4])[0]
        if jpeg[place + 1] != 0xE1:
            kept.append(jpeg[place:end])
        place = end
    return b"".join([*kept, jpeg[place:]])


def _without_texts(png: bytes) -> bytes:
    """Return a PNG file without texts, color profile and damaged ancillary chunks.

    The names of ancillary chunks begin with a lower-case letter. A damaged chunk has a wrong
    checksum.
    """
    kept, place = [png[:8]], 8
    while place + 12 <= len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4], "big")
        kind, chunk = png[place + 4 : place + 8], png[place:end]
        wrong = zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big")
        if not (kind in (b"tEXt", b"zTXt", b"iTXt", b"iCCP") or (wrong and kind[:1].islower())):
            kept.append(chunk)
        place = end
    return b"".join(kept)
