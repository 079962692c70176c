"""Our Inception networks and NASNets give the logits of those in keras.applications.

Also their counts, their auxiliary heads, and the options in which their sources differ.
"""

import re

import keras
import numpy as np
import pytest
from keras.src.applications.nasnet import NASNet

import zoo
from tests.zoo.applications import assert_same_logits, twin
from zoo import cells, complexity
from zoo.families import nasnet
from zoo.plan import sketch


def source(name, size):
    return getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None
    )


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("inception_v3", "InceptionV3"),
        pytest.param("inception_resnet_v2", "InceptionResNetV2", marks=pytest.mark.full),
    ],
)
def test_inception_networks_equal_keras_applications(name, theirs, tmp_path):
    theirs = source(theirs, 139)
    ours = twin(theirs, name, tmp_path)
    assert ours.count_params() == theirs.count_params()
    assert_same_logits(ours, theirs)


# A small network with the layout of NASNet-Large is enough; its strides are those of mobile.
@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("nasnet_mobile", 96, {}),
        pytest.param(
            "nasnet_large",
            75,
            {"depths": (1, 1, 1), "width": 16, "stem_width": 12},
            marks=pytest.mark.full,
        ),
    ],
)
def test_nasnets_equal_keras_applications(name, size, options, tmp_path):
    if not options:
        theirs = source("NASNetMobile", size)
    else:
        theirs = NASNet(
            (size, size, 3), 24 * 16, 1, 12, True, 2, weights=None, classes=10, default_size=331,
            classifier_activation=None,
        )  # fmt: skip
    ours = twin(theirs, name, tmp_path, **options)
    assert ours.count_params() == theirs.count_params()
    assert_same_logits(ours, theirs)


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("googlenet", {"aux": True}, 13_378_280),
        ("googlenet_bn", {"aux": True}, 13_004_888),
        ("inception_v3", {"aux": True}, 27_161_264),
        # The trainable parameters in keras.applications.
        ("inception_v3", {"norm_scale": False}, 23_817_352),
        ("inception_resnet_v2", {"norm_scale": False}, 55_813_192),
    ],
)
def test_counts_with_options_are_exact(name, options, count):
    assert complexity.parameters(sketch(zoo.resolve(name, **options))) == count


@pytest.mark.parametrize(
    ("name", "options", "heads"),
    [
        ("toy_googlenet", {"depths": (1, 3, 1), "input_shape": (56, 56, 3)}, 2),
        ("toy_googlenet_bn", {"depths": (1, 4, 1)}, 2),
        ("toy_inception", {"input_shape": (64, 64, 3)}, 1),
    ],
)
def test_auxiliary_heads_are_outputs_and_leave_the_logits_unchanged(name, options, heads):
    model = zoo.build(name, aux=True, seed=0, **options)
    plain = zoo.build(name, seed=0, **options)
    x = np.random.default_rng(0).normal(size=(2, *model.input.shape[1:])).astype("float32")
    logits, *more = model(x)
    assert [y.shape for y in more] == [(2, 10)] * heads
    assert all(y.dtype == "float32" and np.ptp(y) > 0 for y in more)
    # Equal names and seeds give equal weights.
    np.testing.assert_allclose(logits, plain(x), rtol=1e-5, atol=1e-6)
    names = [f"stage2_aux{i}_dense" for i in range(1, heads + 1)]
    assert model.output_names == ["head_dense", *names]
    model.compile("sgd", ["mse"] * (1 + heads), loss_weights=[1.0] + [0.3] * heads)
    assert np.isfinite(model.train_on_batch(x, [np.zeros((2, 10))] * (1 + heads))).all()
    features = zoo.build(name, aux=True, num_classes=0, **options)(x)
    assert [len(y.shape) for y in features] == [2] * (1 + heads)


