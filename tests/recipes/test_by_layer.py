"""Statistics by layer, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import recipes
import zoo
from recipes.diagnostics.by_layer import trend
from zoo import layers

pytestmark = pytest.mark.quick
EDGES = np.array([-1.0, -0.5, 0.0, 0.25, 1.0, 2.0])


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def by_hand(model, acts, x, y):
    """Return pre-activations, activations, dL/dW and dL/da of an MLP, by backpropagation."""
    kernels = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    weights = [np.asarray(layer.kernel, "d") for layer in kernels]
    biases = [np.asarray(layer.bias, "d") for layer in kernels]
    f, slope = acts
    a, before, after = x.reshape(len(x), -1), [], []
    inputs = [a]
    for w, b in zip(weights, biases, strict=True):
        before.append(inputs[-1] @ w + b)
        after.append(f(before[-1]))
        inputs.append(after[-1])
    dz = (softmax(before[-1]) - np.eye(before[-1].shape[1])[y]) / len(x)
    of_weights, of_acts = [], []
    for k in range(len(weights) - 1, -1, -1):
        of_weights.insert(0, inputs[k].T @ dz)
        if k:
            of_acts.insert(0, dz @ weights[k].T)
            dz = of_acts[0] * slope(before[k - 1])
    return before[:-1], after[:-1], of_weights, of_acts, weights


@pytest.mark.parametrize("act", ["tanh", "relu"])
def test_two_batches_of_an_mlp_equal_numpy(act):
    """The second batch is smaller, and units are dead only if they are in both."""
    acts = {
        "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
        "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    }[act]
    options = {"hidden": (12, 9), "act": act, "init": "normal:0.6", "dropout": 0.5}
    model = zoo.build("mlp", input_shape=(3, 3, 1), num_classes=4, seed=1, **options)
    bias = np.zeros(12, "f")
    bias[:3] = -9 if act == "relu" else 0
    model.get_layer("fc_1_dense").bias.assign(bias)
    rng = np.random.default_rng(0)
    batches = [(rng.normal(1, 1, (n, 3, 3, 1)).astype("f"), rng.integers(0, 4, n)) for n in (16, 5)]
    table = recipes.layer_statistics(model, batches, edges=EDGES)
    hands = [by_hand(model, acts, x.astype("d"), y) for x, y in batches]
    assert list(table["layer"]) == ["fc_1_dense", "fc_2_dense"]
    assert list(table["act"]) == ["fc_1_act", "fc_2_act"]
    assert list(table["fan_in"]) == [9, 12]
    for k, row in table.iterrows():
        z, a = (np.concatenate([hand[i][k] for hand in hands]) for i in (0, 1))
        for prefix, values in (("pre_", z), ("", a)):
            assert row[f"{prefix}mean"] == pytest.approx(values.mean(), rel=1e-5, abs=1e-6)
            assert row[f"{prefix}sd"] == pytest.approx(values.std(), rel=1e-5)
            assert row[f"{prefix}unit_sd"] == pytest.approx(values.std(0).mean(), rel=1e-5)
            counts = np.histogram(values.astype("f"), EDGES)[0]
            assert np.abs(row[f"{prefix}histogram"] - counts).sum() <= 2  # float32 at the edges
        for limit in (0.9, 0.99):
            assert row[f"beyond_{limit}"] == pytest.approx((abs(a) > limit).mean(), abs=1e-9)
        assert row["saturated"] == pytest.approx((abs(a) > 0.98).mean() if act == "tanh" else 0)
        assert row["negative"] == (z <= 0).all(0).mean()
        assert row["dead"] == (a == 0).all(0).mean()
        norm = np.linalg.norm
        of_weights, of_acts = ([hand[i][k] for hand in hands] for i in (2, 3))
        kernel = norm(hands[0][4][k])
        assert row["weight_gradient"] == pytest.approx(np.mean([norm(g) for g in of_weights]))
        assert row["relative_gradient"] == pytest.approx(
            np.mean([norm(g) / kernel for g in of_weights])
        )
        assert row["activation_gradient"] == pytest.approx(np.mean([norm(g) for g in of_acts]))
        shares = np.array([
            [max((c > 0).sum(), (c < 0).sum()) / (c != 0).sum() if c.any() else np.nan
             for c in gradient.T]
            for gradient in of_weights
        ])  # fmt: skip
        assert row["sign_share"] == pytest.approx(np.nanmean(shares))
        known = ~np.isnan(shares).all(0)
        np.testing.assert_allclose(
            row["sign_shares"][known], np.nanmean(shares[:, known], 0), rtol=1e-6
        )
        assert np.isnan(row["sign_shares"][~known]).all()
    assert act == "tanh" or table["negative"][0] >= 3 / 12
    assert recipes.layer_statistics(model, batches[0][0])["sd"].tolist() == pytest.approx(
        recipes.layer_statistics(model, batches[:1], dropout=False)["sd"].tolist()
    )


def branched(maxout: int = 2):
    """Return a network with a norm, an addition, maxout, a concatenation and a linear kernel."""
    x = keras.Input((6, 6, 2))
    conv = keras.layers.Conv2D
    a = keras.layers.Activation("relu", name="first_act")(conv(4, 3, name="first")(x))
    b = layers.BatchNorm(name="norm")(conv(4, 1, use_bias=False, name="second")(a))
    y = keras.layers.Activation("relu", name="sum_act")(keras.layers.Add()([a, b]))
    z = layers.Maxout(maxout, name="max_act")(conv(3 * maxout, 1, name="pieces")(y))
    grown = keras.layers.Concatenate()([y, conv(5, 1, name="new")(z)])
    grown = keras.layers.MaxPooling2D()(grown)
    both = keras.layers.Activation("tanh", name="both_act")(grown)
    narrow = layers.BatchNorm(name="narrow_norm")(conv(2, 1, name="narrow")(both))
    top = keras.layers.GlobalAveragePooling2D()(conv(3, 1, name="top")(narrow))
    return keras.Model(x, keras.layers.Dense(3, name="head")(keras.layers.Dropout(0.5)(top)))


def test_activations_behind_additions_maxout_and_concatenations():
    keras.utils.set_random_seed(3)
    model = branched()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 6, 6, 2)).astype("f"), np.eye(3, dtype="f")[rng.integers(0, 3, 10)]
    held = [np.array(v) for v in model.weights]
    table = recipes.layer_statistics(model, (x, y)).set_index("layer")
    for before, variable in zip(held, model.weights, strict=True):
        np.testing.assert_array_equal(before, variable, err_msg=variable.path)
    where = {  # layer -> activation, pre-activation, own channels of each
        "first": ("first_act", "first", slice(None), slice(None)),
        "second": ("sum_act", "add", slice(None), slice(None)),
        "pieces": ("max_act", "pieces", slice(None), slice(None)),
        "new": ("both_act", "max_pooling2d", slice(4, 9), slice(4, 9)),
        "narrow": ("narrow_norm", "narrow_norm", slice(None), slice(None)),
        "top": ("top", "top", slice(None), slice(None)),
    }
    assert table.index.tolist() == list(where)
    assert table["act"].tolist() == ["first_act", "sum_act", "max_act", "both_act", "", ""]
    assert table["units"].tolist() == [4, 4, 3, 5, 2, 3]
    assert table["fan_in"].tolist() == [18, 4, 4, 3, 9, 2]
    named = {layer.name.removesuffix("_1").rstrip("_0123456789"): layer for layer in model.layers}
    named |= {layer.name: layer for layer in model.layers}
    find = {name: next(v for k, v in named.items() if k.startswith(name)) for pair in
            where.values() for name in pair[:2]}  # fmt: skip
    inside = keras.Model(model.input, {name: layer.output for name, layer in find.items()})
    dropless = keras.Model(model.input, model.get_layer("head")(
        model.get_layer("head")._inbound_nodes[0].input_tensors[0]._keras_history.operation.input
    ))  # fmt: skip
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(
            tf.nn.softmax_cross_entropy_with_logits(y, dropless(x, training=True))
        )
    kernels = [model.get_layer(name).kernel.value for name in where]
    gradients = tape.gradient(loss, kernels)
    outputs = inside(x, training=True)
    for (name, (act, pre, own, ours)), gradient in zip(where.items(), gradients, strict=True):
        a, z = np.asarray(outputs[act])[..., own], np.asarray(outputs[pre])[..., ours]
        assert table["sd"][name] == pytest.approx(a.std(), rel=1e-4), name
        assert table["mean"][name] == pytest.approx(a.mean(), abs=1e-5), name
        assert table["pre_sd"][name] == pytest.approx(z.std(), rel=1e-4), name
        assert table["weight_gradient"][name] == pytest.approx(np.linalg.norm(gradient), rel=1e-4)
        shut = (z <= 0).reshape(-1, z.shape[-1]).all(0)
        if act == "max_act":
            shut = shut.reshape(-1, 2).all(1)
        assert table["negative"][name] == shut.mean()
    still = recipes.layer_statistics(model, (x, y), training=False).set_index("layer")
    assert still["pre_sd"]["narrow"] == pytest.approx(
        np.asarray(inside(x, training=False)["narrow_norm"]).std(), rel=1e-4
    )
    assert still["sd"]["narrow"] != pytest.approx(table["sd"]["narrow"], rel=0.01)


def test_recomputed_blocks_are_looked_into():
    x, y = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("f"), np.arange(4)
    kept, again = (
        recipes.layer_statistics(
            zoo.build("toy_densenet", input_shape=(8, 8, 3), num_classes=4, seed=0, **options),
            (x, y),
        )
        for options in ({}, {"recompute": True})
    )
    assert len(kept) == len(again) > 4
    for column in ("sd", "weight_gradient", "sign_share"):
        np.testing.assert_allclose(kept[column], again[column], rtol=1e-3)


def test_frozen_layers_half_precision_and_bounded_activations():
    """relu6 has one limit; frozen kernels have gradients, too; other losses scale them."""
    keras.utils.set_random_seed(0)
    options = {"input_shape": (3, 3, 1), "hidden": (20,), "act": "relu6", "init": "normal:3"}
    model = zoo.build("mlp", num_classes=4, seed=1, **options)
    x, y = np.random.default_rng(0).normal(size=(30, 3, 3, 1)).astype("f"), np.arange(30) % 4
    (row,) = recipes.layer_statistics(model, (x, y), beyond=(2, 5.5)).to_dict("records")
    a = np.asarray(keras.Model(model.input, model.get_layer(row["act"]).output)(x))
    assert row["saturated"] == pytest.approx((a > 5.94).mean(), abs=1e-9)
    assert 0.1 < row["saturated"] < row["beyond_5.5"] < row["beyond_2"]
    model.trainable = False
    twice = recipes.layer_statistics(
        model, (x, y),
        loss=lambda labels, logits: 2 * tf.reduce_mean(
            tf.nn.softmax_cross_entropy_with_logits(labels, logits)
        ),
    )  # fmt: skip
    assert twice["weight_gradient"][0] == pytest.approx(2 * row["weight_gradient"])
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = zoo.build("mlp", num_classes=4, seed=1, **options)
    finally:
        keras.config.set_dtype_policy("float32")
    found = recipes.layer_statistics(half, (x, y)).iloc[0]
    assert found["sd"] == pytest.approx(row["sd"], rel=0.02)
    assert found["weight_gradient"] == pytest.approx(row["weight_gradient"], rel=0.05)


def test_wrong_arguments_are_explained():
    model = zoo.build("mlp", input_shape=(3, 3, 1), num_classes=4)
    with pytest.raises(ValueError, match=r"batches=\[\]: there is no batch"):
        recipes.layer_statistics(model, [])
    with pytest.raises(ValueError, match=r"edges=\[1.0, 0.0\]: must be at least 2 numbers"):
        recipes.layer_statistics(model, np.zeros((2, 3, 3, 1)), edges=[1, 0])


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([1.0, 0.5, 0.1], "shrinks"), ([1.0, 0.5, 0.11], "varies"), ([0.1, 0.5, 1.0], "explodes"),
        ([1.0, 0.05, 0.1], "varies"), ([1.0, 3.0, 2.0], "keeps"), ([1.0, 3.1], "varies"),
        ([1.0], "varies"), ([1.0, np.nan], "varies"), ([1.0, 0.5, 0.5, 0.05], "varies"),
    ],
)  # fmt: skip
def test_trends(numbers, expected):
    assert trend(numbers) == expected


@pytest.mark.full
def test_six_layers_of_4096_units_need_less_than_2_gb(python):
    """100,728,842 parameters; the rest is TensorFlow."""
    program = """
import resource, numpy as np, recipes, zoo
model = zoo.build("mlp", input_shape=(64, 64, 1), hidden=(4096,) * 6, act="tanh", init="xavier")
x = np.random.default_rng(0).normal(size=(16, 64, 64, 1))
table = recipes.layer_statistics(model, (x, np.arange(16)), edges=np.linspace(-1, 1, 41))
assert np.isfinite(table["weight_gradient"]).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
    assert int(python(program, fresh=True).stdout.split()[-1]) < 2e9


@pytest.mark.quick
def test_a_network_without_hidden_layers_has_no_rows():
    model = zoo.build("mlp", input_shape=(4, 4, 1), hidden=(), num_classes=3)
    table = recipes.layer_statistics(model, (np.zeros((2, 4, 4, 1)), np.array([0, 2])))
    assert table.empty
    assert {"layer", "stage", "act"} <= {*table.columns}
