"""Sets of image files: which file is read for an image, and how many may be unreadable."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recipes.data.image_checks import Checks
from recipes.data.image_headers import COPY
from recipes.data.pipelines import FAILURES, end_pipelines_at_exit
from zoo.lazy import tensorflow as tf
from zoo.terminal import plural, print_once, printable

NAMED = 3  # unreadable images that an error lists
VERSION = 3  # increase it if other pixels are read from the same files


class ImageSet:
    """The files of a training, validation or test set.

    A bad file of the training set is replaced by the next good one of its class, so that its
    epochs have the same length and order whenever it is found. Those of other sets are left out,
    because no image may count twice in a metric.

    Attributes:
        name: the name of the set.
        root: the folder of the data set, for messages.
        checks: what is known of the files.
        numbers: the number of each image in `checks`, ordered by class.
        listed: the same, with images that have been left out.
        budget: the largest number of bad files; None for no limit.
        replaces: whether bad files are replaced.
    """

    def __init__(
        self, name: str, root: Path, checks: Checks, numbers: np.ndarray, budget: int | None
    ):
        self.name, self.root, self.checks, self.budget = name, root, checks, budget
        self.numbers = numbers.astype(np.int32)
        self.listed = self.numbers
        self.replaces = name == "train"

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def labels(self) -> np.ndarray:
        """The class of each image, int32."""
        return self.checks.files.labels[self.numbers]

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of all images by their headers; None if they differ."""
        codes = self.checks.codes[self.numbers]
        if self.checks.bad:
            codes = codes[~np.isin(self.numbers, [*self.checks.bad])]
        codes = np.unique(codes[codes > 0])
        one = len(codes) == 1 and codes[0] <= len(self.checks.sizes)
        return self.checks.sizes[codes[0] - 1] if one else None

    @property
    def upright(self) -> bool:
        """Whether TensorFlow decodes no file with a rotation."""
        return bool((self.checks.turns[self.numbers] <= 1).all())

    @property
    def bad(self) -> dict[str, str]:
        """The reason for each file that is known to be bad, by its path."""
        known = self.checks.bad
        own = np.intersect1d(self.listed, np.array([*known], np.int32)).tolist() if known else []
        return {self.checks.files.paths[i]: known[i] for i in own}

    @property
    def fingerprint(self) -> str:
        """A text that changes when a file is added, removed or changed."""
        checks = self.checks
        found = hashlib.sha256(checks.keys[self.numbers].tobytes())
        missing = np.intersect1d(self.numbers, np.array([*checks.temporary], np.int32))
        found.update(f"{VERSION} {checks.channels} {checks.place} {missing.tolist()}".encode())
        return f"folder/{found.hexdigest()[:32]}"

    def path(self, index: int) -> str:
        return self.checks.files.paths[int(self.numbers[index])]

    def names(self) -> Iterator[str]:
        """Yield the paths of all images, also of those that have been left out."""
        return (self.checks.files.paths[i] for i in self.listed.tolist())

    def without_bad(self) -> ImageSet:
        """Return the set without the files that are known to be bad, unless they are replaced."""
        if self.replaces or not self.checks.bad:
            return self
        good = self.numbers[~np.isin(self.numbers, [*self.checks.bad])]
        found = ImageSet(self.name, self.root, self.checks, good, self.budget)
        found.listed, found.replaces = self.listed, self.replaces
        return found

    def verify_all(self) -> None:
        """Check all files now, with a progress bar."""
        self.checks.verify_all(self.numbers.tolist(), f"reading the {self.name} images")

    def locate(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the files to read for some images, which are checked now if they have not been.

        Args:
            indices: positions in the set, int64 [N].

        Returns:
            The places in `indices` of the images that can be read, int64 [M], the paths to decode,
            bytes [M], and their EXIF orientations, int32 [M].

        Raises:
            ValueError: more files than the budget are bad.
        """
        numbers = self.numbers[indices]
        kept = np.arange(len(indices))
        if self.checks.verify(numbers):
            report([self])
            if self.replaces:
                numbers = np.array([self._readable(int(index)) for index in indices])
            else:
                kept = np.flatnonzero(~np.isin(numbers, [*self.checks.bad]))
                numbers = numbers[kept]
        sources = np.array([self.checks.source(i) for i in numbers.tolist()], object)
        turns = np.maximum(self.checks.turns[numbers].astype(np.int32), 1)
        return kept.astype(np.int64), sources, turns

    def _readable(self, index: int) -> int:
        """Return the number of an image, or of the next one of its class that can be read."""
        label = self.checks.files.labels[self.numbers[index]]
        first, last = np.searchsorted(self.labels, [label, label + 1])
        for step in range(last - first):
            number = self.numbers[first + (index - first + step) % (last - first)]
            if not self.checks.verify(np.array([number])):
                report([self])
                return int(number)
        raise ValueError(
            f"no image of the {self.name} set in {printable(Path(self.path(index)).parent)} can be"
            " read; repair or replace them, or remove this class"
        )

    def located(self, indices):
        """Return the tensors of `locate` for a tensor of indices, in a data pipeline."""

        def locate(indices):
            try:
                return self.locate(indices)
            except ValueError as error:
                FAILURES.append(error)
                raise

        end_pipelines_at_exit()
        kinds = (tf.int64, tf.string, tf.int32)
        found = tf.numpy_function(locate, [indices], kinds)
        return tuple(tf.ensure_shape(each, [None]) for each in found)


def report(sets: list[ImageSet]) -> None:
    """Print the bad images of the sets, each only once.

    Raises:
        ValueError: a set has more of them than its budget.
    """
    counts = {each.name: len(each.bad) for each in sets if each.bad}
    if not counts:
        return
    every = {path: why for each in sets for path, why in each.bad.items()}
    for path, why in every.items():
        print_once(f"skipped unreadable image {printable(path)}: {why}")
    listed = " and ".join(f"{plural(n, 'image')} of the {part} set" for part, n in counts.items())
    them = "it" if len(every) == 1 else "them"
    budget = sets[0].budget
    if budget is not None and max(counts.values()) > budget:
        some = [f"{printable(path)} ({why})" for path, why in list(every.items())[:NAMED]]
        raise ValueError(
            f"bad_images={budget}: {listed} cannot be read: {', '.join(some)}"
            f"{', ...' if len(every) > NAMED else ''}; repair or remove {them}, or skip {them}"
            f" with bad_images={max(counts.values())}"
        )


def summarize(sets: list[ImageSet]) -> None:
    """Print how many images of the sets are bad, and what is done with them."""
    for each in sets:
        if not (count := len(each.bad)):
            continue
        was = "was" if count == 1 else "were"
        instead = "replaced by the next of the same class" if each.replaces else "skipped"
        print(
            f"{plural(count, 'image')} of the {each.name} set in {printable(each.root)} cannot be"
            f" read and {was} {instead}",
            file=sys.stderr,
        )


def print_later_copies(sets: list[ImageSet]) -> None:
    """Print how many files will be copied when they are first read."""
    count = sum(
        int(((each.checks.turns == COPY) & ~each.checks.verified)[each.numbers].sum())
        for each in sets
    )
    if count:
        print_once(f"{plural(count, 'image')} will be copied to the cache when first read")
