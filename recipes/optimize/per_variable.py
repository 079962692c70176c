"""The parts that all optimizers share: clipping, and learning rate and decay by variable."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from recipes.optimize.gradient_stats import is_kernel, stage_of_each
from zoo.options import unknown

BIASES = "biases"  # the name of all biases, next to the names of stages, in lr_multipliers


class PerVariable:
    """Gradient clipping, and learning rate and weight decay of each variable.

    The norm of the whole gradient is clipped to `clip_norm` after the sum over replicas, while
    Keras's global_clipnorm clips the part of each of N replicas and is N times looser.
    `lr_multipliers` maps paths of variables to multipliers of the learning rate. Without
    `decay_norms`, weight decay applies to kernels only, not to parameters of norms and biases.
    """

    clip_norm: float | None = None
    decay_norms: bool = True
    lr_multipliers: dict[str, float] = {}  # noqa: RUF012 - replaced, never changed
    gradient_stats: Any = None  # a GradientStats, which records the gradients of each step

    def build(self, variables):
        if self.built:  # type: ignore[attr-defined]
            return
        self.factors = [float(self.lr_multipliers.get(v.path, 1.0)) for v in variables]
        self.decayed = [self.decay_norms or is_kernel(v) for v in variables]
        super().build(variables)  # type: ignore[misc]

    def factor_of(self, variable) -> float:
        """Return the learning rate multiplier of a variable."""
        return self.factors[self._get_variable_index(variable)]  # type: ignore[attr-defined]

    def is_decayed(self, variable) -> bool:
        """Return whether weight decay applies to a variable."""
        return self.decayed[self._get_variable_index(variable)]  # type: ignore[attr-defined]

    def _all_reduce_sum_gradients(self, grads_and_vars):
        reduced = super()._all_reduce_sum_gradients(grads_and_vars)  # type: ignore[misc]
        if tf.distribute.in_cross_replica_context():
            return reduced
        grads, variables = zip(*reduced, strict=True)
        if self.gradient_stats is not None:
            own = [self._get_variable_index(v) for v in variables]  # type: ignore[attr-defined]
            self.gradient_stats.record(grads, own)
        if self.clip_norm is None:
            return reduced
        clipped, _ = tf.clip_by_global_norm(grads, self.clip_norm)
        return list(zip(clipped, variables, strict=True))


class Rule(PerVariable, keras.optimizers.Optimizer):
    """Base of the optimizers here; `step(gradient, variable, rate)` updates one variable.

    Args:
        learning_rate: learning rate, a number or a schedule.
        decay: weight decay.
        clip_norm: largest norm of the whole gradient, before weight decay is added.
        decay_norms: whether weight decay applies to parameters of norms and biases, too.
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
        """Return the state of a variable with this name."""
        return self.states[name][self._get_variable_index(variable)]

    def with_decay(self, gradient, variable):
        """Add the gradient of the L2 penalty, decay / 2 times the squared weights."""
        # A keras.Variable may become something else than 0 after the step is compiled.
        is_used = isinstance(self.decay, keras.Variable) or self.decay
        if is_used and self.is_decayed(variable):
            return gradient + self.decay * variable
        return gradient

    def update_step(self, gradient, variable, learning_rate):
        rate = ops.cast(learning_rate, variable.dtype)
        if (factor := self.factor_of(variable)) != 1:
            rate = rate * factor
        self.step(ops.cast(gradient, variable.dtype), variable, rate)

    def step(self, gradient, variable, rate) -> None:
        """Update the variable and its states by a gradient of the same dtype."""
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


def variable_multipliers(model: keras.Model, given: dict[str, float]) -> dict[str, float]:
    """Convert learning rate multipliers of stages and biases to those of variables, by path.

    The multiplier of "biases" applies to all biases and to the shifts of norms, on top of that of
    their stage.

    Raises:
        ValueError: if the model does not have one of the stages.
    """
    home = stage_of_each(model)
    for stage in given:
        if stage != BIASES and stage not in home.values():
            raise unknown("stage with weights", stage, {*home.values(), BIASES})
    found = {path: given.get(stage, 1.0) for path, stage in home.items()}
    for path in found:
        if path.endswith(("/bias", "/beta")):
            found[path] *= given.get(BIASES, 1.0)
    return {path: factor for path, factor in found.items() if factor != 1}
