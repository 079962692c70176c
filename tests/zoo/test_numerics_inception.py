"""keras.applications' Inception networks and NASNet, with the same weights, give our logits.

Their counts and outputs with auxiliary heads, and the options that their sources differ in.
"""

import re

import keras
import numpy as np
import pytest
from keras.src.applications.nasnet import NASNet

import zoo
from zoo import complexity
from zoo.plan import sketch


def randomize(model):
    """Random weights and norm statistics of a scale at which activations neither die nor grow."""
    rng = np.random.default_rng(0)
    for w in model.weights:
        if "kernel" in w.name:
            fan = np.prod(w.shape[:2]) if "depthwise" in w.name else np.prod(w.shape[:-1])
            w.assign(rng.normal(size=w.shape) * np.sqrt(2 / fan))
        elif w.name in ("gamma", "moving_variance"):
            w.assign(rng.uniform(0.5, 1.5, w.shape))
        elif "seed" not in w.name:
            w.assign(rng.normal(size=w.shape) * 0.1)


def assert_same_logits(ours, theirs):
    x = np.random.default_rng(1).normal(size=(2, *ours.input.shape[1:])).astype("float32")
    a, b = ours.predict(x, verbose=0), theirs.predict(x, verbose=0)
    error = np.abs(a - b).max() / np.abs(b).max()
    ptp = np.ptp(b, axis=0).max() / np.abs(b).max()
    print(f"{ours.name}: relative difference {error:.1e}, between images {ptp:.1e}")
    assert ptp > 0.01  # the image matters
    assert error <= 1e-4


def source(name, size):
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None
    )
    randomize(model)
    return model


def by_number(name):
    """Sorts layers as they were made: the stem first, a reduction before its stage's blocks."""
    name = name.replace("stem", "stage0").replace("reduction", "block0")
    return [(not part.isdigit(), part.zfill(6)) for part in re.split(r"(\d+)", name)]


def inception_twins(ours, theirs):
    """Pairs of names. Both number their convolutions branch by branch, from the input on."""
    pairs = [("head_dense", "predictions")]
    mine, convs, norms = (
        sorted((x.name for x in model.layers if isinstance(x, kind)), key=by_number)
        for model, kind in (
            (ours, keras.layers.Conv2D),
            (theirs, keras.layers.Conv2D),
            (theirs, keras.layers.BatchNormalization),
        )
    )
    # Inception-ResNet names some: the ends of branches, which have no norm, and the last.
    for name in mine[:]:
        if name == "head_last_conv":
            pairs += [(name, "conv_7b"), ("head_last_norm", "conv_7b_bn")]
        elif name.endswith("_end_conv"):
            stage, block = map(int, re.findall(r"\d+", name))
            pairs.append((name, f"block{(35, 17, 8)[stage - 1]}_{block}_conv"))
        else:
            continue
        mine.remove(name)
    convs = [name for name in convs if name.startswith("conv2d")]
    norms = [name for name in norms if name.startswith("batch_normalization")]
    for name, conv, norm in zip(mine, convs, norms, strict=True):
        pairs += [(name, conv), (f"{name.removesuffix('_conv')}_norm", norm)]
    return pairs


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("inception_v3", "InceptionV3"), ("inception_resnet_v2", "InceptionResNetV2")],
)
def test_inception(name, theirs):
    theirs = source(theirs, 139)
    ours = zoo.build(
        name, input_shape=(139, 139, 3), num_classes=10, norm_scale=False, pool_border=False
    )
    assert ours.count_params() == theirs.count_params()
    for mine, yours in inception_twins(ours, theirs):
        ours.get_layer(mine).set_weights(theirs.get_layer(yours).get_weights())
    assert_same_logits(ours, theirs)


def nasnet_cell(block, depth):
    """Our name of a cell of keras.applications' NASNet with `depth` cells a stage."""
    if block.startswith("stem"):
        return block.replace("stem_", "stem_cell")
    if block.startswith("reduce"):
        return f"stage{int(block.split('_')[1]) // depth + 1}_reduction"
    # Numbered through with the first reduction, but not the second.
    i = int(block)
    stage = 1 if i < depth else 2 if i <= 2 * depth else 3
    return f"stage{stage}_block{i - (0, 0, depth, 2 * depth)[stage] + (stage == 1)}"


