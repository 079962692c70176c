"""Optimizers, learning rate schedules, losses and weight averages, as defined in the papers."""

from typing import Any

import keras

from recipes.optimize.averages import Averages
from recipes.optimize.batch_norm import update_batch_norm
from recipes.optimize.gradient_stats import GradientStats
from recipes.optimize.losses import BinaryCrossEntropy, loss
from recipes.optimize.metrics import metrics
from recipes.optimize.optimizers import LAMB, SGD, Adagrad, Adam, AdamW, Muon, RMSProp
from recipes.optimize.per_variable import PerVariable, variable_multipliers
from recipes.optimize.schedules import Plateau, Schedule, schedule
from recipes.optimize.train_step import TrainingModel, training_model
from recipes.recipe import Recipe

__all__ = [
    "LAMB",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Averages",
    "BinaryCrossEntropy",
    "Muon",
    "Plateau",
    "RMSProp",
    "Schedule",
    "TrainingModel",
    "loss",
    "metrics",
    "optimizer",
    "schedule",
    "training_model",
    "update_batch_norm",
]


def optimizer(
    recipe: Recipe, rate: Schedule, model: keras.Model | None = None
) -> keras.optimizers.Optimizer:
    """Create the recipe's optimizer. Call it inside the strategy's scope.

    Args:
        recipe: recipe with the optimizer and its settings.
        rate: learning rate schedule, as returned by `schedule`.
        model: model to train; needed if the recipe has `lr_multipliers` or `stats_every`.

    Raises:
        ValueError: if `lr_multipliers` names a stage that the model does not have.
    """
    made = _made(recipe, rate)
    made.clip_norm = recipe.clip_norm
    made.decay_norms = recipe.decay_norms
    if recipe.lr_multipliers:
        if model is None:
            raise ValueError(
                f"lr_multipliers={recipe.lr_multipliers!r}: pass the model whose stages these are"
            )
        made.lr_multipliers = variable_multipliers(model, recipe.lr_multipliers)
    if recipe.stats_every and model is not None:
        made.gradient_stats = GradientStats(model)
    return made


def _made(recipe: Recipe, rate: Schedule) -> PerVariable:
    decay = recipe.weight_decay
    own: dict[str, Any] = {} if recipe.epsilon is None else {"epsilon": recipe.epsilon}
    match recipe.optimizer:
        case "sgd" | "muon" as name:
            return (SGD if name == "sgd" else Muon)(
                rate, recipe.momentum, recipe.nesterov, decay, min_momentum=recipe.min_momentum,
                name=name,
            )  # fmt: skip
        case "adam":
            return Adam(rate, name="adam", **own)
        case "adamw":
            return AdamW(rate, weight_decay=decay, name="adamw", **own)
        case "rmsprop":
            return RMSProp(rate, recipe.rho, recipe.momentum, decay=decay, **own)
        case "lamb":
            return LAMB(rate, decay=decay, **own)
        case _:
            return Adagrad(rate, decay=decay, **own)
