"""What every optimizer does with each variable: its rate, its decay, the clip of the whole."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from recipes.optimize.gradient_stats import is_kernel, stage_of_each
from zoo.options import unknown


class PerVariable:
    """What all our optimizers do with each variable, beside their own rule.

    The gradient is clipped to `clip_norm` by the norm of the whole, after the sum over
    replicas: Keras's global_clipnorm clips each replica's share, N times looser. `rates`
    multiply the rate of the variables at those paths. With `decay_norms` off the decay is
    on kernels alone, not on norms' parameters and biases.
    """

    clip_norm: float | None = None
    decay_norms: bool = True
    rates: dict[str, float] = {}  # noqa: RUF012 - replaced, never changed
    gauges: Any = None  # recipes.optimize.gradient_stats.Gauges, told of each step's gradients

    def build(self, variables):
        if self.built:  # type: ignore[attr-defined]
            return
        self.factors = [float(self.rates.get(v.path, 1.0)) for v in variables]
        self.decayed = [self.decay_norms or is_kernel(v) for v in variables]
        super().build(variables)  # type: ignore[misc]

    def factor_of(self, variable) -> float:
        """What multiplies the rate of a variable."""
        return self.factors[self._get_variable_index(variable)]  # type: ignore[attr-defined]

    def is_decayed(self, variable) -> bool:
        """Whether the decay is on a variable."""
        return self.decayed[self._get_variable_index(variable)]  # type: ignore[attr-defined]

    def _all_reduce_sum_gradients(self, grads_and_vars):
        reduced = super()._all_reduce_sum_gradients(grads_and_vars)  # type: ignore[misc]
        if tf.distribute.in_cross_replica_context():
            return reduced
        grads, variables = zip(*reduced, strict=True)
        if self.gauges is not None:
            own = [self._get_variable_index(v) for v in variables]  # type: ignore[attr-defined]
            self.gauges.record(grads, own)
        if self.clip_norm is None:
            return reduced
        clipped, _ = tf.clip_by_global_norm(grads, self.clip_norm)
        return list(zip(clipped, variables, strict=True))


class Rule(PerVariable, keras.optimizers.Optimizer):
    """An optimizer of ours: `step(gradient, variable, index, rate)` is the rule of one variable.

    Args:
        learning_rate: a number or a schedule.
        decay: the weight decay.
        clip_norm: the largest norm of the whole gradient, before the decay is added.
        decay_norms: False leaves the decay off norms' parameters and biases.
    """

    slots: dict[str, float] = {}  # noqa: RUF012 - names of states and where they start

    def __init__(
        self,
        learning_rate: Any,
        decay: float = 0.0,
        clip_norm: float | None = None,
        decay_norms: bool = True,
        name: str | None = None,
    ):
        super().__init__(learning_rate=learning_rate, name=name or type(self).__name__.lower())
        self.decay, self.clip_norm, self.decay_norms = decay, clip_norm, decay_norms

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.states = {
            name: self.add_optimizer_variables(
                variables, name, keras.initializers.Constant(start) if start else "zeros"
            )
            for name, start in self.slots.items()
        }

    def state(self, name: str, variable):
        """A variable's state of a name."""
        return self.states[name][self._get_variable_index(variable)]

    def with_decay(self, gradient, variable):
        """The gradient and the papers' decay: that of decay / 2 times the squared weight."""
        if self.decay and self.is_decayed(variable):
            return gradient + self.decay * variable
        return gradient

    def update_step(self, gradient, variable, learning_rate):
        rate = ops.cast(learning_rate, variable.dtype)
        if (factor := self.factor_of(variable)) != 1:
            rate = rate * factor
        self.step(ops.cast(gradient, variable.dtype), variable, rate)

    def step(self, gradient, variable, rate) -> None:
        """Change the variable, and its states, by a gradient of its type at a rate."""
        raise NotImplementedError

    def get_config(self):
        config = super().get_config()
        own = ("decay", "clip_norm", "decay_norms")
        return {
            "learning_rate": config["learning_rate"],
            **{name: getattr(self, name) for name in (*self.settings, *own)},
            "name": config["name"],
        }

    settings: tuple[str, ...] = ()


def stage_rates(model: keras.Model, rates: dict[str, float]) -> dict[str, float]:
    """The factors of stages as factors of variables, by their paths.

    Raises:
        ValueError: a stage that the model does not have.
    """
    home = stage_of_each(model)
    for stage in rates:
        if stage not in home.values():
            raise unknown("stage with weights", stage, set(home.values()))
    return {path: rates[stage] for path, stage in home.items() if stage in rates}
