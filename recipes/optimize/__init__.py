"""What an update is: optimizers, schedules, losses and averages with the papers' meaning."""

from typing import Any

import keras

from recipes.optimize.averages import Averages
from recipes.optimize.batch_norm import refresh_norms
from recipes.optimize.gradient_stats import Gauges
from recipes.optimize.losses import BinaryCrossEntropy, loss
from recipes.optimize.metrics import metrics
from recipes.optimize.optimizers import LAMB, SGD, Adagrad, Adam, AdamW, RMSProp
from recipes.optimize.per_variable import PerVariable, stage_rates
from recipes.optimize.schedules import Plateau, Schedule, schedule
from recipes.optimize.train_step import Trainee, trainee
from recipes.recipe import Recipe

__all__ = [
    "LAMB",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Averages",
    "BinaryCrossEntropy",
    "Plateau",
    "RMSProp",
    "Schedule",
    "Trainee",
    "loss",
    "metrics",
    "optimizer",
    "refresh_norms",
    "schedule",
    "trainee",
]


def optimizer(
    recipe: Recipe, rate: Schedule, model: keras.Model | None = None
) -> keras.optimizers.Optimizer:
    """The recipe's optimizer. Call it inside the strategy's scope.

    Args:
        recipe: what it says of the optimizer.
        rate: what `schedule` gave.
        model: what is trained; needed where the recipe has rates by stage or monitors.

    Raises:
        ValueError: a rate for a stage that the model does not have.
    """
    made = _made(recipe, rate)
    made.clip_norm = recipe.clip_norm
    made.decay_norms = recipe.decay_norms
    if recipe.rates:
        if model is None:
            raise ValueError(f"rates={recipe.rates!r} need the model whose stages they name")
        made.rates = stage_rates(model, recipe.rates)
    if recipe.monitor and model is not None:
        made.gauges = Gauges(model)
    return made


def _made(recipe: Recipe, rate: Schedule) -> PerVariable:
    decay = recipe.weight_decay
    own: dict[str, Any] = {} if recipe.epsilon is None else {"epsilon": recipe.epsilon}
    match recipe.optimizer:
        case "sgd":
            lowest = recipe.lowest_momentum
            return SGD(rate, recipe.momentum, recipe.nesterov, decay, lowest_momentum=lowest)
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
