"""Lists of image files that need little memory: 1.28 million paths of ImageNet need 60 MB.

A Python string needs 49 bytes more than its characters, and 8 bytes in a list.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Paths(Sequence[str]):
    """Paths below one folder, kept as one string of bytes.

    Attributes:
        root: the folder with a separator at its end, encoded as in the file system.
        buffer: the paths relative to it, one after the other.
        ends: the end of each path in the buffer, int64.
    """

    root: bytes
    buffer: bytes
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index):
        return os.fsdecode(self.encoded(index))

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))

    def encoded(self, index: int) -> bytes:
        """Return a path in bytes."""
        return self.root + self.below_root(index)

    def below_root(self, index: int) -> bytes:
        """Return a path relative to the root, in bytes."""
        start = self.ends[index - 1] if index else 0
        return self.buffer[start : self.ends[index]]


@dataclass(frozen=True)
class Files:
    """Image files, ordered by class and path.

    Attributes:
        paths: their paths.
        labels: their class numbers, int32.
    """

    paths: Paths
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """Return a path relative to the folder of its class, which is directly in the root."""
        return os.fsdecode(self.paths.below_root(index).split(os.fsencode(os.sep), 1)[-1])


def packed(root: str | os.PathLike[str], paths: Sequence[str]) -> Paths:
    """Return paths below a folder in little memory."""
    start = os.fsencode(os.path.join(os.fspath(root), ""))
    below = [os.fsencode(path)[len(start) :] for path in paths]
    ends = np.cumsum(np.array([len(each) for each in below], np.int64))
    return Paths(start, b"".join(below), ends)


def joined(root: str | os.PathLike[str], groups: Iterable[tuple[int, Paths]]) -> Files:
    """Return the files of several classes.

    Args:
        root: the folder that contains all of them.
        groups: pairs of the number of a class and paths, which have this root.
    """
    found = list(groups)
    lengths = np.cumsum([0] + [len(paths.buffer) for _, paths in found])
    ends = [paths.ends + start for (_, paths), start in zip(found, lengths, strict=False)]
    counts = [len(paths) for _, paths in found]
    return Files(
        Paths(
            os.fsencode(os.path.join(os.fspath(root), "")),
            b"".join(paths.buffer for _, paths in found),
            np.concatenate([np.zeros(0, np.int64), *ends]),
        ),
        np.repeat(np.array([label for label, _ in found], np.int32), counts),
    )
