"""Batch normalization in one fused operation, and AlexNet's local response normalization."""

import keras
from keras import ops

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

_FUSED_DTYPES = ("float32", "bfloat16", "float16")


@keras.saving.register_keras_serializable(package="zoo")
class BatchNorm(keras.layers.BatchNormalization):
    """A keras.layers.BatchNormalization over the last axis, in one fused operation if possible.

    Ioffe & Szegedy 2015. As in Keras, the moving variance is that of the population, and
    `trainable = False` means inference mode.

    Statistics are computed in float32 or wider. The scale, the offset and the moving statistics are
    stored like this even under pure half-precision policies: a float16 variance overflows above
    65,504, and an update of a moving average in bfloat16 is lost below 1/256 of its value. Inputs
    and outputs have the compute dtype.

    With several replicas, the moving statistics are averaged over them, so that all replicas hold
    the same. With `synchronized=True`, they also normalize by the statistics of the global batch.
    On JAX, a sharded batch is one array, so statistics are always those of the global batch.

    The input and the output are (batch, ..., channels).
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, synchronized=False, **kwargs):
        if kwargs.pop("axis", -1) != -1 or kwargs.pop("renorm", False):
            raise ValueError(
                "axis, renorm: BatchNorm only normalizes over the last axis, without renorm; use "
                "keras.layers.BatchNormalization"
            )
        for unused in ("renorm_clipping", "renorm_momentum"):
            kwargs.pop(unused, None)
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)
        self.synchronized = synchronized  # set here, because Keras accepts it on TensorFlow only

    def add_weight(self, *args, dtype=None, **kwargs):
        dtype = dtype or keras.backend.result_type(self.variable_dtype, "float32")
        return super().add_weight(*args, dtype=dtype, **kwargs)

    def call(self, inputs, training=None, mask=None):
        if mask is not None:
            return super().call(inputs, training=training, mask=mask)
        training = bool(training) and self.trainable
        fused = (
            keras.backend.backend() == "tensorflow"
            and len(inputs.shape) == 4
            and keras.backend.standardize_dtype(inputs.dtype) in _FUSED_DTYPES
            and not (training and self.synchronized)
        )
        normalize = self._fused if fused else self._plain
        outputs, mean, variance = normalize(inputs, training)
        if training:
            self._update(mean, variance)
        return ops.cast(outputs, self.compute_dtype)

    def _fused(self, x, training):
        ones = tf.ones_like(self.moving_mean)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=self.gamma if self.scale else ones,
            offset=self.beta if self.center else tf.zeros_like(ones),
            mean=[] if training else self.moving_mean,
            variance=[] if training else self.moving_variance,
            epsilon=self.epsilon,
            is_training=training,
        )
        # The operation returns the unbiased variance.
        n = tf.cast(tf.size(x) // x.shape[-1], variance.dtype)
        return outputs, mean, variance * (n - 1) / n

    def _plain(self, x, training):
        x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        if training:
            axes = list(range(len(x.shape) - 1))
            across = self.synchronized and keras.backend.backend() == "tensorflow"
            mean, variance = ops.moments(x, axes, synchronized=across)
        else:
            mean = ops.cast(self.moving_mean, x.dtype)
            variance = ops.cast(self.moving_variance, x.dtype)
        beta = ops.cast(self.beta, x.dtype) if self.center else None
        gamma = ops.cast(self.gamma, x.dtype) if self.scale else None
        outputs = ops.batch_normalization(
            x, mean, variance, -1, offset=beta, scale=gamma, epsilon=self.epsilon
        )
        return outputs, mean, variance

    def _update(self, mean, variance):
        if keras.backend.backend() == "tensorflow":
            replica = tf.distribute.get_replica_context()
            if replica is not None and replica.num_replicas_in_sync > 1:
                mean, variance = replica.all_reduce(tf.distribute.ReduceOp.MEAN, [mean, variance])
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            kept = ops.cast(moving, batch.dtype) * self.momentum
            moving.assign(ops.cast(kept + batch * (1.0 - self.momentum), moving.dtype))


@keras.saving.register_keras_serializable(package="zoo")
class LocalResponseNorm(keras.layers.Layer):
    """x / (k + alpha * sum of x^2 over n neighboring channels)^beta.

    Krizhevsky et al. 2012, section 3.3; the defaults are the constants of this paper. The input and
    the output are (batch, height, width, channels).
    """

    def __init__(self, k=2.0, n=5, alpha=1e-4, beta=0.75, **kwargs):
        super().__init__(**kwargs)
        self.k, self.n, self.alpha, self.beta = k, n, alpha, beta

    def call(self, inputs):
        # Not in half precision, where squares overflow and TensorFlow lacks the operation.
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        radius = self.n // 2
        if keras.backend.backend() == "tensorflow" and x.dtype == "float32":
            y = tf.nn.local_response_normalization(x, radius, self.k, self.alpha, self.beta)
        else:
            channels = inputs.shape[-1]
            squares = ops.pad(ops.square(x), ((0, 0), (0, 0), (0, 0), (radius, radius)))
            total = sum(squares[..., i : i + channels] for i in range(2 * radius + 1))
            y = x / ops.power(self.k + self.alpha * total, self.beta)
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "k": self.k,
            "n": self.n,
            "alpha": self.alpha,
            "beta": self.beta,
        }
