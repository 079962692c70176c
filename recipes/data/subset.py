"""Choose the classes of a data set, and a number of its training images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recipes.data.types import Data, Split, permutation
from zoo.lazy import tensorflow as tf
from zoo.options import unknown
from zoo.terminal import plural


class Chosen(NamedTuple):
    """The chosen images of a set.

    Attributes:
        places: their positions in the fixed order of the whole set, increasing, int64 [N].
        labels: their labels, numbers of the kept classes, int64 [N].
    """

    places: np.ndarray
    labels: np.ndarray

    def fingerprint(self, whole: str) -> str:
        """Return the fingerprint of the chosen images of a set with the fingerprint `whole`."""
        return f"{whole}/{hashlib.sha256(self.places.tobytes()).hexdigest()[:32]}"


@dataclass(frozen=True)
class Subset:
    """The classes and the number of training images that are used.

    The validation and test sets keep all images of the kept classes. The training images of a
    class are ordered by a hash of the seed and their names (or their positions, where a data set
    has no names), and `images` takes the first ones of all classes in turns. So the counts of any
    two classes differ by at most one until a class has no more images, and a larger subset
    contains all smaller ones of the same seed.

    Attributes:
        classes: the names or positions of the kept classes, which are numbered from 0 in this
            order; () keeps all.
        images: the number of training images; None for all.
        per_class: the number of training images of each class; None for all.
        seed: the seed of the choice.
    """

    classes: tuple[int | str, ...] = ()
    images: int | None = None
    per_class: int | None = None
    seed: int = 0

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return not self.classes and self.images is None and self.per_class is None

    def kept(self, names: Sequence[str]) -> list[int]:
        """Return the positions of the kept classes in the class names of a data set.

        Raises:
            ValueError: a class does not exist, is given twice, or may be one of two.
        """
        found = [self._position(each, names) for each in self.classes]
        for place, position in enumerate(found):
            if position in found[:place]:
                raise ValueError(
                    f"classes={self.classes!r}: the class {names[position]!r} is given twice;"
                    " give each class once"
                )
        return found or [*range(len(names))]

    def _position(self, given: int | str, names: Sequence[str]) -> int:
        if isinstance(given, str):
            if given not in names:
                raise unknown("class in classes", given, names)
            return [*names].index(given)
        text = str(given)
        if text in names and (given >= len(names) or names[given] != text):
            raise ValueError(
                f"classes={self.classes!r}: {given} may be the class {text!r} or the position of"
                f" {'another' if given < len(names) else 'none'}; give names in quotes, as in"
                f" --classes=\"('{text}', ...)\""
            )
        if not 0 <= given < len(names):
            raise ValueError(
                f"classes={self.classes!r}: there is no class {given}; the"
                f" {plural(len(names), 'class', 'classes')} have the positions 0 to"
                f" {len(names) - 1}"
            )
        return given

    def names(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the kept classes."""
        return tuple(names[position] for position in self.kept(names))

    def renumbered(self, labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Return labels as numbers of the kept classes, -1 for the others, int64 [N]."""
        numbers = np.full(len(names), -1, np.int64)
        numbers[self.kept(names)] = np.arange(len(self.classes) or len(names))
        return numbers[labels]

    def choose(
        self,
        split: str,
        labels: np.ndarray,
        names: Sequence[str],
        name: Callable[[int], str] = str,
    ) -> Chosen:
        """Return the images to use.

        Args:
            split: the name of the set; only "train" is limited to a number of images.
            labels: the label of each image of the whole set, int [N].
            names: the class names of the data set.
            name: a function from a position in the set to the name of an image, which with its
                class identifies it. The name of an image must not depend on the number of images.

        Raises:
            ValueError: there are fewer training images than are to be used, or no images at all.
        """
        own = self.renumbered(labels, names)
        places = np.flatnonzero(own >= 0)
        if not len(places):
            hint = "; use a larger validation" if split == "validation" else ""
            raise ValueError(
                f"classes={self.classes!r}: the {split} set has no images of these classes{hint}"
            )
        if split == "train" and (self.images is not None or self.per_class is not None):
            self._check_counts(own[places], self.names(names))
            places = places[self._first(places, own[places], self.names(names), name)]
        return Chosen(places.astype(np.int64), own[places])

    def _check_counts(self, labels: np.ndarray, names: Sequence[str]) -> None:
        of = " of these classes" if self.classes else ""
        if self.images is not None and self.images > len(labels):
            raise ValueError(
                f"images={self.images}: the training set has only"
                f" {plural(len(labels), 'image')}{of}; use at most {len(labels)}"
            )
        counts = np.bincount(labels, minlength=len(names))
        if self.per_class is not None and self.per_class > (least := counts.min()):
            few = names[int(counts.argmin())]
            raise ValueError(
                f"per_class={self.per_class}: the class {few!r} has only"
                f" {plural(int(least), 'training image')}; use at most {least}, or set"
                " images=N, which takes more from the other classes"
            )

    def _first(
        self, places: np.ndarray, labels: np.ndarray, names: Sequence[str], name: Callable
    ) -> np.ndarray:
        """Return which of the images at some places are used, as increasing positions."""
        ranks = np.empty(len(places), np.int64)
        for label in np.unique(labels):
            own = np.flatnonzero(labels == label)
            keys = [self._key(f"{names[label]}/{name(place)}") for place in places[own].tolist()]
            ranks[own[sorted(range(len(own)), key=keys.__getitem__)]] = np.arange(len(own))
        if self.per_class is not None:
            return np.flatnonzero(ranks < self.per_class)
        turns = np.argsort(np.argsort([self._key(each) for each in names]))
        return np.sort(np.lexsort((turns[labels], ranks))[: self.images])

    def _key(self, name: str) -> str:
        text = f"subset {self.seed}/{name}"
        return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def of_indices(data: Data, subset: Subset) -> Data:
    """Return the chosen part of a data set whose labels are known and whose items are indices."""

    def part(split: Split) -> Split:
        assert split.labels is not None
        chosen = subset.choose(split.name, split.labels, data.classes)
        with tf.device("CPU"):
            places, labels = tf.constant(chosen.places), tf.constant(chosen.labels)

        def lookup(index):
            return {**split.lookup(places[index]), "label": labels[index], "index": index}

        return Split(
            name=split.name,
            count=len(chosen.places),
            encoded=split.encoded,
            shape=split.shape,
            order=lambda seed: permutation(len(chosen.places), seed),
            lookup=lookup,
            describe=lambda index: split.describe(int(chosen.places[index])),
            fingerprint=chosen.fingerprint(split.fingerprint),
            labels=chosen.labels,
        )

    return Data(
        name=data.name,
        classes=subset.names(data.classes),
        train=part(data.train),
        validation=data.validation and part(data.validation),
        open_test=lambda: part(data.open_test()),
    )
