"""Check the image files of a folder, and remember the results in the cache.

The header of each file is read when the folder is opened. Its pixels are checked when they are
first needed: a file that cannot be decoded is then known as bad, and a file that TensorFlow does
not decode correctly, or not without warnings, is copied.
"""

from __future__ import annotations

import atexit
import hashlib
import math
import re
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from recipes.data import check_cache
from recipes.data.check_cache import UNKNOWN
from recipes.data.file_lists import Files
from recipes.data.image_copies import in_threads, make_copy, size_and_time
from recipes.data.image_headers import COPY, header
from recipes.data.progress import progress
from zoo.image_reading import UnreadableImage
from zoo.lazy import tensorflow as tf
from zoo.quiet import held_back

TOGETHER = 512  # files decoded between two checks for libjpeg warnings
HEADERS = 128  # files whose headers one thread reads together
THREADS = 16  # threads that read headers, most of which wait for a network disk
SAVE_AFTER = 60.0  # seconds between two updates of the cache while a network is trained
MIXED = 255  # the code of a size that has no number of its own
WARNING = re.compile(r"Corrupt JPEG data|Premature end of JPEG|Invalid (SOS|JPEG)|Warning: ")
_LOCK = threading.RLock()  # stderr is held back for the whole process
_SIZES = threading.Lock()


