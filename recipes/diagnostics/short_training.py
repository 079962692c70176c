"""Short trainings, step by step: compiled once, started again at will."""

import math
import time
from dataclasses import dataclass, field

import keras
import numpy as np

from recipes import optimize
from recipes.diagnostics.context import STEPS, Context
from recipes.optimize.gradient_stats import kernels, update_ratio, values
from recipes.recipe import Recipe, replace
from recipes.training.network import precision

WARMUP = 10  # steps, where the recipe has a warm-up of its own
BROKEN_OFF = 3.0  # the lectures: a cost of more than 3 times the first
SMOOTH = 5  # steps that are averaged before one is broken off: one bad batch is none


class Steps:
    """A network in training, one batch at a time, with the recipe's optimizer and loss."""

    def __init__(self, context: Context, recipe: Recipe):
        recipe = replace(recipe, accumulate=1, monitor=0)
        with precision(recipe.dtype):
            self.network = context.make(recipe, context.data)
            # The rate is the factor: a change of it is no new compilation.
            self.rate = optimize.Schedule("constant", 1.0, total=1)
            self.model = optimize.trainee(recipe, self.network)
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
        """Go back to the first weights."""
        for variable, value in zip(self.variables, self.start, strict=True):
            variable.assign(value)

    def step(self, images, labels, rate: float) -> tuple[float, float]:
        """One update; the loss and the accuracy on the batch before it, as training records."""
        self.rate.factor.assign(rate)
        logs = self.model.train_on_batch(images, labels, return_dict=True)
        return float(logs["loss"]), float(logs["accuracy"])


@dataclass(frozen=True)
class Trained:
    """A short training at the recipe's own rate.

    Attributes:
        steps: the network; its state is whatever came last. Its weights then are `weights`.
        losses: of each step, before its update; ends early where it exploded.
        ratios: of update to weight, stage -> of each step.
        weights: at the end, by path: without dropout a network has another order of layers.
        seconds: of one step, without the first, which compiles.
    """

    steps: Steps
    losses: list[float]
    ratios: dict[str, list[float]]
    weights: dict[str, np.ndarray] = field(repr=False)
    seconds: float

    @property
    def exploded(self) -> bool:
        return exploded(self.losses)

    def give(self, model: keras.Model) -> None:
        """Put the weights at the end into another network of the same stages."""
        for variable in model.weights:
            variable.assign(self.weights[variable.path])


def rate_at(recipe: Recipe, step: int, rate: float) -> float:
    """A constant rate, behind a short warm-up if the recipe has one."""
    warm = recipe.warmup or recipe.schedule == "one_cycle"
    return rate * min(1.0, (step + 1) / WARMUP) if warm else rate


def trained(context: Context) -> Trained:
    """The short training at the recipe's own rate that several checks look at: made once."""
    if "trained" not in context.shared:
        context.shared["trained"] = train(context)
    return context.shared["trained"]


def train(context: Context) -> Trained:
    """STEPS steps of the recipe at its highest rate, as training would go on after warm-up."""
    recipe = context.recipe
    steps = Steps(context, recipe)
    of_stages = kernels(steps.model)
    before = {stage: values(own) for stage, own in of_stages.items()}
    losses: list[float] = []
    ratios: dict[str, list[float]] = {stage: [] for stage in of_stages}
    second = time.monotonic()
    for number in range(STEPS):
        # A batch that was cut for time goes with a rate cut alike. Goyal et al. 2017
        rate = rate_at(recipe, number, recipe.lr * context.batch / recipe.batch)
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
    """Whether the cost is no number, or for some steps more than 3 times the first."""
    if not math.isfinite(losses[-1]):
        return True
    first = losses[0] if first is None else first
    enough = len(losses) > SMOOTH
    return enough and float(np.mean(losses[-SMOOTH:])) > BROKEN_OFF * first