def nasnet_twin(name, depth):
    """Our name of a layer with weights, but that separable ones are two of ours."""
    plain = {"stem_conv1": "stem_conv", "stem_bn1": "stem_norm", "predictions": "head_dense"}
    if name in plain:
        return plain[name]
    block = re.search(r"_(stem_\d|reduce_\d+|\d+)$", name)[1]
    cell, rest = nasnet_cell(block, depth), name.removesuffix(f"_{block}")
    adjust = {"conv_1": "1_conv", "conv_2": "2_conv", "conv_projection": "conv", "bn": "norm"}
    if rest.startswith("adjust_"):
        return f"{cell}_previous_{adjust[rest.removeprefix('adjust_')]}"
    if re.match("(normal|reduction)_(conv|bn)_1", rest):
        return f"{cell}_in_{'conv' if 'conv' in rest else 'norm'}"
    step, norm, kind, side, number = re.fullmatch(
        r"separable_conv_(\d)(_bn)?_(normal|reduction)_(left|right)(\d)", rest
    ).groups()
    if kind == "reduction" and side == "left" and number == "4":
        number = "5"  # its fourth sum has no weights
    return f"{cell}_{number}_{side}_{step}_{'norm' if norm else 'conv'}"


# Large strides are as in mobile; a small one of its layout tells the rest.
@pytest.mark.parametrize(
    ("name", "size", "depth", "options"),
    [
        ("nasnet_mobile", 96, 4, {}),
        ("nasnet_large", 75, 1, {"depths": (1, 1, 1), "width": 16, "stem_width": 12}),
    ],
)
def test_nasnet(name, size, depth, options):
    if depth == 4:
        theirs = source("NASNetMobile", size)
    else:
        theirs = NASNet(
            (size, size, 3), 24 * 16, 1, 12, True, 2, weights=None, classes=10, default_size=331,
            classifier_activation=None,
        )  # fmt: skip
        randomize(theirs)
    ours = zoo.build(name, input_shape=(size, size, 3), num_classes=10, **options)
    assert ours.count_params() == theirs.count_params()
    for layer in theirs.layers:
        if not layer.weights:
            continue
        twin, weights = nasnet_twin(layer.name, depth), layer.get_weights()
        if isinstance(layer, keras.layers.SeparableConv2D):
            depthwise = ours.get_layer(twin.removesuffix("_conv") + "_depthwise")
            depthwise.set_weights([weights.pop(0).transpose(0, 1, 3, 2)])
        ours.get_layer(twin).set_weights(weights)
    assert_same_logits(ours, theirs)


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("googlenet", {"aux": True}, 13_378_280),
        ("googlenet_bn", {"aux": True}, 13_004_888),
        ("inception_v3", {"aux": True}, 27_161_264),
        # keras.applications' count of trainable parameters
        ("inception_v3", {"norm_scale": False}, 23_817_352),
        ("inception_resnet_v2", {"norm_scale": False}, 55_813_192),
    ],
)
def test_counts(name, options, count):
    assert complexity.parameters(sketch(zoo.resolve(name, **options))) == count


@pytest.mark.parametrize(
    ("name", "options", "heads"),
    [
        ("toy_googlenet", {"depths": (1, 3, 1), "input_shape": (56, 56, 3)}, 2),
        ("toy_googlenet_bn", {"depths": (1, 4, 1)}, 2),
        ("toy_inception", {"input_shape": (64, 64, 3)}, 1),
    ],
)
def test_auxiliary_heads(name, options, heads):
    """They are outputs that all layers before them learn from, and change no other output."""
    model = zoo.build(name, aux=True, seed=0, **options)
    plain = zoo.build(name, seed=0, **options)
    x = np.random.default_rng(0).normal(size=(2, *model.input.shape[1:])).astype("float32")
    logits, *more = model(x)
    assert [y.shape for y in more] == [(2, 10)] * heads
    assert all(y.dtype == "float32" and np.ptp(y) > 0 for y in more)
    # The same names and seed: the same weights.
    np.testing.assert_allclose(logits, plain(x), rtol=1e-5, atol=1e-6)
    names = [f"stage2_aux{i}_dense" for i in range(1, heads + 1)]
    assert model.output_names == ["head_dense", *names]
    model.compile("sgd", ["mse"] * (1 + heads), loss_weights=[1.0] + [0.3] * heads)
    assert np.isfinite(model.train_on_batch(x, [np.zeros((2, 10))] * (1 + heads))).all()
    features = zoo.build(name, aux=True, num_classes=0, **options)(x)
    assert [len(y.shape) for y in features] == [2] * (1 + heads)


