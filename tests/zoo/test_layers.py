"""Our layers against plain Keras on random inputs: outputs, gradients and shapes."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.zoo.layer_comparison import assert_all_close, outputs_and_gradients, random
from zoo import layers

pytestmark = pytest.mark.quick


def plain_convolution(x, kernel, bias, pads, stride, dilation, groups):
    """Pad with zeros and convolve each group separately with keras.ops.conv."""
    x = tf.pad(x, ((0, 0), *pads, (0, 0)))
    parts = [
        keras.ops.conv(a, k, stride, "valid", dilation_rate=dilation)
        for a, k in zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
    ]
    return tf.concat(parts, -1) + bias


CONVOLUTIONS = [
    case
    for case in itertools.product(
        ("symmetric", "same", "valid", 2), (1, 2), (1, 2), (1, 3), (1, 2, 8), (8, 9)
    )
    if not (case[1] > 1 and case[2] > 1)
]


@pytest.mark.parametrize(("padding", "stride", "dilation", "k", "groups", "size"), CONVOLUTIONS)
def test_convolution_equals_plain_keras(padding, stride, dilation, k, groups, size):
    x = random(2, size, size, 8)
    layer = layers.Conv2D(
        16, k, stride, padding, dilation_rate=dilation, groups=groups, bias_initializer="normal"
    )
    y = layer(x)
    span = dilation * (k - 1)
    if padding == "same":
        total = max((-(-size // stride) - 1) * stride + span + 1 - size, 0)
        pads = [(total // 2, total - total // 2)] * 2
    else:
        p = {"symmetric": span // 2, "valid": 0}.get(padding, padding)
        pads = [(p, p)] * 2
    assert tuple(y.shape) == layer.compute_output_shape(x.shape)
    weights = random(*y.shape, seed=1)
    kernel, bias = layer.kernel.value, layer.bias.value
    assert_all_close(
        outputs_and_gradients(layer, [kernel, bias], x, weights),
        outputs_and_gradients(
            lambda x: plain_convolution(x, kernel, bias, pads, stride, dilation, groups),
            [kernel, bias],
            x,
            weights,
        ),
    )


@pytest.mark.parametrize("padding", ["symmetric", "same", 2])
def test_convolution_takes_varying_input_sizes(padding):
    layer = layers.Conv2D(4, 3, 2, padding)
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, layer(inputs))
    assert model.output.shape == (None, None, None, 4)
    for size in (7, 8):
        x = random(2, size, size, 3)
        assert model(x).shape == layer.compute_output_shape(x.shape)


@pytest.mark.full
def test_grouped_convolutions_train_without_onednn(python):
    """Without oneDNN, TensorFlow lacks this gradient, and the groups are computed separately."""
    program = """
import numpy as np, tensorflow as tf
from zoo import layers
from zoo.layers import convolution
rng = np.random.default_rng(0)
x = rng.normal(size=(2, 8, 8, 8)).astype("float32")
for stride in (1, 2):
    layer = layers.Conv2D(16, 3, stride, groups=4, kernel_initializer=keras.initializers.Ones())
    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(y, layer.kernel.value)
    layer(x)
    print(float(tf.reduce_sum(step(x))))
