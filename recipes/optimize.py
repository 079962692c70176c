"""What an update is: optimizers and schedules with the papers' meaning.

Keras's SGD keeps the rate inside the velocity and decouples the decay; the papers (and
torch) do neither, and the two differ at every change of the rate.
"""

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from recipes.recipe import Recipe


class ClipWhole:
    """Clips an optimizer's gradient to `clip_norm`, by the norm of the whole, after the sum
    over replicas. Keras's global_clipnorm clips each replica's share: N times looser."""

    clip_norm: float | None = None

    def _all_reduce_sum_gradients(self, grads_and_vars):
        reduced = super()._all_reduce_sum_gradients(grads_and_vars)  # type: ignore[misc]
        if self.clip_norm is None or tf.distribute.in_cross_replica_context():
            return reduced
        grads, variables = zip(*reduced, strict=True)
        clipped, _ = tf.clip_by_global_norm(grads, self.clip_norm)
        return list(zip(clipped, variables, strict=True))


@keras.saving.register_keras_serializable("recipes")
class SGD(ClipWhole, keras.optimizers.Optimizer):
    """Stochastic gradient descent as in the papers and torch.optim.SGD.

        g = gradient + decay * w
        v = momentum * v + g
        w = w - rate * (g + momentum * v  if nesterov else  v)

    Args:
        learning_rate: a number or a schedule.
        momentum: from 0 to below 1.
        nesterov: whether to look ahead.
        decay: the papers' weight decay, on every trainable variable.
        clip_norm: the largest norm of the whole gradient, before the decay is added.
    """

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.9,
        nesterov: bool = False,
        decay: float = 0.0,
        clip_norm: float | None = None,
        name: str = "sgd",
    ):
        super().__init__(learning_rate=learning_rate, name=name)
        self.momentum = momentum
        self.nesterov = nesterov
        self.decay = decay
        self.clip_norm = clip_norm

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.velocities = []
        if self.momentum:
            self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient, variable, learning_rate):
        rate = ops.cast(learning_rate, variable.dtype)
        step = ops.cast(gradient, variable.dtype)
        if self.decay:
            step = step + self.decay * variable
        if self.momentum:
            velocity = self.velocities[self._get_variable_index(variable)]
            new = self.momentum * velocity + step
            self.assign(velocity, new)
            step = step + self.momentum * new if self.nesterov else new
        self.assign_sub(variable, rate * step)

    def get_config(self):
        config = super().get_config()
        return {
            "learning_rate": config["learning_rate"],
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "decay": self.decay,
            "clip_norm": self.clip_norm,
            "name": config["name"],
        }


class Adam(ClipWhole, keras.optimizers.Adam):
    """Keras's Adam, with our clipping."""


class AdamW(ClipWhole, keras.optimizers.AdamW):
    """Keras's AdamW (the decay is decoupled), with our clipping."""


@keras.saving.register_keras_serializable("recipes")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The rate at a step: a linear warm-up times the schedule `kind` times `factor`.

    The warm-up's first step has rate lr / (its number of steps), its last lr. Cosine goes
    from the end of the warm-up to 0 at the end of training. `factor` is what "plateau"
    multiplies by gamma: a variable, so that a compiled step sees it change.

    Args:
        kind: "constant", "cosine", "step" or "plateau".
        lr: the highest rate.
        total, warmup: in steps.
        boundaries: the steps from which a further `gamma` multiplies the rate.
    """

    def __init__(
        self,
        kind: str,
        lr: float,
        total: int,
        warmup: int = 0,
        boundaries: tuple[int, ...] = (),
        gamma: float = 0.1,
    ):
        self.kind, self.lr, self.total, self.warmup = kind, lr, total, warmup
        self.boundaries, self.gamma = tuple(boundaries), gamma
        self.factor = keras.Variable(1.0, trainable=False, dtype="float32", name="factor")

    def __call__(self, step):
        step = ops.cast(step, "float32")
        warm = ops.minimum(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if self.kind == "cosine":
            done = (step - self.warmup) / max(1, self.total - self.warmup)
            shape = 0.5 * (1 + ops.cos(math.pi * ops.clip(done, 0.0, 1.0)))
        elif self.kind == "step":
            falls = sum(ops.cast(step >= at, "float32") for at in self.boundaries)
            shape = ops.power(self.gamma, falls)
        else:
            shape = 1.0
        return self.lr * warm * shape * self.factor

    def get_config(self):
        names = ("kind", "lr", "total", "warmup", "boundaries", "gamma")
        return {name: getattr(self, name) for name in names}


def schedule(recipe: Recipe, steps_per_epoch: int) -> Schedule:
    """The recipe's schedule, in steps. Call it inside the strategy's scope."""
    return Schedule(
        kind=recipe.schedule,
        lr=recipe.lr,
        total=recipe.epochs * steps_per_epoch,
        warmup=round(recipe.warmup * steps_per_epoch),
        boundaries=tuple(round(epoch * steps_per_epoch) for epoch in recipe.steps),
        gamma=recipe.gamma,
    )


def optimizer(recipe: Recipe, rate: Schedule) -> keras.optimizers.Optimizer:
    """The recipe's optimizer. Call it inside the strategy's scope."""
    if recipe.optimizer == "sgd":
        return SGD(rate, recipe.momentum, recipe.nesterov, recipe.weight_decay, recipe.clip_norm)
    if recipe.optimizer == "adam":
        made = Adam(rate, name="adam")
    else:
        made = AdamW(rate, weight_decay=recipe.weight_decay, name="adamw")
    made.clip_norm = recipe.clip_norm
    return made


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
