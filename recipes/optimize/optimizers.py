"""Optimizers as defined in the papers.

Keras's SGD multiplies the velocity by the learning rate and decouples weight decay; the papers
and PyTorch do neither, so the two differ whenever the learning rate changes. Keras's RMSprop
starts its mean square at 0, TensorFlow 1 at 1. Keras's Lamb leaves weight decay out of the trust
ratio, and its Adagrad has epsilon inside the root. Keras's Adam and AdamW follow the papers and
are used here.
"""

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from recipes.optimize.gradient_stats import is_kernel
from recipes.optimize.per_variable import PerVariable, Rule


@keras.saving.register_keras_serializable("recipes")
class SGD(Rule):
    """Stochastic gradient descent as in the papers and torch.optim.SGD.

        g = gradient + decay * w
        v = momentum * v + g
        w = w - rate * (g + momentum * v  if nesterov else  v)

    Args:
        learning_rate: learning rate, a number or a schedule.
        momentum: momentum, at least 0 and below 1.
        nesterov: whether to use Nesterov's momentum.
        decay: weight decay as an L2 penalty, on all trainable variables.
        clip_norm: largest norm of the whole gradient, before weight decay is added.
        decay_norms: whether weight decay applies to parameters of norms and biases, too.
        min_momentum: minimum of the momentum, reached when the learning rate of a "one_cycle"
            Schedule is highest (Smith 2018, section 4.3).
    """

    settings = ("momentum", "nesterov", "min_momentum")

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.9,
        nesterov: bool = False,
        decay: float = 0.0,
        clip_norm: float | None = None,
        decay_norms: bool = True,
        min_momentum: float | None = None,
        name: str = "sgd",
    ):
        super().__init__(learning_rate, decay, clip_norm, decay_norms, name)
        self.momentum, self.nesterov = momentum, nesterov
        self.min_momentum = min_momentum
        self.slots = {"velocity": 0.0} if momentum else {}

    def step(self, gradient, variable, rate):
        step = self.with_momentum(self.with_decay(gradient, variable), variable)
        self.assign_sub(variable, rate * step)

    def with_momentum(self, step, variable):
        """Return the step with momentum, and update the velocity."""
        if self.slots:
            momentum = self._momentum()
            velocity = self.state("velocity", variable)
            # Without this dependency, Grappler turns the two additions into one AddN, which adds in
            # an order that depends on which buffers are free at that moment, and so on the timing.
            with tf.control_dependencies([step]):
                new = momentum * velocity + step
            self.assign(velocity, new)
            step = step + momentum * new if self.nesterov else new
        return step

    def _momentum(self):
        if self.min_momentum is None:
            return self.momentum
        height = self._learning_rate.height(self.iterations)
        return self.momentum - (self.momentum - self.min_momentum) * height


@keras.saving.register_keras_serializable("recipes")
class Muon(SGD):
    """Muon (Jordan et al. 2024, Muon: An optimizer for hidden layers in neural networks).

        v = momentum * v + gradient
        u = gradient + momentum * v  if nesterov else  v
        w = w - rate * (sqrt(max(1, filters / n)) * orthogonal(u) + decay * w)

    This is for the kernels of hidden layers, as matrices of n = height * width * channels rows and
    one column per filter. `orthogonal` moves all singular values close to 1. Weight decay is
    decoupled (Liu et al. 2025, Muon is scalable for LLM training). All other variables, such as
    biases, parameters of norms and the classifier, are updated as by SGD, without weight decay.
    """

    def build(self, variables):
        self.hidden = [is_kernel(v) and not v.path.startswith("head") for v in variables]
        super().build(variables)

    def step(self, gradient, variable, rate):
        if not self.hidden[self._get_variable_index(variable)]:
            self.assign_sub(variable, rate * self.with_momentum(gradient, variable))
            return
        *_, filters = variable.shape
        matrix = ops.reshape(self.with_momentum(gradient, variable), (-1, filters))
        scale = max(1.0, filters / matrix.shape[0]) ** 0.5
        step = scale * ops.reshape(orthogonalized(matrix), variable.shape) + self.decay * variable
        self.assign_sub(variable, rate * step)


def orthogonalized(matrix, steps: int = 5):
    """Return a matrix with the same singular vectors, and singular values of about 0.7 to 1.2.

    These are Muon's Newton-Schulz iterations: each replaces the singular values s, which are at
    most 1 at first, by 3.4445 s - 4.7750 s^3 + 2.0315 s^5.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = ops.transpose(matrix) if tall else matrix
    x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
    for _ in range(steps):
        square = ops.matmul(x, ops.transpose(x))
        odd = -4.7750 * square + 2.0315 * ops.matmul(square, square)
        x = 3.4445 * x + ops.matmul(odd, x)
    return ops.transpose(x) if tall else x


@keras.saving.register_keras_serializable("recipes")
class RMSProp(Rule):
    """RMSProp as in TensorFlow 1, for MobileNet, NASNet and EfficientNet.

        g = gradient + decay * w
        s = rho * s + (1 - rho) * g^2                       s starts at 1
        v = momentum * v + rate * g / sqrt(s + epsilon)
        w = w - v

    epsilon is inside the root and the learning rate inside v. EfficientNet has epsilon 1e-3,
    MobileNet 1.
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
    """LAMB (You et al. 2020, algorithm 2, with the identity for phi).

        m = beta_1 * m + (1 - beta_1) * g          v = beta_2 * v + (1 - beta_2) * g^2
        r = (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)
        u = r + decay * w
        w = w - rate * |w| / |u| * u               by variable; 1 where a norm is 0

    As in the authors' code, the ratio is 1 for variables without weight decay.
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
    """Adagrad (Duchi et al. 2011, the diagonal form); equal to torch.optim.Adagrad.

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
    """Keras's Adam (Kingma and Ba 2015, in the form at the end of section 2).

    In this form, epsilon is added to the root before its bias correction.
    """

    def update_step(self, gradient, variable, learning_rate):
        if (factor := self.factor_of(variable)) != 1:
            learning_rate = learning_rate * factor
        super().update_step(gradient, variable, learning_rate)


class AdamW(Adam, keras.optimizers.AdamW):
    """Keras's AdamW (Loshchilov and Hutter 2019): first multiplies w by 1 - rate * decay."""

    def _apply_weight_decay(self, variables):
        if not self.lr_multipliers:
            super()._apply_weight_decay(variables)
        # With learning rates by stage, update_step decays each variable at its own rate.

    def update_step(self, gradient, variable, learning_rate):
        if self.lr_multipliers and self._use_weight_decay(variable):
            rate = ops.cast(learning_rate, variable.dtype) * self.factor_of(variable)
            self.assign_sub(variable, variable * self.weight_decay * rate)
        super().update_step(gradient, variable, learning_rate)

    def _use_weight_decay(self, variable):
        return self.is_decayed(variable)
