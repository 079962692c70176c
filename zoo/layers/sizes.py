"""Padding, output sizes, and layers that pool or pad feature maps."""

import keras
from keras import ops

Pads = tuple[tuple[int, int], tuple[int, int]]


def output_size(n: int | None, k: int, stride: int, before: int, after: int) -> int | None:
    """Return the output length of an axis of length `n` for a window of length `k`."""
    return None if n is None else (n + before + after - k) // stride + 1


def spatial_output(shape, kernel, strides, pads: Pads) -> tuple:
    """Return the output (height, width) of a window on `shape` (batch, height, width, channels).

    Raises:
        ValueError: the window does not fit.
    """
    sizes = tuple(
        output_size(n, k, s, *p)
        for n, k, s, p in zip(shape[1:3], kernel, strides, pads, strict=True)
    )
    if any(n is not None and n < 1 for n in sizes):
        raise ValueError(f"a {kernel[0]}x{kernel[1]} window does not fit in {shape[1:3]}")
    return sizes


def symmetric_pads(kernel, dilation=(1, 1)) -> Pads:
    """Return the padding (before, after) of each axis, equal for odd kernels, as in PyTorch."""
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return (
        (totals[0] // 2, totals[0] - totals[0] // 2),
        (totals[1] // 2, totals[1] - totals[1] // 2),
    )


def same_pads(shape, kernel, strides, dilation=(1, 1)) -> Pads:
    """Return the padding of TensorFlow's SAME, for which the output has ceil(n / stride) rows.

    An odd zero goes after. For an unknown size, the padding is that of stride 1.
    """
    pads = []
    for n, k, s, d in zip(shape[1:3], kernel, strides, dilation, strict=True):
        span = d * (k - 1) + 1
        total = span - 1 if n is None else max((-(-n // s) - 1) * s + span - n, 0)
        pads.append((total // 2, total - total // 2))
    return (pads[0], pads[1])


def pad_maps(x, pads: Pads, value: float = 0.0):
    """Return x with `value` around its feature maps."""
    if pads == ((0, 0), (0, 0)):
        return x
    return ops.pad(x, ((0, 0), *pads, (0, 0)), constant_values=value)


@keras.saving.register_keras_serializable(package="zoo")
class MaxPool2D(keras.layers.MaxPooling2D):
    """Max pooling that pads with minus infinity, as in PyTorch, so that padding never wins.

    Args:
        padding: "valid" (none), "same", the number of pixels on each side, or "ceil", which keeps a
            last window that extends beyond the bottom or right edge, as in Caffe.

    The input and the output are (batch, height, width, channels).
    """

    def __init__(self, pool_size=2, strides=None, padding="valid", **kwargs):
        keras_padding = padding if padding in ("valid", "same") else "valid"
        super().__init__(pool_size, strides, keras_padding, data_format="channels_last", **kwargs)
        if keras_padding != padding and padding != "ceil" and not isinstance(padding, int):
            raise ValueError(f"padding={padding!r}: must be 'valid', 'same', 'ceil' or an integer")
        self.padding = padding

    def _pads(self, shape) -> Pads:
        if self.padding == "same":
            return same_pads(shape, self.pool_size, self.strides)
        if self.padding == "ceil":
            hang = [
                0 if n is None else (k - n) % s
                for n, k, s in zip(shape[1:3], self.pool_size, self.strides, strict=True)
            ]
            return ((0, hang[0]), (0, hang[1]))
        p = 0 if self.padding == "valid" else self.padding
        return ((p, p), (p, p))

    def call(self, inputs):
        if self.padding in ("valid", "same"):
            return super().call(inputs)
        pads = self._pads(inputs.shape)
        if self.padding == "ceil" and None in inputs.shape[1:3]:
            (kh, kw), (sh, sw) = self.pool_size, self.strides
            height, width = ops.shape(inputs)[1:3]
            pads = ((0, (kh - height) % sh), (0, (kw - width) % sw))
        x = pad_maps(inputs, pads, -float("inf"))
        return ops.max_pool(x, self.pool_size, self.strides, "valid", data_format="channels_last")

    def compute_output_shape(self, input_shape):
        pads = self._pads(input_shape)
        sizes = spatial_output(input_shape, self.pool_size, self.strides, pads)
        return (input_shape[0], *sizes, input_shape[3])

    def get_config(self):
        config = super().get_config()
        config.pop("data_format")
        return config


@keras.saving.register_keras_serializable(package="zoo")
class AdaptivePool2D(keras.layers.Layer):
    """Average pooling to `grid` x `grid` values, with the same windows as in PyTorch.

    Window i of n rows goes from floor(i n / grid) to ceil((i + 1) n / grid). In contrast,
    keras.layers.AdaptiveAveragePooling2D fails in a graph if the map is smaller than a window or
    its size varies.

    The input is (batch, height, width, channels), the output (batch, grid, grid, channels).
    """

    def __init__(self, grid: int, **kwargs):
        super().__init__(**kwargs)
        if grid < 1:
            raise ValueError(f"grid={grid}: must be at least 1")
        self.grid = grid

    def _weights(self, n, dtype):
        """Return the weight of each of n rows in each window, as an array (grid, n)."""
        window = ops.arange(self.grid)[:, None]
        row = ops.arange(n)[None, :]
        first = window * n // self.grid
        last = ((window + 1) * n + self.grid - 1) // self.grid
        inside = ops.cast(ops.logical_and(row >= first, row < last), dtype)
        return inside / ops.cast(last - first, dtype)

    def call(self, inputs):
        if self.grid == 1:
            return ops.mean(inputs, axis=(1, 2), keepdims=True)
        height, width = ops.shape(inputs)[1:3]
        down, across = (self._weights(n, inputs.dtype) for n in (height, width))
        return ops.einsum("gh,bhwc,kw->bgkc", down, inputs, across)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.grid, self.grid, input_shape[3])

    def get_config(self):
        return {**super().get_config(), "grid": self.grid}


@keras.saving.register_keras_serializable(package="zoo")
class SamePad(keras.layers.Layer):
    """Zero padding as in TensorFlow's SAME, for a layer without padding that follows.

    Args:
        window, stride: window and stride of the layer that follows.

    The input and the output are (batch, height, width, channels).
    """

    def __init__(self, window: int, stride: int, **kwargs):
        super().__init__(**kwargs)
        if not 1 <= stride <= window:
            raise ValueError(f"stride={stride}: must be from 1 to window={window}")
        self.window, self.stride = window, stride

    def _total(self, n):
        return self.window - 1 - (n - 1) % self.stride

    def pads(self, shape) -> Pads:
        """Return the padding (before, after) of the height and the width of maps of `shape`."""
        height, width = (self._total(n) for n in shape[1:3])
        return ((height // 2, height - height // 2), (width // 2, width - width // 2))

    def call(self, inputs):
        return pad_maps(inputs, self.pads(ops.shape(inputs)))

    def compute_output_shape(self, input_shape):
        sizes = (None if n is None else n + self._total(n) for n in input_shape[1:3])
        return (input_shape[0], *sizes, input_shape[3])

    def get_config(self):
        return {**super().get_config(), "window": self.window, "stride": self.stride}


@keras.saving.register_keras_serializable(package="zoo")
class PadShortcut(keras.layers.Layer):
    """A shortcut without parameters (He et al. 2015, section 3.3, option A).

    It takes each `stride`-th pixel and appends channels of zeros up to `filters`.

    The input is (batch, height, width, channels), the output
    (batch, ceil(height / stride), ceil(width / stride), filters).
    """

    def __init__(self, filters: int, stride: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.stride = filters, stride

    def call(self, inputs):
        x = inputs[:, :: self.stride, :: self.stride, :]
        return ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, self.filters - inputs.shape[-1])))

    def compute_output_shape(self, input_shape):
        if self.filters < input_shape[-1]:
            raise ValueError(
                f"filters={self.filters}: must be at least the {input_shape[-1]} channels of the"
                f" input of {self.name}"
            )
        sizes = (None if n is None else -(-n // self.stride) for n in input_shape[1:3])
        return (input_shape[0], *sizes, self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "stride": self.stride}
