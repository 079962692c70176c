"""Automatic augmentation policies: AutoAugment, RandAugment, TrivialAugment, AugMix.

For each image an op chooses operations at random and executes only those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recipes.augment.pixels import floats, like
from recipes.augment.policies import POLICIES
from recipes.augment.policy_ops import RANGES, WIDE, perform, values
from recipes.augment.registry import check_types, op, require, require_probability
from zoo.lazy import tensorflow as tf

_RAND = {name: r for name, r in RANGES.items() if name != "Invert"}
_MIX_RANGES = {
    "TranslateX": RANGES["TranslateX"]._replace(most=1 / 3),
    "TranslateY": RANGES["TranslateY"]._replace(most=1 / 3),
    "Posterize": RANGES["Posterize"]._replace(least=4, most=0),
}
# AugMix omits these because ImageNet-C, on which it is evaluated, contains them.
_ENHANCE = ("Brightness", "Color", "Contrast", "Sharpness")
_MIX = {name: r for name, r in (_RAND | _MIX_RANGES).items() if name not in _ENHANCE}


@op
@dataclass(frozen=True)
class AutoAugment:
    """Apply one of 25 learned pairs of operations, chosen at random (Cubuk et al. 2018).

    Each operation of a pair has its own probability and magnitude.

    Args:
        policy: the data set that the pairs were learned on, "imagenet" or "cifar10".
    """

    policy: Literal["imagenet", "cifar10"] = "imagenet"

    def __post_init__(self):
        check_types(self)

    def __call__(self, image, seed):
        image = tf.convert_to_tensor(image)
        names = list(RANGES)
        rows = tf.constant(
            [[[names.index(n), p, m / 9] for n, p, m in pair] for pair in POLICIES[self.policy]]
        )
        draws = tf.random.stateless_uniform([5], seed)
        pair = rows[_whole(draws[0], len(POLICIES[self.policy]))]
        for i in range(2):
            which, probability, magnitude = tf.unstack(pair[i])
            which = tf.cast(tf.where(draws[1 + i] < probability, which, 0.0), tf.int32)
            value = values(RANGES, which, magnitude, draws[3 + i])
            image = perform(RANGES, image, which, value)
        return image


@op
@dataclass(frozen=True)
class RandAugment:
    """Apply `count` of 14 operations, all with the same magnitude (Cubuk et al. 2019).

    Args:
        count: the number of operations, 1 to 14.
        magnitude: their strength on a scale from 0 to `most`. The paper uses 9 of 10.
        most: the end of the scale, at which an operation has AutoAugment's largest magnitude.
            timm's scale also ends at 10; torchvision's ends at 30.
        deviation: the standard deviation of a normal distribution around `magnitude`; 0 for a
            constant magnitude. ResNet strikes back uses 0.5.
        probability: the probability of each operation. ResNet strikes back uses 0.5.
    """

    count: int = 2
    magnitude: float = 9.0
    most: float = 10.0
    deviation: float = 0.0
    probability: float = 1.0

    def __post_init__(self):
        check_types(self)
        require(self, "count", 1 <= self.count <= 14, "from 1 to 14")
        require(self, "most", 0 < self.most < 1e6, "a positive number")
        require(self, "magnitude", 0 <= self.magnitude <= self.most, f"from 0 to most={self.most}")
        require(self, "deviation", 0 <= self.deviation < 1e6, "0 or more")
        require_probability(self)

    def __call__(self, image, seed):
        image = tf.convert_to_tensor(image)
        draws = tf.random.stateless_uniform([self.count, 3], seed)
        magnitudes = tf.fill([self.count], self.magnitude)
        if self.deviation:
            own = tf.random.experimental.stateless_fold_in(seed, 1)
            magnitudes += tf.random.stateless_normal([self.count], own, stddev=self.deviation)
            magnitudes = tf.clip_by_value(magnitudes, 0.0, self.most)
        for i in range(self.count):
            which = _whole(draws[i, 0], len(_RAND))
            if self.probability < 1:
                which = tf.where(draws[i, 2] < self.probability, which, 0)
            value = values(_RAND, which, magnitudes[i] / self.most, draws[i, 1])
            image = perform(_RAND, image, which, value)
        return image


@op
@dataclass(frozen=True)
class TrivialAugment:
    """Apply one of 14 operations with a random magnitude (Müller & Hutter 2021).

    The magnitude is one of 31 values, which cover the paper's "wide" ranges.
    """

    def __call__(self, image, seed):
        image = tf.convert_to_tensor(image)
        draws = tf.random.stateless_uniform([3], seed)
        which = _whole(draws[0], len(WIDE))
        magnitude = tf.cast(_whole(draws[1], 31), tf.float32) / 30
        return perform(WIDE, image, which, values(WIDE, which, magnitude, draws[2]))


@op
@dataclass(frozen=True)
class AugMix:
    """Mix the image with randomly augmented copies of it (Hendrycks et al. 2020, algorithm 1).

    The weights of the copies are drawn from Dirichlet(alpha), and their total share in the
    result from Beta(alpha, alpha). The consistency loss of the paper is not part of the op.

    Args:
        severity: the largest magnitude, up to 10. Magnitudes are uniform from 0.1 to this.
        width: the number of copies.
        depth: the number of operations applied to each copy; 0 for a random number from 1 to 3.
        alpha: the parameter of both distributions.
    """

    severity: float = 3.0
    width: int = 3
    depth: int = 0
    alpha: float = 1.0

    def __post_init__(self):
        check_types(self)
        require(self, "severity", 0.1 <= self.severity <= 10, "from 0.1 to 10")
        require(self, "width", 1 <= self.width <= 10, "from 1 to 10")
        require(self, "depth", 0 <= self.depth <= 10, "from 0 to 10")
        require(self, "alpha", 0.01 <= self.alpha <= 1000, "from 0.01 to 1000")

    def __call__(self, image, seed):
        image = tf.convert_to_tensor(image)
        seeds = tf.random.split(seed, 3)
        weights, share = self._weights(seeds[0])
        longest = self.depth or 3
        draws = tf.random.stateless_uniform([self.width, longest, 3], seeds[1])
        depths = tf.random.stateless_uniform([self.width], seeds[2], 1, 4, tf.int32)

        def chain(copy):
            def step(number, x):
                which, magnitude, sign = tf.unstack(draws[copy, number])
                which = 1 + _whole(which, len(_MIX) - 1)  # skips Identity, the first
                magnitude = (0.1 + magnitude * (self.severity - 0.1)) / 10
                return number + 1, perform(_MIX, x, which, values(_MIX, which, magnitude, sign))

            length = tf.constant(self.depth) if self.depth else depths[copy]
            return tf.while_loop(
                lambda number, x: number < length, step, (0, image), maximum_iterations=longest
            )[1]

        mixed = (1 - share) * floats(image)
        for copy in range(self.width):
            mixed += share * weights[copy] * floats(chain(copy))
        return like(mixed, image.dtype)

    def _weights(self, seed):
        """Return the weights of the copies, which sum to 1, and their total share in the result."""
        gammas = tf.random.stateless_gamma([self.width + 2], seed, self.alpha) + 1e-30
        weights = gammas[: self.width] / tf.reduce_sum(gammas[: self.width])
        return weights, gammas[-1] / (gammas[-1] + gammas[-2])


def _whole(draw, count: int):
    """Map a uniform number in [0, 1) to an int32 in 0..count-1."""
    return tf.minimum(tf.cast(draw * count, tf.int32), count - 1)
