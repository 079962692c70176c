"""Ops that mix the images and labels of a batch: Mixup, CutMix, MixupOrCutMix."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recipes.augment.pixels import paste
from recipes.augment.registry import check_types, op, require, require_probability
from zoo.lazy import tensorflow as tf


@op
@dataclass(frozen=True)
class Mixup:
    """Blend each image and its labels with another of the batch (Zhang et al. 2018).

    The share of the first image is drawn from Beta(alpha, alpha) once for each batch, as in the
    authors' code. The other image is the previous one of the batch, which is a random one
    because batches are shuffled.

    Args:
        alpha: the parameter of the distribution, above 0.
        probability: the probability that a batch is mixed.
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
    """Paste a rectangle of another image, and mix labels by area (Yun et al. 2019, section 3.1).

    The rectangle has the image's aspect ratio, a random center, and 1 - share of the image's
    area, where the share is drawn from Beta(alpha, alpha). A part that lies outside the image
    is cut off and does not count for the labels. There is one rectangle for each batch, as in
    the authors' code, and the other image is the previous one of the batch.

    Args:
        alpha: the parameter of the distribution, above 0.
        probability: the probability that a batch is mixed: 0.5 on CIFAR and 1 on ImageNet in
            the paper.
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
    """Apply either Mixup or CutMix to each batch (ResNet strikes back, Wightman et al. 2021).

    The defaults are those of torchvision's recipe of 2021.

    Args:
        mixup: alpha of Mixup, above 0.
        cutmix: alpha of CutMix, above 0.
        switch: the probability that CutMix is chosen rather than Mixup.
        probability: the probability that a batch is mixed at all.
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
    """Return the images as a tensor; raise a ValueError if there is only one to mix."""
    images = tf.convert_to_tensor(images)
    if images.shape[0] == 1:
        raise ValueError(
            f"{self!r}: mixes each image with another of its batch, which has only one;"
            " use a batch of at least 2"
        )
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
    center = tf.cast(tf.random.stateless_uniform([2], seeds[1]) * lengths, tf.int32)
    first = tf.maximum(center - cut // 2, 0)
    last = tf.minimum(center + cut // 2, sides)
    other = tf.roll(images, 1, axis=0)
    patch = other[:, first[0] : last[0], first[1] : last[1]]
    pasted = paste(images, patch, tf.unstack(tf.concat([first, last - first], 0)))
    area = tf.cast(tf.reduce_prod(last - first), tf.float32)
    share = 1 - area / tf.reduce_prod(lengths)
    return pasted, share * labels + (1 - share) * tf.roll(labels, 1, axis=0)


def beta(alpha: float, seed):
    """Return a random number from Beta(alpha, alpha).

    It is computed from the logarithms of two Gamma(alpha) variables, each sampled as
    Gamma(alpha + 1) * U^(1 / alpha), because both would underflow to zero for a small alpha.
    """
    seeds = tf.random.split(seed, 2)
    gamma = tf.random.stateless_gamma([2], seeds[0], alpha + 1.0)
    uniform = tf.random.stateless_uniform([2], seeds[1], minval=1e-30)
    logs = tf.math.log(gamma) + tf.math.log(uniform) / alpha
    return tf.sigmoid(logs[0] - logs[1])
