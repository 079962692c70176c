"""Short trainings, one step at a time: compiled once, and restarted from the same weights."""

import math
import time
from dataclasses import dataclass, field

import keras
import numpy as np

from recipes import optimize
from recipes.diagnostics.context import STEPS, Context
from recipes.optimize.gradient_stats import kernels, update_ratio, values
from recipes.recipe import Recipe, replace
from recipes.training.network import dtype_policy

WARMUP = 10  # steps, used if the recipe has a warmup
# The lectures call a loss of more than 3 times the first an explosion.
EXPLODED = 3.0
SMOOTH = 5  # steps to average, so that one bad batch is not taken for an explosion


class Steps:
    """A network that is trained one batch at a time with the recipe's optimizer and loss."""

    def __init__(self, context: Context, recipe: Recipe):
        recipe = replace(recipe, accumulate=1, stats_every=0)
        with dtype_policy(recipe.dtype):
            self.network = context.make(recipe, context.data)
            # The learning rate is the schedule's factor, so changing it needs no recompilation.
            self.rate = optimize.Schedule("constant", 1.0, total=1)
            self.model = optimize.training_model(recipe, self.network)
            self.model.compile(
                optimizer=optimize.optimizer(recipe, self.rate, self.model),
                loss=optimize.loss(recipe),
                metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            )
            self.model.optimizer.build(self.model.trainable_variables)
        self.variables = [*self.model.variables, *self.model.optimizer.variables]
        self.variables = list({id(v): v for v in self.variables}.values())
        self.start = [np.array(v) for v in self.variables]

    def restart(self) -> None:
        """Reset the network and the optimizer to their initial state."""
        for variable, value in zip(self.variables, self.start, strict=True):
            variable.assign(value)

    def step(self, images, labels, rate: float) -> tuple[float, float]:
        """Update once; return the loss and accuracy of the batch before the update."""
        self.rate.factor.assign(rate)
        logs = self.model.train_on_batch(images, labels, return_dict=True)
        return float(logs["loss"]), float(logs["accuracy"])


@dataclass(frozen=True)
class Trained:
    """The result of a short training at the recipe's own learning rate.

    Attributes:
        steps: the trained network. Later checks train it further; `weights` keeps the result.
        losses: loss of each step, before its update; shorter if the loss exploded.
        ratios: stage -> ratio of update to weights at each step.
        weights: final weights by path, because without dropout the layers are in another order.
        seconds: duration of one step, excluding the first, which compiles.
    """

    steps: Steps
    losses: list[float]
    ratios: dict[str, list[float]]
    weights: dict[str, np.ndarray] = field(repr=False)
    seconds: float

    @property
    def exploded(self) -> bool:
        return exploded(self.losses)

    def copy_weights_to(self, model: keras.Model) -> None:
        """Copy the final weights into another network with the same stages."""
        for variable in model.weights:
            variable.assign(self.weights[variable.path])


def rate_at(recipe: Recipe, step: int, rate: float) -> float:
    """Return the learning rate of a step: constant, after a short warmup if the recipe has one."""
    warm = recipe.warmup or recipe.schedule == "one_cycle"
    return rate * min(1.0, (step + 1) / WARMUP) if warm else rate


def trained(context: Context) -> Trained:
    """Return the short training at the recipe's learning rate; run it at the first call."""
    if "trained" not in context.shared:
        context.shared["trained"] = train(context)
    return context.shared["trained"]


def train(context: Context) -> Trained:
    """Train STEPS steps at the recipe's peak learning rate, as training does after its warmup."""
    recipe = context.recipe
    steps = Steps(context, recipe)
    of_stages = kernels(steps.model)
    before = {stage: values(own) for stage, own in of_stages.items()}
    losses: list[float] = []
    ratios: dict[str, list[float]] = {stage: [] for stage in of_stages}
    second = time.monotonic()
    for number in range(STEPS):
        # A smaller batch needs a proportionally smaller learning rate (Goyal et al. 2017).
        rate = rate_at(recipe, number, recipe.lr * context.batch / recipe.batch_size)
        losses.append(steps.step(*context.batch_at(number), rate)[0])
        for stage, own in of_stages.items():
            after = values(own)
            ratios[stage].append(update_ratio(before[stage], after))
            before[stage] = after
        if number == 0:
            second = time.monotonic()
        if exploded(losses) or time.monotonic() - second > context.seconds:
            break
    spent = (time.monotonic() - second) / max(1, len(losses) - 1)
    weights = {v.path: np.array(v) for v in steps.network.weights}
    return Trained(steps, losses, ratios, weights, spent)


def exploded(losses: list[float], first: float | None = None) -> bool:
    """Return whether the loss is not finite, or its mean over SMOOTH steps is 3 times the first."""
    if not math.isfinite(losses[-1]):
        return True
    first = losses[0] if first is None else first
    enough = len(losses) > SMOOTH
    return enough and float(np.mean(losses[-SMOOTH:])) > EXPLODED * first
