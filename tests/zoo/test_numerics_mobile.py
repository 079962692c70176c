"""keras.applications' mobile networks and ours, with the same weights, give the same logits.

All of these are chains whose only branches are without weights or a gate's, so their layers
with weights come in the same order in both.
"""

import keras
import numpy as np
import pytest

import zoo
from zoo import complexity
from zoo.plan import sketch

SOURCE = {"padding": "tf", "norm_epsilon": 1e-3}


def randomize(model):
    """Random weights and norm statistics of a scale at which activations neither die nor grow."""
    rng = np.random.default_rng(0)
    for w in model.weights:
        if w.name == "kernel":
            w.assign(rng.normal(size=w.shape) * np.sqrt(2 / np.prod(w.shape[:-1])))
        elif w.name in ("gamma", "moving_variance"):
            w.assign(rng.uniform(0.5, 1.5, w.shape))
        elif "seed" not in w.name:
            w.assign(rng.normal(size=w.shape) * 0.1)


def copy_weights(ours, theirs):
    """Ours into theirs, by order. A depthwise kernel (k, k, 1, w) is Keras's (k, k, w, 1), and
    a classifier's (features, classes) is that of a 1x1 convolution in some."""

    def weighted(model):
        kinds = (keras.layers.Normalization, keras.layers.Dropout)
        return [x for x in model.layers if x.weights and not isinstance(x, kinds)]

    for mine, yours in zip(weighted(ours), weighted(theirs), strict=True):
        values = []
        for w, of in zip(mine.get_weights(), yours.get_weights(), strict=True):
            if isinstance(yours, keras.layers.DepthwiseConv2D) and w.ndim == 4:
                w = w.transpose(0, 1, 3, 2)
            assert np.squeeze(w).shape == np.squeeze(of).shape, (mine.name, yours.name)
            values.append(w.reshape(of.shape))
        yours.set_weights(values)


def assert_same_logits(ours, theirs, scale=1.0):
    """`scale` is what theirs multiplies its input with in a layer of its own."""
    randomize(ours)
    copy_weights(ours, theirs)
    # Coarse squares: what differs from image to image outlives the averages.
    coarse = np.random.default_rng(1).normal(size=(2, 4, 4, 3)).astype("float32")
    size = ours.input.shape[1]
    x = 2 * coarse.repeat(-(-size // 4), 1).repeat(-(-size // 4), 2)[:, :size, :size]
    a, b = ours.predict(x, verbose=0), theirs.predict(x / scale, verbose=0)
    error, differ = np.abs(a - b).max() / np.abs(b).max(), np.ptp(b, 0).max() / np.abs(b).max()
    print(f"{ours.name}: relative difference {error:.1e}, between the images {differ:.2f}")
    assert differ > 0.1
    assert error <= 1e-4


@pytest.mark.parametrize(
    ("name", "source", "size", "options"),
    [
        ("mobilenet_v1", "MobileNet", 64, {}),
        ("mobilenet_v2", "MobileNetV2", 96, {}),
        ("mobilenet_v3_large", "MobileNetV3Large", 64, {"include_preprocessing": False}),
        ("mobilenet_v3_small", "MobileNetV3Small", 96, {"include_preprocessing": False}),
        ("efficientnet_b0", "EfficientNetB0", 64, {}),
        ("efficientnet_b1", "EfficientNetB1", 65, {}),
    ],
)
def test_logits(name, source, size, options):
    """EfficientNet divides by 255 and has a Normalization, which is the identity untrained."""
    shape = (size, size, 3)
    make = getattr(keras.applications, source)
    theirs = make(input_shape=shape, weights=None, classifier_activation=None, **options)
    ours = zoo.build(name, input_shape=shape, **SOURCE)
    assert_same_logits(ours, theirs, 1 / 255 if "efficient" in name else 1.0)


def test_the_minimal_mobilenet_v3():
    """Without squeeze-and-excitation, hard swish and 5x5 kernels, as the authors' for old chips."""
    theirs = keras.applications.MobileNetV3Small(
        (64, 64, 3),
        minimalistic=True,
        weights=None,
        classifier_activation=None,
        include_preprocessing=False,
    )
    ours = zoo.build(
        "mobilenet_v3_small",
        input_shape=(64, 64, 3),
        act="relu",
        reduction=0,
        kernels=(3,) * 5,
        **SOURCE,
    )
    assert_same_logits(ours, theirs)


@pytest.mark.parametrize(
    ("name", "source", "multiplier", "options"),
    [
        ("mobilenet_v1", "MobileNet", 0.5, {}),
        ("mobilenet_v1", "MobileNet", 0.25, {}),
        ("mobilenet_v2", "MobileNetV2", 0.5, {}),
        ("mobilenet_v2", "MobileNetV2", 0.35, {}),
        ("mobilenet_v2", "MobileNetV2", 1.4, {}),
        ("mobilenet_v3_large", "MobileNetV3Large", 0.75, {}),
        # Its stem has 16 channels always.
        ("mobilenet_v3_small", "MobileNetV3Small", 1.25, {"stem_width": 12}),
    ],
)
def test_counts_of_the_width_multiplier(name, source, multiplier, options):
    with keras.StatelessScope(initialize_variables=False):
        theirs = getattr(keras.applications, source)((96, 96, 3), multiplier, weights=None)
    ours = sketch(zoo.resolve(name, multiplier=multiplier, **options))
    assert complexity.parameters(ours) == complexity.parameters(theirs)


def acts(name, **options):
    """name of a layer -> name of its activation, without the gates."""
    model = sketch(zoo.resolve(name, **options))
    layers = [x for x in model.layers if isinstance(x, keras.layers.Activation)]
    return {x.name: x.activation.__name__ for x in layers if not x.name.endswith("_gate")}


def test_an_act_replaces_both_of_mobilenet_v3():
    """Howard et al. 2019, tables 1 and 2: the first stages have relu, so have squeezed units."""
    for name, first in (("mobilenet_v3_large", 3), ("mobilenet_v3_small", 2)):
        for layer, act in acts(name).items():
            stage = int(layer[5]) if layer.startswith("stage") else 9
            early = stage <= first or "squeeze" in layer
            assert act == ("relu" if early else "hard_silu"), layer
        assert set(acts(name, act="gelu").values()) == {"gelu"}


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0"])
def test_zero_gamma_and_drop_path_are_for_blocks_with_a_shortcut_alone(name):
    model = sketch(zoo.resolve(name, zero_gamma=True, drop_path=0.5))
    added = {x.name[:-4] for x in model.layers if x.name.endswith("_add")}
    zeros = {
        x.name.removesuffix("_project_norm")
        for x in model.layers
        if isinstance(getattr(x, "gamma_initializer", None), keras.initializers.Zeros)
    }
    rates = {x.name[:-5]: x.rate for x in model.layers if "block" in x.name and "drop" in x.name}
    assert added == zeros == set(rates)
    assert list(rates.values()) == sorted(rates.values())
    assert max(rates.values()) <= 0.5


def test_what_mobile_networks_refuse():
    for name, options, words in (
        ("mobilenet_v1", {"drop_path": 0.1}, "no residual blocks"),
        ("mobilenet_v2", {"multiplier": 0.0}, "above 0"),
        ("mobilenet_v2", {"widths": (16, 24)}, "differ in length"),
        ("efficientnet_b0", {"depth": -1.0}, "above 0"),
        ("efficientnet_b0", {"kernels": (3,)}, "differ in length"),
        ("senet154", {"groups": 48}, "not a multiple"),
    ):
        with pytest.raises(ValueError, match=words):
            zoo.resolve(name, **options)
