"""A 2D convolution that pads inside the layer and computes groups at the speed of the kernel."""

import functools

import keras
from keras import ops

from zoo.layers.fusion import unfused
from zoo.layers.sizes import Pads, pad_maps, same_pads, spatial_output, symmetric_pads

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf


@keras.saving.register_keras_serializable(package="zoo")
class Conv2D(keras.layers.Conv2D):
    """keras.layers.Conv2D with torch's padding as well and fast groups.

    `groups` equal to the input's channels is the depthwise convolution. The kernel is
    (height, width, channels / groups, filters): its fan-in is what one output sees.

    Args:
        padding: "symmetric" (the same on both sides, as the papers and torch), "same"
            (TensorFlow's: an odd pixel goes after), "valid", or an int (pixels on every side).

    Input (batch, height, width, channels), output (batch, height', width', filters).
    """

    def __init__(self, filters, kernel_size, strides=1, padding="symmetric", **kwargs):
        keras_padding = padding if padding in ("valid", "same") else "valid"
        if keras_padding != padding and padding != "symmetric" and not isinstance(padding, int):
            raise ValueError(f"padding={padding!r} is not 'symmetric', 'same', 'valid' or an int")
        if kwargs.pop("data_format", None) not in (None, "channels_last"):
            raise ValueError("zoo's convolutions take data_format='channels_last' alone")
        super().__init__(
            filters,
            kernel_size,
            strides,
            keras_padding,
            data_format="channels_last",
            **kwargs,
        )
        self.padding = padding

    def _pads(self, shape) -> Pads:
        if self.padding == "symmetric":
            return symmetric_pads(self.kernel_size, self.dilation_rate)
        if self.padding == "same":
            return same_pads(shape, self.kernel_size, self.strides, self.dilation_rate)
        p = 0 if self.padding == "valid" else self.padding
        return ((p, p), (p, p))

    def call(self, inputs, training=None):
        if not (training and keras.backend.backend() == "tensorflow" and _on_cpu()):
            return super().call(inputs)
        x, kernel, product = inputs, self.kernel, self._is_product(inputs)
        if product:
            channels = inputs.shape[-1]
            x, kernel = tf.reshape(x, (-1, channels)), tf.reshape(kernel, (channels, self.filters))
        y = tf.matmul(x, kernel) if product else self.convolution_op(x, kernel)
        if self.use_bias:
            y = _add_bias_tf(y, tf.convert_to_tensor(self.bias))
        if product:
            y = tf.reshape(y, (*ops.shape(inputs)[:-1], self.filters))
        return y if self.activation is None else self.activation(y)

    def _is_product(self, inputs) -> bool:
        """Whether to compute a 1x1 convolution as a product of matrices.

        On the CPU its kernel's gradient takes up to a third less time than oneDNN's of the
        convolution. In inference there is nothing to gain: TensorFlow fuses convolutions.
        """
        return (
            self.kernel_size == self.strides == (1, 1)
            and self.groups == 1
            and self._pads(inputs.shape) == ((0, 0), (0, 0))
            and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16")
        )

    def convolution_op(self, inputs, kernel):
        padding = self.padding
        if padding not in ("same", "valid"):
            pads = self._pads(inputs.shape)
            # At stride 1 SAME is symmetric for odd spans, and the fastest on the CPU.
            at_stride_1 = same_pads(
                (None, None, None), self.kernel_size, (1, 1), self.dilation_rate
            )
            if self.strides == (1, 1) and pads == at_stride_1:
                padding = "same"
            else:
                inputs, padding = pad_maps(inputs, pads), "valid"
        if keras.backend.backend() == "tensorflow":
            return _convolve_tf(inputs, kernel, self.strides, padding.upper(), self.dilation_rate)
        return ops.conv(
            inputs,
            kernel,
            self.strides,
            padding,
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )

    def compute_output_shape(self, input_shape):
        spans = tuple(
            d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation_rate, strict=True)
        )
        pads = self._pads(input_shape)
        sizes = spatial_output(input_shape, spans, self.strides, pads)
        return (input_shape[0], *sizes, self.filters)

    def get_config(self):
        config = super().get_config()
        config.pop("data_format")
        return config


