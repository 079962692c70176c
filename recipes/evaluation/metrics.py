"""Metrics of scores [N, C] and one-hot labels [N, C], computed in float64.

Scores are logits or log probabilities, for which the softmax gives the same result. If scores are
equal, the first counts as the highest. A row with NaN or infinite scores counts as wrong, predicts
no class, and is left out of the calibration.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

BINS = 15
WORST = 24


def accuracy_and_loss(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return top-1 and top-5 accuracy, mean cross-entropy and the number of images."""
    logits, truth = np.asarray(logits, np.float64), np.argmax(labels, axis=1)
    rows = np.arange(len(logits))
    own = logits[rows, truth][:, None]
    earlier = np.arange(logits.shape[1])[None] < truth[:, None]
    rank = np.sum((logits > own) | ((logits == own) & earlier), axis=1)
    rank[~np.isfinite(logits).all(axis=1)] = logits.shape[1]
    return {
        "top1": float(np.mean(rank < 1)),
        "top5": float(np.mean(rank < min(5, logits.shape[1]))),
        "loss": float(np.mean(-log_probabilities(logits)[rows, truth])),
        "samples": len(logits),
    }


def loss_of(trained: Iterable[str]) -> str:
    """Return the name of the evaluation loss, and of training losses that are different."""
    others = sorted(set(trained) - {"softmax"})
    return "softmax cross-entropy" + (f"; trained with {', '.join(others)}" if others else "")


def log_probabilities(scores: np.ndarray) -> np.ndarray:
    """Return the logarithm of the softmax, [N, C] in float64."""
    scores = np.asarray(scores, np.float64)
    with np.errstate(invalid="ignore"):  # some rows may not be finite
        highest = scores.max(axis=1, keepdims=True)
        log_sum = np.log(np.sum(np.exp(scores - highest), axis=1, keepdims=True))
        return scores - (highest + log_sum)


def mean_of_probabilities(several: Sequence[np.ndarray]) -> np.ndarray:
    """Return the logarithm of the mean probabilities, [N, C], of several scores [N, C].

    The computation stays in logarithms, so that small probabilities do not underflow.
    """
    total = log_probabilities(several[0])
    for scores in several[1:]:
        total = np.logaddexp(total, log_probabilities(scores))
    return total - np.log(len(several))


def confusion(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the confusion matrix, int [C, C]: rows are true classes, columns predicted ones."""
    finite = np.isfinite(scores).all(axis=1)
    counts = np.zeros((scores.shape[1], scores.shape[1]), int)
    np.add.at(counts, (labels[finite].argmax(axis=1), scores[finite].argmax(axis=1)), 1)
    return counts


def by_class(counts: np.ndarray, images: np.ndarray) -> dict[str, Any]:
    """Return recall, precision and F1 of each class, and their means over classes.

    As in scikit-learn, the balanced accuracy is the mean recall of the classes that have images,
    and the macro F1 is the mean over the classes that have images or are predicted. An image
    without finite scores counts as an image of its class for which nothing is predicted.

    Args:
        counts: the confusion matrix.
        images: the number of images of each class, [C].

    Returns:
        A dict of balanced_accuracy and macro_f1; recall, precision and f1 as lists over classes,
        with None where a class has no image, no prediction, or neither; and images as a list.
    """
    right, predicted, images = np.diag(counts), counts.sum(axis=0), np.asarray(images)

    def share(part: np.ndarray, whole: np.ndarray) -> list[float | None]:
        return [p / w if w else None for p, w in zip(part.tolist(), whole.tolist(), strict=True)]

    def mean(shares: list[float | None]) -> float:
        return float(np.mean([each for each in shares if each is not None] or [np.nan]))

    recall, f1 = share(right, images), share(2 * right, images + predicted)
    return {
        "balanced_accuracy": mean(recall),
        "macro_f1": mean(f1),
        "recall": recall,
        "precision": share(right, predicted),
        "f1": f1,
        "images": images.tolist(),
    }


def per_class(
    found: dict[str, Any], right: Sequence[int], classes: Sequence[str]
) -> dict[str, Any]:
    """Return the metrics of `by_class` for each class by name; "accuracy" is the recall."""
    kinds = ("images", "recall", "precision", "f1")
    rows = zip(classes, right, *(found[kind] for kind in kinds), strict=True)
    return {
        name: {"images": n, "right": r, "accuracy": recall}
        | {"recall": recall, "precision": precision, "f1": f1}
        for name, r, n, recall, precision, f1 in rows
    }


def calibration(scores: np.ndarray, labels: np.ndarray) -> tuple[float, list[dict[str, Any]]]:
    """Return the expected calibration error and its bins (Guo et al. 2017, section 2).

    The confidence of an image is its highest probability. The 15 bins have equal width and
    include their upper ends: (0, 1/15], (1/15, 2/15], ... The error is the mean over images of
    |accuracy - mean confidence| in their bin.
    """
    finite = np.isfinite(scores).all(axis=1)
    scores, truth = scores[finite], labels[finite].argmax(axis=1)
    edges = np.linspace(0, 1, BINS + 1)
    if not len(scores):
        return float("nan"), []
    confidence = np.exp(log_probabilities(scores).max(axis=1))
    right = scores.argmax(axis=1) == truth
    place = np.digitize(confidence, edges[1:-1], right=True)
    bins, error = [], 0.0
    for i in range(BINS):
        inside = place == i
        count = int(inside.sum())
        found = {"from": float(edges[i]), "to": float(edges[i + 1]), "images": count}
        if count:
            found["confidence"] = float(confidence[inside].mean())
            found["accuracy"] = float(right[inside].mean())
            error += count / len(scores) * abs(found["accuracy"] - found["confidence"])
        bins.append(found)
    return error, bins


def worst(scores: np.ndarray, labels: np.ndarray, count: int = WORST) -> list[dict[str, Any]]:
    """Return the mistakes with the highest loss: place, true and predicted class, probabilities.

    An image without finite scores is a mistake that has no predicted class.
    """
    log_p, truth = log_probabilities(scores), labels.argmax(axis=1)
    finite = np.isfinite(scores).all(axis=1)
    loss = np.where(finite, -log_p[np.arange(len(truth)), truth], np.inf)
    wrong = ~finite | (scores.argmax(axis=1) != truth)
    found = []
    for place in [i for i in np.argsort(-loss, kind="stable") if wrong[i]][:count]:
        predicted = int(scores[place].argmax()) if finite[place] else None
        known = None if predicted is None else (log_p[place, predicted], log_p[place, truth[place]])
        found.append(
            {
                "place": int(place),
                "true": int(truth[place]),
                "predicted": predicted,
                "probability": None if known is None else float(np.exp(known[0])),
                "true_probability": None if known is None else float(np.exp(known[1])),
            }
        )
    return found


def compute_all(scores: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Return all metrics as a dict that can be saved as JSON; see `recipes.evaluate`."""
    counts = confusion(scores, labels)
    error, bins = calibration(scores, labels)
    found = by_class(counts, np.asarray(labels).sum(axis=0).astype(int))
    return {
        **accuracy_and_loss(scores, labels),
        "balanced_accuracy": found["balanced_accuracy"],
        "macro_f1": found["macro_f1"],
        "ece": error,
        "not_finite": int((~np.isfinite(scores).all(axis=1)).sum()),
        "per_class": per_class(found, np.diag(counts).tolist(), classes),
        "confusion": counts.tolist(),
        "calibration": bins,
        "worst": worst(scores, labels),
    }
