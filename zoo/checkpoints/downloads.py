"""Download files once into a cache, with resume and hash checks."""

import hashlib
import http.client
import logging
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import BinaryIO

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from zoo.files import cache_dir, digest, one_line

if os.name == "posix":
    import fcntl

log = logging.getLogger(__name__)

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte
TRIES = 3
LARGEST = 4 << 30  # bytes; the largest file of weights in the catalog has 0.6 GB
SPARE = 1 << 24  # bytes of the disk that a download leaves free


def cached(url: str) -> Path:
    """Return the path in the cache for a URL. It differs for files of the same name elsewhere."""
    name = urllib.parse.unquote(urllib.parse.urlsplit(url).path).split("/")[-1]
    return cache_dir() / f"{hashlib.sha256(url.encode()).hexdigest()[:8]}-{name}"


def fetch(url: str, expected: str = "") -> Path:
    """Return the cached file of a URL. Download it if it is not there.

    An interrupted download is resumed if the server still has the same file. A file that was
    changed in the cache is downloaded again.

    Args:
        url: the address of the file.
        expected: "sha256:" or "md5:" and at least the first hexadecimal digits; "" if no hash is
            known. The hash of the first download is then stored next to the file and compared.

    Raises:
        ValueError: there is no connection, the server returns an error, or the file is truncated,
            too large, or has another hash. Such a file is not kept.
    """
    target = cached(url)
    directory = target.parent
    noted = target.with_name(f"{target.name}.sha256")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not expected and noted.is_file():
            expected = noted.read_text().strip()
        if target.is_file() and not _wrong(target, expected):
            return target
        with target.with_name(f"{target.name}.part").open("ab") as part:
            _lock(part)
            if target.is_file():
                if not _wrong(target, expected):  # another process was first
                    _remove(Path(part.name))
                    return target
                log.warning("%s was changed in the cache; downloading it again", target)
                target.unlink()
            _download(url, Path(part.name), part, expected)
            if not expected:
                noted.write_text(f"sha256:{digest(Path(part.name))}")
            os.replace(part.name, target)
            _remove(_tag(Path(part.name)))
    except OSError as error:
        raise ValueError(f"cannot download {url} to {directory}: {one_line(error, 200)}") from error
    return target


def _lock(file: BinaryIO) -> None:
    """Wait until no other process downloads the same file."""
    if os.name == "posix":
        fcntl.flock(file, fcntl.LOCK_EX)


def _download(url: str, path: Path, part: BinaryIO, expected: str) -> None:
    """Download the rest of a URL to `part`, which may contain its beginning, and check the hash."""
    wrong = "the server cannot resume the download"
    for attempt in range(1, TRIES + 1):
        resumed = part.seek(0, os.SEEK_END) > 0
        try:
            _receive(url, path, part)
        except urllib.error.HTTPError as error:
            if error.code == 416 and resumed:  # the part is longer than the server's file
                _restart(part)
                continue
            _discard(path, part)
            raise ValueError(f"cannot download {url}: {error.code} {error.reason}") from error
        except TooLarge as error:
            _discard(path, part)
            raise ValueError(f"cannot download {url}: {error}") from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, OSError) as error:
            if attempt < TRIES and part.tell() > 0:
                continue
            if part.tell() == 0:
                _discard(path, part)
            failed = f"cannot download {url}: {one_line(getattr(error, 'reason', error), 200)}"
            advice = (
                "the part received so far is kept, and the next call resumes there"
                if part.tell()
                else "check the internet connection, or pass weights=FILE with a local file"
            )
            raise ValueError(f"{failed}; {advice}") from error
        part.flush()
        os.fsync(part.fileno())
        if not (wrong := _wrong(path, expected)):
            return
        if not resumed:
            break
        _restart(part)
    _discard(path, part)
    raise ValueError(
        f"cannot download {url}: the file is not the expected one, and was removed: {wrong}"
    )


def _receive(url: str, path: Path, part: BinaryIO) -> None:
    """Append the missing rest of a URL to `part`.

    Raises:
        OSError: the connection ended too early.
        TooLarge: the file is too large.
    """
    have, tag = part.seek(0, os.SEEK_END), _tag(path)
    headers = {"User-Agent": "convnet-zoo", "Accept-Encoding": "identity"}
    if have and tag.is_file():
        # The server sends the whole file if it is no longer the one whose beginning we have.
        headers |= {"Range": f"bytes={have}-", "If-Range": tag.read_text()}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as reply:
        if have and reply.status != 206:
            _restart(part)
            have = 0
        tagged = reply.headers.get("ETag") or reply.headers.get("Last-Modified")
        if tagged and not tagged.startswith("W/"):
            tag.write_text(tagged)
        else:
            tag.unlink(missing_ok=True)
        length = reply.headers.get("Content-Length")
        total = have + int(length) if length else None
        _check_size(have if total is None else total, have, path)
        with _progress(path.stem, total, have) as advance:
            while chunk := reply.read(CHUNK):
                # Without a Content-Length, a server can send without end.
                _check_size(part.tell() + len(chunk), part.tell(), path)
                part.write(chunk)
                advance(len(chunk))
        part.flush()
        if total is not None and part.tell() < total:
            raise OSError(f"the connection ended after {part.tell():,} of {total:,} bytes")


class TooLarge(ValueError):  # noqa: N818 - it names what was received
    """A download that is larger than any file of weights, or than the disk allows."""


def _check_size(total: int, have: int, path: Path) -> None:
    """Check that a download of `total` bytes may continue, of which `have` are on the disk.

    Raises:
        TooLarge: it may not.
    """
    if total > LARGEST:
        raise TooLarge(
            f"the server sends more than {LARGEST:,} bytes, which no file of weights has; check the"
            " address, or pass weights=FILE with a local file"
        )
    free = shutil.disk_usage(path.parent).free
    if total - have > free - SPARE:
        raise TooLarge(
            f"it needs {total - have:,} more bytes, but only {free:,} are free in {path.parent};"
            " free some space, or set CONVNET_ZOO_CACHE to another disk"
        )


class _progress:  # noqa: N801
    """A progress bar on standard error; `with _progress(...) as advance: advance(n)`.

    Nothing is shown if standard error is not a terminal.
    """

    def __init__(self, name: str, total: int | None, done: int):
        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
        self.bar = Progress(*columns, TransferSpeedColumn(), transient=True)
        self.bar.console.stderr = True
        self.task = self.bar.add_task(name, total=total, completed=done)

    def __enter__(self):
        if self.bar.console.is_terminal:
            self.bar.start()
        return lambda n: self.bar.advance(self.task, n)

    def __exit__(self, *_):
        self.bar.stop()


def _wrong(path: Path, expected: str) -> str:
    """Describe the difference of a file's hash; "" if there is none."""
    kind, _, digits = expected.partition(":")
    if not digits:
        return ""
    found = digest(path, kind)
    return "" if found.startswith(digits) else f"its {kind} is {found}, expected {digits}"


def _restart(part: BinaryIO) -> None:
    part.seek(0)
    part.truncate()


def _discard(path: Path, part: BinaryIO) -> None:
    _restart(part)
    _remove(path)
    _remove(_tag(path))


def _tag(path: Path) -> Path:
    """Return the path of the server's tag (ETag) for the file whose download began."""
    return path.with_name(f"{path.name}.etag")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