def test_auxiliary_heads_of_googlenet_pool_as_in_the_paper():
    """At 224 pixels, its 5x5 pool with stride 3 gives 4x4 maps, so no adaptive pool is needed."""
    names = {layer.name for layer in sketch(zoo.resolve("googlenet", aux=True)).layers}
    assert {"stage2_aux1_pool", "stage2_aux2_pool"} <= names
    assert "stage2_aux1_grid" not in names
    names = {layer.name for layer in sketch(zoo.resolve("googlenet_bn", aux=True)).layers}
    assert "stage2_aux1_grid" in names
    assert "stage2_aux1_pool" not in names


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("googlenet", {"drop_path": 0.1}, "no residual blocks"),
        ("googlenet", {"pool_border": True}, "pool_border=True: has no effect in googlenet"),
        ("googlenet_bn", {"norm": "lrn"}, "no local response normalization"),
        ("googlenet", {"norm_scale": False}, "norm_scale=False: has no effect with norm='lrn'"),
        (
            "googlenet",
            {"aux": True, "depths": (2, 2, 2)},
            "depths=(2, 2, 2): aux=True needs at least 3 modules",
        ),
        ("googlenet", {"aux_dropout": 1.0}, "aux_dropout=1.0"),
        ("googlenet", {"depths": (2, 5)}, "depths=(2, 5): must be a tuple"),
        ("inception_v3", {"zero_gamma": True}, "zero_gamma=True: has no effect in inception_v3"),
        ("inception_v3", {"zero_gamma": True, "norm_scale": False}, "norm_scale=False"),
        ("inception_v3", {"depths": (3, 0, 2)}, "depths=(3, 0, 2): each number must be at least 1"),
        ("inception_v4", {"aux": True}, "unknown option of inception_v4 'aux'"),
        ("inception_v4", {"drop_path": 0.1}, "no residual blocks"),
        ("inception_resnet_v2", {"zero_gamma": True}, "zero_gamma=True: has no effect"),
        ("nasnet_mobile", {"zero_gamma": True}, "zero_gamma=True: has no effect"),
        ("nasnet_mobile", {"width": 3}, "width=3: must be at least 4"),
        ("nasnet_mobile", {"pool_zeros": "max"}, "must be True or False or one of 'average'"),
    ],
)
def test_options_that_do_not_apply_are_errors(name, options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        zoo.resolve(name, **options)


@pytest.mark.parametrize(
    "name",
    [
        "googlenet",
        "googlenet_bn",
        "inception_v3",
        *(
            pytest.param(name, marks=pytest.mark.full)
            for name in ("inception_v4", "inception_resnet_v2", "nasnet_mobile", "nasnet_large")
        ),
    ],
)
def test_parameter_counts_do_not_depend_on_the_input_size(name):
    count = zoo.describe(name)["parameters"]
    for shape in ((None, None, 3), (203, 128, 3)):
        model = sketch(zoo.resolve(name, input_shape=shape, num_classes=1000))
        assert complexity.parameters(model) == count
    least = "at least 75x75" if "inception" in name else "at least"
    if "google" not in name:
        with pytest.raises(ValueError, match=least):
            zoo.build(name, input_shape=(2, 2, 3))


@pytest.mark.parametrize(
    ("size", "options"),
    [
        pytest.param(32, {}, marks=pytest.mark.full),
        pytest.param(32, {"padding": "symmetric"}, marks=pytest.mark.full),
        pytest.param(32, {"pool_zeros": False}, marks=pytest.mark.full),
        pytest.param(33, {}, marks=pytest.mark.full),
        pytest.param(33, {"padding": "symmetric"}, marks=pytest.mark.full),
        (33, {"pool_zeros": False}),
    ],
)
def test_a_nasnet_of_varying_size_equals_one_of_fixed_size(size, options, tmp_path):
    options = {"depths": (1, 1), "stem": "imagenet", "width": 8, "seed": 0, **options}
    model = zoo.build("toy_nasnet", input_shape=(None, None, 3), **options)
    fixed = zoo.build("toy_nasnet", input_shape=(size, size + 1, 3), **options)
    x = np.random.default_rng(0).normal(size=(2, size, size + 1, 3)).astype("float32")
    np.testing.assert_allclose(model(x), fixed(x), rtol=1e-4, atol=1e-6)
    assert model.predict(x, verbose=0).shape == (2, 10)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(zoo.load(tmp_path / "model.keras")(x), model(x), rtol=1e-5)


@pytest.mark.quick
@pytest.mark.parametrize("pool_zeros", [True, False, "average"])
@pytest.mark.parametrize("size", [6, 7])
def test_pools_of_nasnet_treat_the_border_as_their_sources_do(size, pool_zeros):
    """Borders count as zeros in keras.applications, and only for averages in timm; the authors'
    code leaves them out."""
    x = np.random.default_rng(0).uniform(-2, -1, (2, size, size, 3)).astype("float32")
    maps = keras.Input(x.shape[1:])
    for operation, stride in (("avg3", 1), ("avg3", 2), ("max3", 1), ("max3", 2), ("max5", 2)):
        name, k = f"{operation}_{stride}", int(operation[-1])
        y = cells.operate(maps, operation, stride, 3, pool_zeros, nasnet.STYLES["*"], name=name)
        average = operation == "avg3"
        zeros = stride == 2 and (pool_zeros is True or (average and pool_zeros == "average"))
        pad = (k // 2 - ((size, stride) == (6, 2)), k // 2)
        border = 0 if zeros else np.nan
        seen = np.pad(x, ((0, 0), pad, pad, (0, 0)), constant_values=border)
        windows = np.lib.stride_tricks.sliding_window_view(seen, (k, k), (1, 2))
        pool = np.nanmean if average else np.nanmax
        expected = pool(windows[:, ::stride, ::stride], axis=(-2, -1))
        np.testing.assert_allclose(keras.Model(maps, y)(x), expected, rtol=1e-5, err_msg=name)


def test_drop_path_of_nasnet_and_inception_resnet_grows_with_depth():
    """It applies to each operation of a cell and to each residual branch."""
    drops = {
        name: [x for x in sketch(zoo.resolve(name, drop_path=0.4)).layers
               if x.name.endswith("_drop") and x.name != "head_drop"]
        for name in ("nasnet_mobile", "inception_resnet_v2")
    }  # fmt: skip
    rates = {name: sorted({layer.rate for layer in found}) for name, found in drops.items()}
    assert len(rates["inception_resnet_v2"]) == 40
    assert len(rates["nasnet_mobile"]) == 16
    for name in drops:
        assert rates[name][-1] == pytest.approx(0.4)
        np.testing.assert_allclose(np.diff(rates[name]), rates[name][0], rtol=1e-6)
    assert not [x for x in drops["nasnet_mobile"] if "identity" in x.name]
