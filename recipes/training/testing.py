"""Evaluate a trained network on the test set."""

from collections.abc import Callable
from typing import Any

import keras

from recipes.data.types import Data
from recipes.evaluation.predict import evaluate_split
from recipes.recipe import Recipe
from recipes.training import outcome


def evaluate(
    model: keras.Model, data: Data, recipe: Recipe, say: Callable[[str], object]
) -> dict[str, Any]:
    """Return the test metrics for result.json, and report classes that are never recognized."""
    found = evaluate_split(model, data.open_test(), len(data.classes), recipe)
    for line in outcome.missed_classes(found, data, recipe):
        say(line)
    recall = dict(zip(data.classes, found["recall"], strict=True))
    by_class = ("images", "precision", "f1")
    return {n: v for n, v in found.items() if n not in by_class} | {
        "recall": recall, "split": "test"
    }  # fmt: skip