class Checks:
    """What is known of image files, by their numbers in a list.

    Attributes:
        files: the files.
        channels: the number of channels with which they are read.
        keys: a digest of path, size and time of each file, uint64.
        turns: how TensorFlow reads each file: an EXIF orientation from 1 to 8, or COPY, uint8.
        codes: a number for the size of each image, uint8: 0 if unknown, or MIXED.
        sizes: the height and width for each code from 1.
        verified: whether the pixels of a file are known to be readable.
        bad: the reason for each file that cannot be read.
        temporary: those of them that may be readable next time.
        formats: the number of files of each format among the headers that were just read.
        extremes: the smallest and the largest of their sizes; None if there are none.
        copied: the sizes in bytes of the copies that were just made.
    """

    def __init__(self, files: Files, channels: int, place: Path, known: bool = True):
        """Read what the cache knows of the files.

        Args:
            files: the files.
            channels: the number of channels with which they are read.
            place: the file of the cache.
            known: whether to read it.
        """
        count = len(files)
        self.files, self.channels, self.place = files, channels, place
        self.keys = _keys(files)
        self.turns = np.full(count, UNKNOWN, np.uint8)
        self.codes = np.zeros(count, np.uint8)
        self.verified = np.zeros(count, bool)
        self.sizes: list[tuple[int, int]] = []
        self.bad: dict[int, str] = {}
        self.temporary: set[int] = set()
        self.formats: Counter[str] = Counter()
        self.extremes: tuple[tuple[int, int], tuple[int, int]] | None = None
        self.copied: list[int] = []
        self.changed, self.saved = False, time.monotonic()
        if known:
            check_cache.load(self)
        # A command that ends in less than SAVE_AFTER keeps what it has found, too.
        atexit.register(_save_at_exit, weakref.ref(self))

    def read_headers(self) -> None:
        """Read the headers of the files that are not known, and whole files if that is needed."""
        todo = np.flatnonzero(self.turns == UNKNOWN)
        todo = todo[~np.isin(todo, [*self.bad])]
        whole: list[int] = []

        def read(numbers: np.ndarray) -> list[int]:
            """Read the headers of some files; return those that need to be read whole."""
            unknown = []
            for i in numbers.tolist():
                if (each := header(self.files.paths[i], self.channels)) is None:
                    unknown.append(i)
                    continue
                self.turns[i] = each.turn
                with _SIZES:
                    self.codes[i] = self._note((each.height, each.width))
                    self.formats[each.format] += 1
            return unknown

        try:
            with progress("reading image headers", len(todo)) as advance:
                for start in range(0, len(todo), THREADS * HEADERS):
                    some = todo[start : start + THREADS * HEADERS]
                    parts = [some[i : i + HEADERS] for i in range(0, len(some), HEADERS)]
                    for unknown in in_threads(read, parts, THREADS):
                        whole += unknown
                    self.changed = True
                    advance(len(some))
            self.verify_all(whole, "reading unusual images")
            self.formats["other"] += len([i for i in whole if i not in self.bad])
            self.formats += Counter()  # remove zeros
        finally:
            self.save()

    def verify_all(self, numbers: Iterable[int], what: str = "reading images") -> None:
        """Check the pixels of files, with a progress bar, and save the result."""
        every = np.fromiter(numbers, np.int64)
        todo = every[~self.verified[every]] if len(every) else every
        try:
            with progress(what, len(todo)) as advance:
                for start in range(0, len(todo), TOGETHER):
                    some = todo[start : start + TOGETHER]
                    self.verify(some)
                    advance(len(some))
        finally:
            if len(todo):
                self.save()

    def verify(self, numbers: np.ndarray) -> bool:
        """Check the pixels of files that have not been checked; return whether any is bad."""
        if self.verified[numbers].all():
            return False
        with _LOCK:
            todo = [i for i in {*numbers.tolist()} if not self.verified[i] and i not in self.bad]
            if not todo:
                return True
            known = len(self.bad)
            plain = [i for i in todo if self.turns[i] not in (COPY, UNKNOWN)]
            good = {*self._decoded(plain)}
            for i in good:
                self.verified[i] = True
            others = [i for i in todo if i not in good]
            for i, reason in zip(others, in_threads(self._copied, others), strict=True):
                if reason is None:
                    self.verified[i], self.turns[i] = True, COPY
                else:
                    self.bad[i] = reason.reason
                    if reason.temporary:
                        self.temporary.add(i)
            self.changed = True
            if len(self.bad) > known or time.monotonic() - self.saved > SAVE_AFTER:
                self.save()
        return any(i in self.bad for i in numbers.tolist())

    def source(self, number: int) -> bytes:
        """Return the path that TensorFlow decodes: that of the file, or of its copy."""
        if self.turns[number] != COPY:
            return self.files.paths.encoded(number)
        return bytes(make_copy(self.files.paths[number], self.channels, self.copied)[0])

    def save(self) -> None:
        """Write what is known to the cache, unless it has not changed."""
        with _LOCK:
            if self.changed:
                check_cache.save(self)
            self.changed, self.saved = False, time.monotonic()

    def _copied(self, number: int) -> UnreadableImage | None:
        """Copy a file; return an error if it cannot be read."""
        path = self.files.paths[number]
        try:
            _, size = make_copy(path, self.channels, self.copied)
        except UnreadableImage as error:
            return error
        with _SIZES:
            code = self._note(size)
        if self.codes[number] not in (0, code):
            height, width = size
            return UnreadableImage(path, f"its pixels ({height}x{width}) differ from its header")
        self.codes[number] = code
        return None

    def _note(self, size: tuple[int, int]) -> int:
        """Note the size of an image; return its code."""
        first, last = self.extremes or (size, size)
        self.extremes = min(first, size, key=math.prod), max(last, size, key=math.prod)
        return self.code(size)

    def code(self, size: tuple[int, int]) -> int:
        if size not in self.sizes:
            if len(self.sizes) == MIXED - 1:
                return MIXED
            self.sizes.append(size)
        return self.sizes.index(size) + 1

    def _decoded(self, numbers: list[int]) -> list[int]:
        """Return those files that TensorFlow decodes without libjpeg warnings.

        libjpeg writes its warnings to stderr each time a file is decoded, that is in every epoch.
        """
        if not numbers:
            return []
        with held_back(WARNING) as warned:
            good = list(in_threads(self._decodes, numbers))
        found = [i for i, each in zip(numbers, good, strict=True) if each]
        if not warned:
            return found
        quiet = []
        for number in found:
            with held_back(WARNING) as warned:
                good_again = self._decodes(number)
            if good_again and not warned:
                quiet.append(number)
        return quiet

    def _decodes(self, number: int) -> bool:
        try:
            data = Path(self.files.paths[number]).read_bytes()
            with tf.device("CPU"):
                if data.startswith(b"\xff\xd8\xff"):
                    # All data are decoded, but only an eighth of the pixels is computed.
                    tf.io.decode_jpeg(data, channels=3, ratio=8)
                else:
                    tf.io.decode_png(data, channels=4 if self.channels == 4 else 3)
        except (OSError, tf.errors.OpError):
            return False
        return True


def _keys(files: Files) -> np.ndarray:
    """Return digests of the path below the root, the size and the time of each file."""
    found = np.empty(len(files), np.uint64)
    for i in range(len(files)):
        size, changed = size_and_time(files.paths.encoded(i))
        text = b"%d %d %b" % (size, changed, files.paths.below_root(i))
        found[i] = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
    return found


def _save_at_exit(checks: Callable[[], Checks | None]) -> None:
    if (found := checks()) is not None:
        found.save()
