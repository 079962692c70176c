"""Check the image files of a data set once, and decide how TensorFlow reads each of them.

TensorFlow decodes 8-bit JPEG files, and upright 8-bit PNG files, from their own bytes; of a JPEG
only the part that an op crops. The pixels are the same as those of `zoo.image_reading`
(tests/recipes/test_image_files.py). Every other file is replaced by a copy of its pixels, which
image_copies.py makes.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from recipes.augment import decode_image
from recipes.data.image_copies import VERSION, digest, in_threads, make_copies, size_and_time
from recipes.data.types import write_cached
from zoo.files import cache_dir
from zoo.image_reading import opened, orientation
from zoo.lazy import tensorflow as tf
from zoo.quiet import held_back

TOGETHER = 512  # files decoded between two checks for libjpeg warnings
WARNING = re.compile(r"Corrupt JPEG data|Premature end of JPEG|Invalid (SOS|JPEG)|Warning: ")
# PNG chunks that may contain an EXIF orientation, anywhere in the file.
_TURNING = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")


@dataclass(frozen=True)
class Files:
    """Image files, ordered by class and name.

    Attributes:
        paths: the paths of the files.
        labels: the class numbers of the files.
        names: the paths relative to the folders of their classes.
    """

    paths: tuple[str, ...]
    labels: tuple[int, ...]
    names: tuple[str, ...]

    def only(self, indices: list[int]) -> Files:
        return Files(
            tuple(self.paths[i] for i in indices),
            tuple(self.labels[i] for i in indices),
            tuple(self.names[i] for i in indices),
        )


@dataclass(frozen=True)
class Checked:
    """The result of checking image files.

    Attributes:
        files: the files that can be read.
        sources: the paths that TensorFlow decodes: the files themselves, or copies in the cache.
        turns: the EXIF orientations of the sources; 1 except for rotated JPEG files.
        bad: the reason for each path that cannot be read.
        fingerprint: a text that changes when a file is added, removed or changed.
        size: height and width of all images; None if they differ.
        copied: the sizes in bytes of the copies that were just made.
    """

    files: Files
    sources: list[bytes]
    turns: list[int]
    bad: dict[str, str]
    fingerprint: str
    size: tuple[int, int] | None
    copied: list[int]


@dataclass
class _Answer:
    """The cached result for a list of files, by position in the list."""

    bad: dict[int, str] = field(default_factory=dict)
    retry: list[int] = field(default_factory=list)  # bad files that may be readable next time
    copies: list[int] = field(default_factory=list)
    turns: dict[int, int] = field(default_factory=dict)  # orientations of rotated JPEG files
    sizes: set[tuple[int, int]] = field(default_factory=set)  # at most two different sizes


def checked(files: Files, channels: int = 3) -> Checked:
    """Read and decode all files, and cache the result for this list of files.

    Files that the operating system could not open are tried again each time.
    """
    count = len(files.paths)
    fingerprint = digest(repr([(path, *size_and_time(path)) for path in files.paths]))
    if channels != 3:
        fingerprint += f"-{channels}"
    cache = cache_dir() / "folders" / f"{digest(f'{VERSION} {fingerprint}')}.json"
    answer = _cached(cache, count)
    todo = list(range(count)) if answer is None else answer.retry
    copied: list[int] = []
    if answer is None:
        answer = _Answer()
    if todo:
        fresh = _examined(files.paths, todo, channels, copied)
        answer.bad = {i: why for i, why in answer.bad.items() if i not in set(todo)} | fresh.bad
        answer.retry = fresh.retry
        answer.copies = sorted({*answer.copies, *fresh.copies})
        answer.turns |= fresh.turns
        answer.sizes |= fresh.sizes
        _keep(cache, count, answer)
    sources: list[str] = list(files.paths)
    bad = dict(answer.bad)
    made, lost = make_copies([files.paths[i] for i in answer.copies], channels, copied)
    for i in answer.copies:
        path = files.paths[i]
        if path in lost:
            bad[i] = lost[path].reason
        else:
            sources[i] = made[path]
    good = [i for i in range(count) if i not in bad]
    if answer.copies or answer.turns:
        fingerprint += f"-read{VERSION}"
    if lost or answer.retry:  # the result does not depend on the files alone
        fingerprint += "-" + digest(repr(sorted(bad)))[:8]
    return Checked(
        files=files.only(good),
        sources=[os.fsencode(sources[i]) for i in good],
        turns=[answer.turns.get(i, 1) for i in good],
        bad={files.paths[i]: bad[i] for i in sorted(bad)},
        fingerprint=fingerprint,
        size=next(iter(answer.sizes)) if len(answer.sizes) == 1 else None,
        copied=copied,
    )


def _examined(paths: tuple[str, ...], todo: list[int], channels: int, copied: list[int]) -> _Answer:
    answer = _Answer()
    own = in_threads(lambda i: _plain_turn(paths[i], channels), todo)
    plain = {i: turn for i, turn in zip(todo, own, strict=True) if turn}
    sizes = _decoded([paths[i] for i in plain], channels)
    for i, turn in plain.items():
        if size := sizes.get(paths[i]):
            answer.sizes.add(size if turn <= 4 else (size[1], size[0]))
            if turn > 1:
                answer.turns[i] = turn
    others = [i for i in todo if i not in plain or paths[i] not in sizes]
    made, lost = make_copies([paths[i] for i in others], channels, copied, answer.sizes)
    for i in others:
        if paths[i] in made:
            answer.copies.append(i)
            continue
        answer.bad[i] = lost[paths[i]].reason
        if lost[paths[i]].temporary:
            answer.retry.append(i)
    return answer


def _plain_turn(path: str, channels: int) -> int:
    """Return the EXIF orientation of a file that TensorFlow decodes to the right pixels.

    The decision is based on the header; 0 means that TensorFlow does not decode it correctly.
    """
    try:
        with opened(path) as file:
            if file.format in ("JPEG", "MPO"):
                return orientation(file) if file.mode in ("L", "RGB") else 0
            # Pillow and TensorFlow decode different alphas for palettes with few colors.
            modes = ("L", "LA", "RGB", "RGBA", *(() if channels == 4 else ("P",)))
            if file.format != "PNG" or file.mode not in modes or file.is_animated:
                return 0
        content = Path(path).read_bytes()
        return 0 if any(chunk in content for chunk in _TURNING) else 1
    except Exception:  # reading the whole file will report the reason
        return 0


def _decoded(paths: list[str], channels: int) -> dict[str, tuple[int, int]]:
    """Return height and width of the files that TensorFlow decodes without libjpeg warnings.

    libjpeg writes its warnings to stderr each time a file is decoded, that is in every epoch.
    """
    found: dict[str, tuple[int, int]] = {}
    for start in range(0, len(paths), TOGETHER):
        some = paths[start : start + TOGETHER]
        with held_back(WARNING) as warned:
            sizes = _decoded_together(some, channels)
        if not warned:
            found |= sizes
            continue
        for path in sizes:
            with held_back(WARNING) as warned:
                size = _decoded_together([path], channels)
            found |= {} if warned else size
    return found


def _decoded_together(paths: list[str], channels: int) -> dict[str, tuple[int, int]]:
    encoded = tf.constant([os.fsencode(path) for path in paths])

    def measure(index):
        image = decode_image(tf.io.read_file(encoded[index]), channels)
        return index, tf.shape(image)[:2]

    arrived = tf.data.Dataset.range(len(paths)).map(measure, tf.data.AUTOTUNE).ignore_errors()
    return {
        paths[int(index)]: (int(size[0]), int(size[1]))
        for index, size in arrived.as_numpy_iterator()
    }


def _cached(cache: Path, count: int) -> _Answer | None:
    """Return the cached result; None if there is none or it is damaged."""
    try:
        found = json.loads(cache.read_text("utf-8"))
        answer = _Answer(
            {int(i): str(why) for i, why in found["bad"].items()},
            [int(i) for i in found["retry"]],
            [int(i) for i in found["copies"]],
            {int(i): int(turn) for i, turn in found["turns"].items()},
            {(int(height), int(width)) for height, width in found["sizes"]},
        )
        places = (*answer.bad, *answer.retry, *answer.copies, *answer.turns)
        whole = found["count"] == count and all(0 <= i < count for i in places)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return answer if whole and {*answer.retry} <= {*answer.bad} else None


def _keep(cache: Path, count: int, answer: _Answer) -> None:
    content = {
        "count": count,
        "bad": answer.bad,
        "retry": answer.retry,
        "copies": answer.copies,
        "turns": answer.turns,
        "sizes": sorted(answer.sizes)[:2],
    }
    write_cached(cache, json.dumps(content).encode())
