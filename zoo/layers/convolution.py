"""A 2D convolution with padding inside the layer and fast groups."""

import functools

import keras
from keras import ops

from zoo.layers.fusion import unfused
from zoo.layers.sizes import Pads, pad_maps, same_pads, spatial_output, symmetric_pads

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
elif keras.backend.backend() == "jax":
    import jax


@keras.saving.register_keras_serializable(package="zoo")
class Conv2D(keras.layers.Conv2D):
    """A keras.layers.Conv2D that can also pad as PyTorch does, and computes groups fast.

    With as many `groups` as input channels, it is a depthwise convolution. The kernel has the shape
    (height, width, channels / groups, filters), so that its fan-in is the number of values that one
    output depends on.

    Args:
        padding: "symmetric" (the same on both sides, as in most papers and PyTorch), "same" (as in
            TensorFlow, where an odd pixel goes after), "valid" (none), or the number of pixels on
            each side.

    The input is (batch, height, width, channels), the output (batch, height', width', filters).
    """

    def __init__(self, filters, kernel_size, strides=1, padding="symmetric", **kwargs):
        keras_padding = padding if padding in ("valid", "same") else "valid"
        if keras_padding != padding and padding != "symmetric" and not isinstance(padding, int):
            raise ValueError(
                f"padding={padding!r}: must be 'symmetric', 'same', 'valid' or an integer"
            )
        data_format = kwargs.pop("data_format", None)
        if data_format not in (None, "channels_last"):
            raise ValueError(f"data_format={data_format!r}: must be 'channels_last'")
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
        """Return whether to compute a 1x1 convolution as a matrix product.

        On a CPU, the gradient of its kernel takes up to a third less time than oneDNN's gradient of
        a convolution. In inference nothing is gained, because TensorFlow fuses convolutions.
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
            # At stride 1, SAME is symmetric for odd kernels, and the fastest on a CPU.
            at_stride_1 = same_pads(
                (None, None, None), self.kernel_size, (1, 1), self.dilation_rate
            )
            if self.strides == (1, 1) and pads == at_stride_1:
                padding = "same"
            elif keras.backend.backend() == "jax":
                return _convolve_jax(inputs, kernel, self.strides, pads, self.dilation_rate)
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
    """Return x + bias. The gradient of the bias is a product, three times as fast as a sum."""

    @tf.custom_gradient
    def add(x, bias):
        def gradients(dy):
            rows = tf.reshape(dy, (-1, dy.shape[-1]))
            ones = tf.ones((1, tf.shape(rows)[0]), dy.dtype)
            return dy, tf.reshape(tf.matmul(ones, rows), (-1,))

        return tf.nn.bias_add(x, bias), gradients

    return add(x, bias)


def _convolve_jax(x, kernel, strides, pads, dilation):
    """Convolve x, padded with zeros, with a kernel (height, width, channels / groups, filters).

    The padding is part of the convolution, because XLA's gradients are slow otherwise: on an H100,
    a training step of ResNet-50 took 1.8 times as long with the padding as a separate operation.
    """
    kernel = ops.convert_to_tensor(kernel)
    return jax.lax.conv_general_dilated(
        ops.convert_to_tensor(x, kernel.dtype),
        kernel,
        strides,
        pads,
        rhs_dilation=dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1] // kernel.shape[-2],
    )


def _convolve_tf(x, kernel, strides, padding, dilation):
    """Convolve x with a kernel (height, width, channels / groups, filters)."""
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
        # A SavedModel may run where oneDNN is off; the fused kernel does not support groups there.
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


# oneDNN's gradient of a depthwise convolution supports kernels of up to 3 columns. For wider ones,
# it uses that of grouped convolutions, which is 3 to 10 times slower.
_COLUMNS = 3


def _depthwise_tf(x, kernel, strides, padding, dilation):
    """Convolve x with a depthwise kernel (height, width, channels, multiplier)."""

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
    """Return the gradient of a depthwise kernel of `shape`, in strips of _COLUMNS columns."""
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
    """Return whether this machine can compute the gradient of a grouped convolution.

    On a CPU, only oneDNN can, and in half precision only with processors that support the dtype.
    """
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