print(convolution._groups_have_gradients(tf.float32))
"""
    program = "import keras\n" + program
    off = python(program, TF_ENABLE_ONEDNN_OPTS="0").stdout.split()
    on = python(program).stdout.split()
    assert off[2] == "False"
    np.testing.assert_allclose([float(v) for v in off[:2]], [float(v) for v in on[:2]], rtol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    ("stride", "k", "groups"), [(1, 1, 1), (1, 3, 1), (2, 3, 1), (1, 3, 2), (1, 5, 8), (2, 5, 8)]
)
def test_convolutions_and_gradients_in_pure_half_precision_are_accurate(dtype, stride, k, groups):
    """Including the gradient of a bias, a sum over 4,000 pixels that TensorFlow itself computes
    with an error of 80 % in bfloat16."""
    ours = layers.Conv2D(8, k, stride, groups=groups, bias_initializer="normal", dtype=dtype)
    exact = layers.Conv2D(8, k, stride, groups=groups, dtype="float64")
    x = tf.cast(random(4, 32, 32, 8) + 1, dtype)
    for layer in (ours, exact):
        layer.build(x.shape)
    exact.set_weights([np.asarray(w, "float64") for w in ours.get_weights()])
    weights = random(*exact.compute_output_shape(x.shape), seed=1) + 0.5
    weights = np.asarray(tf.cast(tf.cast(weights, dtype), tf.float32))
    results = [
        outputs_and_gradients(
            lambda x, layer=layer: layer(x, training=True),
            [layer.kernel.value, layer.bias.value],
            tf.cast(x, layer.compute_dtype),
            weights,
        )
        for layer in (ours, exact)
    ]
    assert results[0][0].dtype == dtype
    assert_all_close(*results, tolerance=1e-2)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_preprocessing_keeps_fractions_of_pixels_in_half_precision(dtype):
    """Resized photos have such pixels: 200.3 would be rounded to 200 in bfloat16."""
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype("float32")
    keras.config.set_dtype_policy(dtype)
    try:
        affine = layers.Affine(np.float32([124, 116, 104]), 0.017, name="input_affine")
        model = zoo.build("toy_lenet", preprocess=affine, input_shape=(32, 32, 3))
    finally:
        keras.config.set_dtype_policy("float32")
    before = keras.Model(model.input, model.get_layer("input_affine").output)
    pixels = np.tile(pixels, (1, 4, 4, 1))
    expected = (pixels.astype("float64") - [124, 116, 104]) * 0.017
    np.testing.assert_allclose(before.predict(pixels, verbose=0), expected, atol=1e-5)


@pytest.mark.parametrize("size", [5, 6, 7, 8])
def test_max_pool_pads_symmetrically_or_at_the_end(size):
    x = random(2, size, size, 3) - 10  # below 0, so that padding with zeros would show
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    plain = keras.layers.MaxPooling2D(3, 2)
    np.testing.assert_array_equal(layers.MaxPool2D(3, 2, 1)(x), plain(padded))
    hang = (3 - size) % 2
    edge = np.pad(x, ((0, 0), (0, hang), (0, hang), (0, 0)), constant_values=-np.inf)
    ceil = layers.MaxPool2D(3, 2, "ceil")
    np.testing.assert_array_equal(ceil(x), plain(edge))
    assert ceil(x).shape[1] == -(-(size - 3) // 2) + 1
    inputs = keras.Input((None, None, 3))
    np.testing.assert_array_equal(keras.Model(inputs, ceil(inputs))(x), plain(edge))


def test_pad_shortcut_subsamples_and_appends_zeros():
    x = random(2, 5, 5, 3)
    y = np.asarray(layers.PadShortcut(7, 2)(x))
    np.testing.assert_array_equal(y[..., :3], x[:, ::2, ::2])
    assert y.shape == (2, 3, 3, 7)
    assert not y[..., 3:].any()


def test_affine_subtracts_scales_and_multiplies_by_a_matrix():
    x, shift, matrix = random(2, 3, 3, 2), random(3, 3, 2, seed=1), random(18, 18, seed=2)
    y = layers.Affine(shift, 0.5, matrix)(x)
    expected = ((x - shift) * 0.5).reshape(2, -1) @ matrix
    np.testing.assert_allclose(np.asarray(y).reshape(2, -1), expected, atol=1e-5)
    assert not layers.Affine(shift).trainable_weights


@pytest.mark.parametrize("grid", [1, 2, 3, 6, 7])
def test_adaptive_pool_uses_the_windows_of_torch(grid):
    for n in (1, 2, 5, 7, 13):
        x = random(2, n, n + 1, 3)
        expected = np.empty((2, grid, grid, 3))
        for i in range(grid):
            for j in range(grid):
                rows = slice(i * n // grid, -(-(i + 1) * n // grid))
                columns = slice(j * (n + 1) // grid, -(-(j + 1) * (n + 1) // grid))
                expected[:, i, j] = x[:, rows, columns].mean((1, 2))
        np.testing.assert_allclose(layers.AdaptivePool2D(grid)(x), expected, atol=1e-5)


def test_affine_is_never_trained_and_survives_a_clone():
    layer = layers.Affine(np.float32([1, 2]), np.float32([0.5, 0.25]), name="input_affine")
    inputs = keras.Input((3, 3, 2))
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    model.trainable = False
    model.trainable = True
    assert not any("affine" in w.path for w in model.trainable_weights)
    clone = keras.models.clone_model(model)
    np.testing.assert_array_equal(clone.get_layer("input_affine").shift, [1, 2])
    np.testing.assert_array_equal(clone.get_layer("input_affine").scale, [0.5, 0.25])


LAYERS = [
    layers.AdaptivePool2D(2),
    layers.Conv2D(4, 3, 2, groups=2),
    layers.Conv2D(4, 3, padding=0, dilation_rate=2),
    layers.BatchNorm(0.7, 1e-4),
    layers.MaxPool2D(3, 2, "ceil"),
    layers.LocalResponseNorm(alpha=0.1),
    layers.PadShortcut(6, 2),
    layers.SamePad(5, 2),
    layers.Maxout(2),
    layers.SwishBeta(1.5),
    layers.Scalar(multiply=True),
    layers.Affine(random(2), random(9, 9, 2), random(162, 162)),
    keras.layers.Conv2D(2, 1, kernel_initializer=layers.RandomWalk(seed=1)),
    layers.Conv2D(4, 3, groups=2, kernel_initializer=layers.Dirac(0.5, groups=2, seed=1)),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_layers_survive_saving_and_cloning(layer, tmp_path):
    inputs = keras.Input((9, 9, 2))
    model = keras.Model(inputs, type(layer).from_config(layer.get_config())(inputs))
    if isinstance(layer, layers.Affine):
        model = keras.Model(inputs, layer(inputs))
    model.set_weights([random(*w.shape, seed=3) for w in model.get_weights()])
    x = random(2, 9, 9, 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for other in (loaded, clone):
        np.testing.assert_array_equal(other(x), model(x))
        assert type(other.layers[-1]) is type(layer)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.Conv2D(4, 3, padding="symetric"), "symmetric"),
        (lambda: layers.Conv2D(4, 3, data_format="channels_first"), "channels_last"),
        (lambda: layers.MaxPool2D(3, 2, padding="cel"), "ceil"),
        (lambda: layers.BatchNorm(axis=1), "last axis"),
        (lambda: layers.Conv2D(4, 5, padding="valid").compute_output_shape((1, 4, 4, 1)), "5x5"),
    ],
)
def test_a_wrong_argument_is_an_error(make, words):
    with pytest.raises(ValueError, match=words):
        make()
