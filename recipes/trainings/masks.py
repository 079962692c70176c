"""Pruning masks: which weights of a network are kept, and which are zero.

    many = recipes.Trainings("digits/mlp")
    start = many.initial(seed=0)
    kept = masks.everything(start)
    for _ in range(15):
        trained = many.run(seed=0, weights=start, masks=kept)
        kept = masks.prune(trained.weights, kept, share=0.2, shares={"head_dense/kernel": 0.1})
    many.run(seed=0, weights=start, masks=kept)         # rewound to the initial weights

This is the iterative magnitude pruning, layer by layer, of Frankle and Carbin 2019, The Lottery
Ticket Hypothesis. A mask has the shape of its kernel, and is 1 for each weight that is kept and 0
for each that is removed. Biases and the parameters of norms have no masks.
"""

from collections.abc import Mapping

import numpy as np

from zoo.options import unknown

Masks = dict[str, np.ndarray]


def everything(weights: Mapping[str, np.ndarray]) -> Masks:
    """Return masks that keep all weights of all kernels, float32, by path.

    Args:
        weights: weights by path, as `Trainings.initial` and `Training.weights` give them.
    """
    return {
        path: np.ones(np.shape(value), np.float32)
        for path, value in weights.items()
        if path.endswith("kernel")
    }


def prune(
    weights: Mapping[str, np.ndarray],
    masks: Mapping[str, np.ndarray],
    share: float = 0.2,
    shares: Mapping[str, float] | None = None,
) -> Masks:
    """Remove the smallest of the kept weights of each kernel, by magnitude.

    Of n kept weights, round(share * n) are removed. Equal weights are removed in the order of the
    kernel.

    Args:
        weights: trained weights by path.
        masks: masks so far, by path.
        share: share of the kept weights of a kernel that is removed.
        shares: other shares of single kernels, by path.

    Raises:
        ValueError: a share is not at least 0 and below 1, or there is no mask or weight of a path.
    """
    shares = dict(shares or {})
    for path in shares:
        if path not in masks:
            raise unknown("path in shares", path, masks)
    for name, value in {"share": share, **shares}.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name}={value}: must be at least 0 and below 1")
    pruned = {}
    for path, mask in masks.items():
        if path not in weights:
            raise unknown("path in masks", path, weights)
        kept = np.flatnonzero(mask)
        sizes = np.abs(np.asarray(weights[path]).ravel()[kept])
        smallest = np.argsort(sizes, kind="stable")[: round(shares.get(path, share) * len(kept))]
        new = np.array(mask, np.float32)
        new.ravel()[kept[smallest]] = 0
        pruned[path] = new
    return pruned


def shuffled(masks: Mapping[str, np.ndarray], seed: int) -> Masks:
    """Return masks with the same number of kept weights per kernel, at random places.

    Args:
        masks: masks by path.
        seed: seed of the random places.
    """
    generator = np.random.default_rng(seed)
    return {
        path: generator.permutation(np.ravel(mask)).reshape(np.shape(mask))
        for path, mask in masks.items()
    }


def share_left(masks: Mapping[str, np.ndarray]) -> float:
    """Return the share of the weights with masks that is kept."""
    return float(sum(map(np.sum, masks.values())) / sum(map(np.size, masks.values())))