def _add_bias_tf(x, bias):
    """x + bias; the gradient of the bias as a product, in a third of the time of a sum."""

    @tf.custom_gradient
    def add(x, bias):
        def gradients(dy):
            rows = tf.reshape(dy, (-1, dy.shape[-1]))
            ones = tf.ones((1, tf.shape(rows)[0]), dy.dtype)
            return dy, tf.reshape(tf.matmul(ones, rows), (-1,))

        return tf.nn.bias_add(x, bias), gradients

    return add(x, bias)


def _convolve_tf(x, kernel, strides, padding, dilation):
    """x (batch, height, width, channels), kernel (height, width, channels / groups, filters)."""
    groups = x.shape[-1] // kernel.shape[-2]
    dilated = dilation != (1, 1)
    if groups == 1:
        if dilated:
            return tf.nn.convolution(x, kernel, strides, padding, dilations=dilation)
        return tf.nn.conv2d(x, kernel, strides, padding)
    if kernel.shape[-2] == 1 and strides[0] == strides[1] and not (dilated and strides != (1, 1)):
        filters = (*kernel.shape[:2], groups, kernel.shape[-1] // groups)
        return _depthwise_tf(x, tf.reshape(kernel, filters), strides, padding, dilation)
    if not dilated and _groups_have_gradients(x.dtype):
        # A SavedModel may run where oneDNN is off, and there the fused kernel takes no groups.
        return unfused(tf.nn.conv2d(x, kernel, strides, padding))
    return tf.concat(
        [
            tf.nn.convolution(part, weights, strides, padding, dilations=dilation)
            for part, weights in zip(
                tf.split(x, groups, axis=-1), tf.split(kernel, groups, axis=-1), strict=True
            )
        ],
        axis=-1,
    )


# As many columns of a depthwise kernel oneDNN's own gradient takes; for more it computes that
# of a grouped convolution, 3 to 10 times slower.
_COLUMNS = 3


def _depthwise_tf(x, kernel, strides, padding, dilation):
    """The kernel is (height, width, channels, multiplier)."""

    def depthwise(x, kernel):
        return tf.nn.depthwise_conv2d(x, kernel, (1, *strides, 1), padding, dilations=dilation)

    moving = padding == "SAME" and strides != (1, 1) and None in x.shape[1:3]
    wide = kernel.shape[1] > _COLUMNS and dilation == (1, 1) and not moving
    if not (wide and _on_cpu() and _groups_have_gradients(x.dtype)):
        return depthwise(x, kernel)

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradients(dy):
            step = (1, *strides, 1)
            dx = tf.nn.depthwise_conv2d_backprop_input(tf.shape(x), kernel, dy, step, padding)
            return dx, _depthwise_filter_gradient(x, kernel.shape, dy, strides, padding)

        return depthwise(x, kernel), gradients

    return convolve(x, kernel)


def _depthwise_filter_gradient(x, shape, dy, strides, padding):
    """The gradient of a depthwise kernel of `shape`, from strips of _COLUMNS columns."""
    if padding == "SAME":
        sizes = (None, None, None) if strides == (1, 1) else x.shape
        x = pad_maps(x, same_pads(sizes, shape[:2], strides))
    height, width, *channels = shape
    strips = []
    for first in range(0, width, _COLUMNS):
        last = min(first + _COLUMNS, width)
        seen = x[:, :, first : last - width or None]
        strip = (height, last - first, *channels)
        strips.append(
            tf.nn.depthwise_conv2d_backprop_filter(seen, strip, dy, (1, *strides, 1), "VALID")
        )
    return tf.concat(strips, axis=1)


@functools.cache
def _on_cpu() -> bool:
    return not tf.config.list_physical_devices("GPU")


@functools.cache
def _groups_have_gradients(dtype) -> bool:
    """Whether this machine can differentiate a grouped convolution: on a CPU only oneDNN can,
    and of half precision only what the processor has."""
    with tf.init_scope():  # eager, also while a graph is traced
        try:
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=(1, 3, 3, 4),
                filter=tf.ones((3, 3, 2, 4), dtype),
                out_backprop=tf.ones((1, 3, 3, 4), dtype),
                strides=(1, 1, 1, 1),
                padding="SAME",
            )
        except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError):
            return False
    return True
