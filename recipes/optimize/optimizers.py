"""Optimizers with the papers' meaning.

Keras's SGD keeps the rate inside the velocity and decouples the decay; the papers (and
torch) do neither, and the two differ at every change of the rate. Keras's RMSprop starts
its mean square at 0, TF 1's at 1; its Lamb leaves the decay out of the trust ratio; its
Adagrad has epsilon inside the root. Keras's Adam and AdamW are the papers', and used.
"""

import math
from typing import Any

import keras
from keras import ops

from recipes.optimize.per_variable import PerVariable, Rule


@keras.saving.register_keras_serializable("recipes")
class SGD(Rule):
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
        decay_norms: False leaves the decay off norms' parameters and biases.
        lowest_momentum: what the momentum falls to, and rises from again, while the rate of
            a "one_cycle" Schedule rises and falls (Smith 2018, section 4.3).
    """

    settings = ("momentum", "nesterov", "lowest_momentum")

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.9,
        nesterov: bool = False,
        decay: float = 0.0,
        clip_norm: float | None = None,
        decay_norms: bool = True,
        lowest_momentum: float | None = None,
        name: str = "sgd",
    ):
        super().__init__(learning_rate, decay, clip_norm, decay_norms, name)
        self.momentum, self.nesterov = momentum, nesterov
        self.lowest_momentum = lowest_momentum
        self.slots = {"velocity": 0.0} if momentum else {}

    def step(self, gradient, variable, rate):
        step = self.with_decay(gradient, variable)
        if self.momentum:
            momentum = self._momentum()
            velocity = self.state("velocity", variable)
            new = momentum * velocity + step
            self.assign(velocity, new)
            step = step + momentum * new if self.nesterov else new
        self.assign_sub(variable, rate * step)

    def _momentum(self):
        if self.lowest_momentum is None:
            return self.momentum
        height = self._learning_rate.height(self.iterations)
        return self.momentum - (self.momentum - self.lowest_momentum) * height


@keras.saving.register_keras_serializable("recipes")
class RMSProp(Rule):
    """RMSProp as TF 1 has it, for MobileNet, NASNet and EfficientNet.

        g = gradient + decay * w
        s = rho * s + (1 - rho) * g^2                       s starts at 1
        v = momentum * v + rate * g / sqrt(s + epsilon)
        w = w - v

    epsilon is inside the root, the rate inside v; 1e-3 is EfficientNet's, MobileNet's is 1.
    """

    settings = ("rho", "momentum", "epsilon")
    slots = {"mean_square": 1.0, "velocity": 0.0}  # noqa: RUF012

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        decay: float = 0.0,
        clip_norm: float | None = None,
        decay_norms: bool = True,
        name: str = "rmsprop",
    ):
        super().__init__(learning_rate, decay, clip_norm, decay_norms, name)
        self.rho, self.momentum, self.epsilon = rho, momentum, epsilon

    def step(self, gradient, variable, rate):
        g = self.with_decay(gradient, variable)
        square, velocity = (self.state(n, variable) for n in ("mean_square", "velocity"))
        new_square = self.rho * square + (1 - self.rho) * ops.square(g)
        new = self.momentum * velocity + rate * g / ops.sqrt(new_square + self.epsilon)
        self.assign(square, new_square)
        self.assign(velocity, new)
        self.assign_sub(variable, new)


@keras.saving.register_keras_serializable("recipes")
class LAMB(Rule):
    """LAMB. You et al. 2020, algorithm 2, with the identity for phi.

        m = beta_1 * m + (1 - beta_1) * g          v = beta_2 * v + (1 - beta_2) * g^2
        r = (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)
        u = r + decay * w
        w = w - rate * |w| / |u| * u               by variable; 1 where a norm is 0

    As in the authors' code, a variable that is not decayed has the ratio 1.
    """

    settings = ("beta_1", "beta_2", "epsilon")
    slots = {"mean": 0.0, "mean_square": 0.0}  # noqa: RUF012

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        decay: float = 0.0,
        clip_norm: float | None = None,
        decay_norms: bool = True,
        name: str = "lamb",
    ):
        super().__init__(learning_rate, decay, clip_norm, decay_norms, name)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def step(self, gradient, variable, rate):
        t = ops.cast(self.iterations + 1, variable.dtype)
        mean, square = (self.state(n, variable) for n in ("mean", "mean_square"))
        new_mean = self.beta_1 * mean + (1 - self.beta_1) * gradient
        new_square = self.beta_2 * square + (1 - self.beta_2) * ops.square(gradient)
        self.assign(mean, new_mean)
        self.assign(square, new_square)
        # 1 - beta^t, without the rounding of beta^t in float32
        unbias_1, unbias_2 = (-ops.expm1(t * math.log(b)) for b in (self.beta_1, self.beta_2))
        step = new_mean / unbias_1 / (ops.sqrt(new_square / unbias_2) + self.epsilon)
        step = self.with_decay(step, variable)
        if self.is_decayed(variable):
            weight, length = (ops.sqrt(ops.sum(ops.square(x))) for x in (variable, step))
            both = ops.logical_and(weight > 0, length > 0)
            rate = rate * ops.where(both, weight / ops.where(both, length, 1.0), 1.0)
        self.assign_sub(variable, rate * step)


@keras.saving.register_keras_serializable("recipes")
class Adagrad(Rule):
    """Adagrad. Duchi et al. 2011, the diagonal form; equal to torch.optim.Adagrad.

    g = gradient + decay * w
    s = s + g^2                                     s starts at 0
    w = w - rate * g / (sqrt(s) + epsilon)
    """

    settings = ("epsilon",)
    slots = {"sum_of_squares": 0.0}  # noqa: RUF012

    def __init__(
        self,
        learning_rate: Any = 0.01,
        epsilon: float = 1e-10,
        decay: float = 0.0,
        clip_norm: float | None = None,
        decay_norms: bool = True,
        name: str = "adagrad",
    ):
        super().__init__(learning_rate, decay, clip_norm, decay_norms, name)
        self.epsilon = epsilon

    def step(self, gradient, variable, rate):
        g = self.with_decay(gradient, variable)
        total = self.state("sum_of_squares", variable)
        new = total + ops.square(g)
        self.assign(total, new)
        self.assign_sub(variable, rate * g / (ops.sqrt(new) + self.epsilon))


class Adam(PerVariable, keras.optimizers.Adam):
    """Keras's Adam: Kingma and Ba 2015 in the form that ends section 2, where epsilon is
    beside the uncorrected root."""

    def update_step(self, gradient, variable, learning_rate):
        if (factor := self.factor_of(variable)) != 1:
            learning_rate = learning_rate * factor
        super().update_step(gradient, variable, learning_rate)


class AdamW(Adam, keras.optimizers.AdamW):
    """Keras's AdamW: w is multiplied by 1 - rate * decay first. Loshchilov and Hutter 2019."""

    def _apply_weight_decay(self, variables):
        if not self.rates:
            super()._apply_weight_decay(variables)
        # With rates by stage the decay is each variable's own, in update_step.

    def update_step(self, gradient, variable, learning_rate):
        if self.rates and self._use_weight_decay(variable):
            rate = ops.cast(learning_rate, variable.dtype) * self.factor_of(variable)
            self.assign_sub(variable, variable * self.weight_decay * rate)
        super().update_step(gradient, variable, learning_rate)

    def _use_weight_decay(self, variable):
        return self.is_decayed(variable)