def test_the_papers_auxiliary_head():
    """At 224 pixels its 5x5 pool of stride 3 leaves 4x4 maps: nothing is pooled adaptively."""
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
        ("googlenet", {"pool_border": True}, "pool_border has no meaning in googlenet"),
        ("googlenet_bn", {"norm": "lrn"}, "no local response normalization"),
        ("googlenet", {"norm_scale": False}, "norm_scale has no meaning with norm='lrn'"),
        ("googlenet", {"aux": True, "depths": (2, 2, 2)}, "3 modules in stage 2"),
        ("googlenet", {"aux_dropout": 1.0}, "aux_dropout=1.0"),
        ("googlenet", {"depths": (2, 5)}, "depths=(2, 5) is not a tuple"),
        ("inception_v3", {"zero_gamma": True}, "zero_gamma has no meaning in inception_v3"),
        ("inception_v3", {"zero_gamma": True, "norm_scale": False}, "norm_scale=False"),
        ("inception_v3", {"depths": (3, 0, 2)}, "at least 1"),
        ("inception_v4", {"aux": True}, "unknown option of inception_v4 'aux'"),
        ("inception_v4", {"drop_path": 0.1}, "no residual blocks"),
        ("inception_resnet_v2", {"zero_gamma": True}, "zero_gamma has no meaning"),
        ("nasnet_mobile", {"zero_gamma": True}, "zero_gamma has no meaning"),
        ("nasnet_mobile", {"width": 3}, "width must be at least 4"),
    ],
)
def test_options_without_meaning(name, options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        zoo.resolve(name, **options)


@pytest.mark.parametrize(
    "name",
    ["googlenet", "googlenet_bn", "inception_v3", "inception_v4", "inception_resnet_v2",
     "nasnet_mobile", "nasnet_large"],
)  # fmt: skip
def test_sizes_that_vary(name):
    count = zoo.describe(name)["parameters"]
    for shape in ((None, None, 3), (203, 128, 3)):
        model = sketch(zoo.resolve(name, input_shape=shape, num_classes=1000))
        assert complexity.parameters(model) == count
    least = "at least 75x75" if "inception" in name else "at least"
    if "google" not in name:
        with pytest.raises(ValueError, match=least):
            zoo.build(name, input_shape=(2, 2, 3))


@pytest.mark.parametrize("options", [{}, {"padding": "symmetric"}, {"pool_zeros": False}])
@pytest.mark.parametrize("size", [32, 33])
def test_a_nasnet_of_varying_size_runs_on_each(size, options, tmp_path):
    options = {"depths": (1, 1), "stem": "imagenet", "width": 8, "seed": 0, **options}
    model = zoo.build("toy_nasnet", input_shape=(None, None, 3), **options)
    fixed = zoo.build("toy_nasnet", input_shape=(size, size + 1, 3), **options)
    x = np.random.default_rng(0).normal(size=(2, size, size + 1, 3)).astype("float32")
    np.testing.assert_allclose(model(x), fixed(x), rtol=1e-4, atol=1e-6)
    assert model.predict(x, verbose=0).shape == (2, 10)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(zoo.load(tmp_path / "model.keras")(x), model(x), rtol=1e-5)


def test_drop_path_of_nasnet_and_inception_resnet():
    """Each operation of a cell and each residual branch; more, the deeper."""
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
