"""Learning rate schedules."""

import math
from typing import Any

import keras
from keras import ops

from recipes.recipe import Recipe

ONE_CYCLE = (0.3, 25.0, 1e4)  # fraction of rising steps, peak / first, first / last, as in PyTorch


@keras.saving.register_keras_serializable("recipes")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate at a step: a linear warmup times the schedule `kind`, `factor` and `scale`.

    The first step of the warmup has the learning rate lr / (number of warmup steps), the last lr.
    "plateau" multiplies `factor` by gamma, and a rollback multiplies `scale`; they are variables,
    so that compiled steps use the change.

        constant     1
        cosine       (1 + cos(pi * done)) / 2, done from 0 after the warmup to 1 at the end
        polynomial   (1 - done) ** power
        step         gamma ** (the number of boundaries reached, or step // step_size)
        exponential  gamma ** (step / step_size)
        plateau      1: see Plateau
        one_cycle    Smith and Topin 2018, as torch.optim.lr_scheduler.OneCycleLR: a cosine
                     from lr / 25 to lr in the warmup or 0.3 of all steps, then one to
                     lr / 25 / 1e4 in the last step.

    Args:
        kind: one of these names.
        lr: peak learning rate.
        total, warmup: number of steps of the training and of the warmup.
        boundaries: steps at which the learning rate is multiplied by `gamma`.
        gamma: factor of "step", "exponential" and "plateau".
        step_size: number of steps between multiplications by `gamma`, without boundaries.
        power: exponent of "polynomial".
    """

    def __init__(
        self,
        kind: str,
        lr: float,
        total: int,
        warmup: int = 0,
        boundaries: tuple[int, ...] = (),
        gamma: float = 0.1,
        step_size: float = 1.0,
        power: float = 1.0,
    ):
        self.kind, self.lr, self.total, self.warmup = kind, lr, total, warmup
        self.boundaries, self.gamma, self.step_size, self.power = (
            tuple(boundaries),
            gamma,
            step_size,
            power,
        )
        self.factor, self.scale = (
            keras.Variable(1.0, trainable=False, dtype="float32", name=name)
            for name in ("factor", "scale")
        )

    def __call__(self, step):
        step = ops.cast(step, "float32")
        if self.kind == "one_cycle":
            return self.lr * self._one_cycle(step) * self.factor * self.scale
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
            shape = ops.power(self.gamma, ops.floor(step / self.step_size))
        elif self.kind == "exponential":
            shape = ops.power(self.gamma, step / self.step_size)
        else:
            shape = 1.0
        return self.lr * warm * shape * self.factor * self.scale

    def height(self, step):
        """Return the position in "one_cycle": from 0 at the start to 1 and back to 0 at the end."""
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
        names = ("kind", "lr", "total", "warmup", "boundaries", "gamma", "step_size", "power")
        return {name: getattr(self, name) for name in names}


def schedule(recipe: Recipe, steps_per_epoch: int) -> Schedule:
    """Create the recipe's schedule, in steps. Call it inside the strategy's scope."""
    unit = steps_per_epoch if recipe.schedule_unit == "epochs" else 1
    return Schedule(
        kind=recipe.schedule,
        lr=recipe.lr,
        total=recipe.epochs * steps_per_epoch,
        warmup=round(recipe.warmup * unit),
        boundaries=tuple(round(at * unit) for at in recipe.milestones),
        gamma=recipe.gamma,
        step_size=(recipe.step_size or 1.0) * unit,
        power=recipe.power,
    )


def remarks(recipe: Recipe, steps_per_epoch: int) -> list[str]:
    """Return warnings about parts of schedules that the training does not reach."""
    total = recipe.epochs * steps_per_epoch
    unit, end = steps_per_epoch, f"epochs={recipe.epochs}"
    if recipe.schedule_unit == "steps":
        unit, end = 1, f"{total} steps"
    found = []
    if recipe.schedule != "constant" and round(recipe.warmup * unit) >= total:
        found.append(f"warmup={recipe.warmup:g}: the learning rate still rises at the end, {end}")
    if recipe.schedule == "step":
        name = "milestones" if recipe.milestones else "step_size"
        first = recipe.milestones[0] if recipe.milestones else recipe.step_size or 1.0
        if round(first * unit) >= total:
            given = ", ".join(f"{at:g}" for at in recipe.milestones) or f"{first:g}"
            found.append(f"{name}={given}: the learning rate never decreases within {end}")
    if recipe.sizes and recipe.sizes[-1][0] >= recipe.epochs:
        side = recipe.sizes[-1][1]
        end = f"epochs={recipe.epochs}"
        found.append(f"sizes={recipe.sizes}: no epoch has images of {side} pixels within {end}")
    if recipe.schedule == "plateau" and recipe.patience + 1 >= recipe.epochs:
        end = f"epochs={recipe.epochs}"
        found.append(f"patience={recipe.patience}: the learning rate never decreases within {end}")
    return found


class Plateau:
    """Multiply a schedule's factor by gamma after `patience` epochs without a lower loss.

    `state` is the complete, JSON-serializable state, which is stored in checkpoints.
    """

    def __init__(self, rate: Schedule, patience: int, gamma: float):
        self.rate, self.patience, self.gamma = rate, patience, gamma
        self.state: dict[str, Any] = {"factor": 1.0, "lowest": None, "waited": 0}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.state = dict(state)
        self.rate.factor.assign(self.state["factor"])

    def epoch_ended(self, val_loss: float) -> None:
        """Update the factor with the validation loss of an epoch."""
        state = self.state
        if state["lowest"] is None or val_loss < state["lowest"]:
            state.update(lowest=val_loss, waited=0)
            return
        state["waited"] += 1
        if state["waited"] >= self.patience:
            state.update(waited=0, factor=state["factor"] * self.gamma)
            self.rate.factor.assign(state["factor"])
