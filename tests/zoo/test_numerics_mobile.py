"""Our mobile networks give the logits of those in keras.applications."""

import keras
import pytest

import zoo
from tests.zoo.applications import assert_same_logits, twin
from zoo import complexity
from zoo.plan import sketch


@pytest.mark.parametrize(
    ("name", "source", "size", "options"),
    [
        ("mobilenet_v1", "MobileNet", 64, {}),
        ("mobilenet_v2", "MobileNetV2", 96, {}),
        ("mobilenet_v3_large", "MobileNetV3Large", 64, {"include_preprocessing": False}),
        ("mobilenet_v3_small", "MobileNetV3Small", 96, {"include_preprocessing": False}),
        ("efficientnet_b0", "EfficientNetB0", 64, {}),
        pytest.param("efficientnet_b1", "EfficientNetB1", 65, {}, marks=pytest.mark.full),
    ],
)
def test_mobile_networks_equal_keras_applications(name, source, size, options, tmp_path):
    """Their EfficientNet divides by 255; its Normalization is the identity unless adapted."""
    shape = (size, size, 3)
    make = getattr(keras.applications, source)
    theirs = make(input_shape=shape, weights=None, classifier_activation=None, **options)
    ours = twin(theirs, name, tmp_path)
    assert_same_logits(ours, theirs, 1 / 255 if "efficient" in name else 1.0)


def test_minimalistic_mobilenet_v3_equals_keras_applications(tmp_path):
    """It has no squeeze-and-excitation, no hard swish and no 5x5 kernels."""
    theirs = keras.applications.MobileNetV3Small(
        (64, 64, 3),
        minimalistic=True,
        weights=None,
        classifier_activation=None,
        include_preprocessing=False,
    )
    ours = twin(theirs, "mobilenet_v3_small", tmp_path, act="relu", reduction=0, kernels=(3,) * 5)
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
        # In keras.applications, the stem always has 16 channels.
        ("mobilenet_v3_small", "MobileNetV3Small", 1.25, {"stem_width": 12}),
    ],
)
def test_counts_of_the_width_multiplier(name, source, multiplier, options):
    with keras.StatelessScope(initialize_variables=False):
        theirs = getattr(keras.applications, source)((96, 96, 3), multiplier, weights=None)
    ours = sketch(zoo.resolve(name, multiplier=multiplier, **options))
    assert complexity.parameters(ours) == complexity.parameters(theirs)


def acts(name, **options):
    """Return the names of activations by layer, without gates."""
    model = sketch(zoo.resolve(name, **options))
    layers = [x for x in model.layers if isinstance(x, keras.layers.Activation)]
    return {x.name: x.activation.__name__ for x in layers if not x.name.endswith("_gate")}


def test_act_replaces_both_activations_of_mobilenet_v3():
    """Howard et al. 2019, tables 1 and 2: the first stages and squeezed units have ReLU."""
    for name, first in (("mobilenet_v3_large", 3), ("mobilenet_v3_small", 2)):
        for layer, act in acts(name).items():
            stage = int(layer[5]) if layer.startswith("stage") else 9
            early = stage <= first or "squeeze" in layer
            assert act == ("relu" if early else "hard_silu"), layer
        assert set(acts(name, act="gelu").values()) == {"gelu"}


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0"])
def test_zero_gamma_and_drop_path_apply_only_to_blocks_with_a_shortcut(name):
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


@pytest.mark.quick
def test_lite_networks_have_the_sizes_of_the_authors():
    """tensorflow/tpu, efficientnet_lite_builder.py: size, width, depth and dropout of each."""
    authors = [
        (224, 1.0, 1.0, 0.2),
        (240, 1.0, 1.1, 0.2),
        (260, 1.1, 1.2, 0.3),
        (280, 1.2, 1.4, 0.3),
        (300, 1.4, 1.8, 0.3),
    ]
    for i, (size, width, depth, dropout) in enumerate(authors):
        plan = zoo.resolve(f"efficientnet_lite{i}")
        assert plan.input_shape == (size, size, 3)
        assert (plan.spec.width, plan.spec.depth) == (width, depth)
        style = plan.style
        assert (style.dropout, style.drop_path) == (dropout, 0.2)
        assert (style.norm_epsilon, style.norm_momentum) == (1e-3, 0.99)
        assert (style.act, style.padding) == ("relu6", "tf")


def test_wrong_options_of_mobile_networks_are_errors():
    for name, options, words in (
        ("mobilenet_v1", {"drop_path": 0.1}, "no residual blocks"),
        ("mobilenet_v2", {"multiplier": 0.0}, "multiplier=0.0: must be a finite number"),
        ("mobilenet_v2", {"widths": (16, 24)}, "has length 2, but there are 7"),
        ("efficientnet_b0", {"depth": -1.0}, "depth=-1.0: must be a finite number"),
        ("efficientnet_b0", {"kernels": (3,)}, "has length 1, but there are 7"),
        ("efficientnet_b0", {"depths": ()}, "there is no stage"),
        ("efficientnet_b0", {"width": float("inf")}, "width=inf: must be a finite number"),
        ("senet154", {"groups": 48}, "groups=48: must divide 2"),
        ("senet154", {"stem_widths": ()}, "the stem needs at least one convolution"),
    ):
        with pytest.raises(ValueError, match=words):
            zoo.resolve(name, **options)
