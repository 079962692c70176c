"""Batches whose images and labels are mixed: Mixup, CutMix, and one or the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recipes.augment.pixels import paste
from recipes.augment.registry import check_types, op, require, require_probability
from zoo.lazy import tensorflow as tf


@op
@dataclass(frozen=True)
class Mixup:
    """Mix each image and its labels with another's, by a share ~ Beta(alpha, alpha).

    One share a batch, as in the authors' code; the other is the batch's previous image,
    which is a random one where the batch is shuffled. `probability` is that of a batch.
    Zhang et al. 2018.
    """

    alpha: float = 0.2
    probability: float = 1.0

    def __post_init__(self):
        check_types(self)
        require(self, "alpha", 0 < self.alpha < math.inf, "a positive number")
        require_probability(self)

    def batch(self, images, labels, seed):
        return _sometimes(self, _mixed_up, images, labels, seed)


@op
@dataclass(frozen=True)
class CutMix:
    """Paste a rectangle of the batch's previous image; labels mix as the areas do.

    The rectangle has the image's aspect ratio and 1 - share of its area, share ~
    Beta(alpha, alpha), and a uniform centre; what lies outside is cut off, and the labels
    count what is left. One rectangle a batch, as in the authors' code; `probability` is
    that of a batch: 0.5 on CIFAR, 1 on ImageNet. Yun et al. 2019, section 3.1.
    """

    alpha: float = 1.0
    probability: float = 1.0

    def __post_init__(self):
        check_types(self)
        require(self, "alpha", 0 < self.alpha < math.inf, "a positive number")
        require_probability(self)

    def batch(self, images, labels, seed):
        return _sometimes(self, _cut_and_mixed, images, labels, seed)


@op
@dataclass(frozen=True)
class MixupOrCutMix:
    """One of the two for each batch: CutMix with the share `switch` of them.

    With `probability`, else neither. Wightman et al. 2021 (ResNet strikes back), section 4;
    torchvision's recipe of 2021: alphas 0.2 and 1, half and half.
    """

    mixup: float = 0.2
    cutmix: float = 1.0
    switch: float = 0.5
    probability: float = 1.0

    def __post_init__(self):
        check_types(self)
        require(self, "mixup", 0 < self.mixup < math.inf, "a positive number")
        require(self, "cutmix", 0 < self.cutmix < math.inf, "a positive number")
        require(self, "switch", 0 <= self.switch <= 1, "from 0 to 1")
        require_probability(self)

    def batch(self, images, labels, seed):
        images, labels = _several(self, images), tf.convert_to_tensor(labels)
        seeds = tf.random.split(seed, 2)
        draws = tf.random.stateless_uniform([2], seeds[0])

        def mixed():
            return tf.cond(
                draws[1] < self.switch,
                lambda: _cut_and_mixed(images, labels, self.cutmix, seeds[1]),
                lambda: _mixed_up(images, labels, self.mixup, seeds[1]),
            )

        return tf.cond(draws[0] < self.probability, mixed, lambda: (images, labels))


def _several(self, images):
    """The images as a tensor; a ValueError if they are known to be one, which has no other."""
    images = tf.convert_to_tensor(images)
    if images.shape[0] == 1:
        raise ValueError(f"{self!r} mixes an image with another of its batch, which has only one")
    return images


def _sometimes(self, function, images, labels, seed):
    images, labels = _several(self, images), tf.convert_to_tensor(labels)
    if self.probability == 1:
        return function(images, labels, self.alpha, seed)
    seeds = tf.random.split(seed, 2)
    return tf.cond(
        tf.random.stateless_uniform([], seeds[0]) < self.probability,
        lambda: function(images, labels, self.alpha, seeds[1]),
        lambda: (images, labels),
    )


def _mixed_up(images, labels, alpha: float, seed):
    share = beta(alpha, seed)
    return (
        share * images + (1 - share) * tf.roll(images, 1, axis=0),
        share * labels + (1 - share) * tf.roll(labels, 1, axis=0),
    )


def _cut_and_mixed(images, labels, alpha: float, seed):
    seeds = tf.random.split(seed, 2)
    sides = tf.shape(images)[1:3]
    lengths = tf.cast(sides, tf.float32)
    cut = tf.cast(tf.sqrt(1 - beta(alpha, seeds[0])) * lengths, tf.int32)
    centre = tf.cast(tf.random.stateless_uniform([2], seeds[1]) * lengths, tf.int32)
    first = tf.maximum(centre - cut // 2, 0)
    last = tf.minimum(centre + cut // 2, sides)
    other = tf.roll(images, 1, axis=0)
    patch = other[:, first[0] : last[0], first[1] : last[1]]
    pasted = paste(images, patch, tf.unstack(tf.concat([first, last - first], 0)))
    area = tf.cast(tf.reduce_prod(last - first), tf.float32)
    share = 1 - area / tf.reduce_prod(lengths)
    return pasted, share * labels + (1 - share) * tf.roll(labels, 1, axis=0)


def beta(alpha: float, seed):
    """One draw from Beta(alpha, alpha).

    By the logarithms of two Gamma(alpha), as Gamma(alpha + 1) * U^(1 / alpha): a small alpha
    would underflow both to zero.
    """
    seeds = tf.random.split(seed, 2)
    gamma = tf.random.stateless_gamma([2], seeds[0], alpha + 1.0)
    uniform = tf.random.stateless_uniform([2], seeds[1], minval=1e-30)
    logs = tf.math.log(gamma) + tf.math.log(uniform) / alpha
    return tf.sigmoid(logs[0] - logs[1])
