"""How the rate changes from step to step."""

import math
from typing import Any

import keras
from keras import ops

from recipes.recipe import Recipe

ONE_CYCLE = (0.3, 25.0, 1e4)  # share of the rise, highest / first, first / last: torch's


@keras.saving.register_keras_serializable("recipes")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The rate at a step: a linear warm-up times the schedule `kind` times `factor`.

    The warm-up's first step has rate lr / (its number of steps), its last lr. `factor` is
    what "plateau" multiplies by gamma: a variable, so that a compiled step sees it change.

        constant     1
        cosine       (1 + cos(pi * done)) / 2, done from 0 after the warm-up to 1 at the end
        polynomial   (1 - done) ** power
        step         gamma ** (the number of boundaries reached, or step // every)
        exponential  gamma ** (step / every)
        plateau      1: see Plateau
        one_cycle    Smith and Topin 2018, as torch.optim.lr_scheduler.OneCycleLR: a cosine
                     from lr / 25 to lr in the warm-up or 0.3 of all steps, then one to
                     lr / 25 / 1e4 in the last step.

    Args:
        kind: one of these.
        lr: the highest rate.
        total, warmup: in steps.
        boundaries: the steps from which a further `gamma` multiplies the rate.
        every: in steps; without boundaries.
        power: of polynomial.
    """

    def __init__(
        self,
        kind: str,
        lr: float,
        total: int,
        warmup: int = 0,
        boundaries: tuple[int, ...] = (),
        gamma: float = 0.1,
        every: float = 1.0,
        power: float = 1.0,
    ):
        self.kind, self.lr, self.total, self.warmup = kind, lr, total, warmup
        self.boundaries, self.gamma, self.every, self.power = tuple(boundaries), gamma, every, power
        self.factor = keras.Variable(1.0, trainable=False, dtype="float32", name="factor")

    def __call__(self, step):
        step = ops.cast(step, "float32")
        if self.kind == "one_cycle":
            return self.lr * self._one_cycle(step) * self.factor
        warm = ops.minimum(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        done = (step - self.warmup) / max(1, self.total - self.warmup)
        done = ops.clip(done, 0.0, 1.0)
        if self.kind == "cosine":
            shape = 0.5 * (1 + ops.cos(math.pi * done))
        elif self.kind == "polynomial":
            shape = ops.power(1 - done, self.power)
        elif self.kind == "step" and self.boundaries:
            falls = sum(ops.cast(step >= at, "float32") for at in self.boundaries)
            shape = ops.power(self.gamma, falls)
        elif self.kind == "step":
            shape = ops.power(self.gamma, ops.floor(step / self.every))
        elif self.kind == "exponential":
            shape = ops.power(self.gamma, step / self.every)
        else:
            shape = 1.0
        return self.lr * warm * shape * self.factor

    def height(self, step):
        """How far up "one_cycle" is: from 0 at its start to 1 and back to 0 at its end."""
        top = self._top()
        step = ops.cast(step, "float32")
        up = ops.clip(step / top, 0.0, 1.0)
        down = ops.clip((step - top) / max(1.0, self.total - 1 - top), 0.0, 1.0)
        return 0.5 * (1 - ops.cos(math.pi * (up - down)))

    def _top(self) -> float:
        return max(1.0, (self.warmup or ONE_CYCLE[0] * self.total) - 1)

    def _one_cycle(self, step):
        _, divisor, last = ONE_CYCLE
        lowest = ops.where(step <= self._top(), 1 / divisor, 1 / divisor / last)
        return lowest + (1 - lowest) * self.height(step)

    def get_config(self):
        names = ("kind", "lr", "total", "warmup", "boundaries", "gamma", "every", "power")
        return {name: getattr(self, name) for name in names}


def schedule(recipe: Recipe, steps_per_epoch: int) -> Schedule:
    """The recipe's schedule, in steps. Call it inside the strategy's scope."""
    unit = steps_per_epoch if recipe.unit == "epochs" else 1
    return Schedule(
        kind=recipe.schedule,
        lr=recipe.lr,
        total=recipe.epochs * steps_per_epoch,
        warmup=round(recipe.warmup * unit),
        boundaries=tuple(round(at * unit) for at in recipe.steps),
        gamma=recipe.gamma,
        every=(recipe.every or 1.0) * unit,
        power=recipe.power,
    )


def remarks(recipe: Recipe, steps_per_epoch: int) -> list[str]:
    """What a schedule never comes to in so few epochs, a line each."""
    total = recipe.epochs * steps_per_epoch
    unit, end = steps_per_epoch, f"epochs={recipe.epochs}"
    if recipe.unit == "steps":
        unit, end = 1, f"{total} steps"
    found = []
    if recipe.schedule != "constant" and round(recipe.warmup * unit) >= total:
        found.append(f"the rate still rises at the end: warmup={recipe.warmup:g} of {end}")
    if recipe.schedule == "step":
        name = "steps" if recipe.steps else "every"
        first = recipe.steps[0] if recipe.steps else recipe.every or 1.0
        if round(first * unit) >= total:
            given = ", ".join(f"{at:g}" for at in recipe.steps) or f"{first:g}"
            found.append(f"the rate never falls: {name}={given} of {end}")
    if recipe.schedule == "plateau" and recipe.patience + 1 >= recipe.epochs:
        end = f"epochs={recipe.epochs}"
        found.append(f"the rate never falls: patience={recipe.patience} of {end}")
    return found


class Plateau:
    """Multiplies a schedule's factor by gamma after `patience` epochs without a lower loss.

    `state` is all that it knows, in JSON's types; it belongs in the checkpoint.
    """

    def __init__(self, rate: Schedule, patience: int, gamma: float):
        self.rate, self.patience, self.gamma = rate, patience, gamma
        self.state: dict[str, Any] = {"factor": 1.0, "lowest": None, "waited": 0}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.state = dict(state)
        self.rate.factor.assign(self.state["factor"])

    def epoch_ended(self, val_loss: float) -> None:
        """Judge one epoch."""
        state = self.state
        if state["lowest"] is None or val_loss < state["lowest"]:
            state.update(lowest=val_loss, waited=0)
            return
        state["waited"] += 1
        if state["waited"] >= self.patience:
            state.update(waited=0, factor=state["factor"] * self.gamma)
            self.rate.factor.assign(state["factor"])
