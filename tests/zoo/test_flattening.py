"""Models that contain models are folded, exported, explained, cut and profiled as one graph."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.flattening import flattened, is_flat

L = keras.layers
X = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")


def trained(model, seed=1):
    """Return the model with weights and statistics that differ from their initial values."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.dtype == "float32":
            value = np.asarray(variable)
            variable.assign(value + 0.1 * np.abs(random.normal(size=value.shape)))
    return model


def transfer(name="toy_resnet"):
    """Return a Sequential that contains a network of ours without its head, and that network."""
    base = zoo.build("resnet20", depths=(1, 1, 1), num_classes=0, seed=0)
    layers = [keras.Input((32, 32, 3)), L.Rescaling(1 / 255), base, L.Dropout(0.5), L.Dense(5)]
    return trained(keras.Sequential(layers, name="transfer")), base


def plain_base(number):
    """Return a small Keras model whose layers have the same names for each `number`."""
    layers = [
        keras.Input((32, 32, 3)),
        L.Conv2D(4, 3, name="conv1"),
        L.BatchNormalization(name="bn1"),
        L.ReLU(name="relu1"),
    ]
    return keras.Sequential(layers, name=f"base{number}")


def two_deep():
    """Return a model that contains a Sequential twice, which contains a functional model."""
    inner, _ = transfer()
    x = keras.Input((32, 32, 3))
    sides = [inner(x), inner(L.ZeroPadding2D(0)(x) * 0.5, training=False)]
    return trained(keras.Model(x, L.Dense(3)(L.Concatenate()(sides)), name="two_deep"), seed=2)


def equal_names():
    """Return a model that contains two models with equal layer names and different weights."""
    x = keras.Input((32, 32, 3))
    y = L.Add()([plain_base(i)(x) for i in (1, 2)])
    return trained(keras.Model(x, L.Dense(4)(L.GlobalAveragePooling2D()(y)), name="equal"))


def called_twice():
    """Return a model that calls one layer twice."""
    x = keras.Input((32, 32, 3))
    convolution = L.Conv2D(3, 3, padding="same", name="conv")
    y = L.BatchNormalization()(convolution(L.ReLU()(convolution(x))))
    return trained(keras.Model(x, L.Dense(4)(L.GlobalMaxPooling2D()(y)), name="twice"))


def several_outputs():
    """Return a model that contains a model of two named inputs and two named outputs."""
    a, b = keras.Input((32, 32, 3), name="a"), keras.Input((32, 32, 3), name="b")
    pair = keras.Model({"b": b, "a": a}, {"sum": L.Add()([a, b]), "less": L.Subtract()([a, b])})
    x = keras.Input((32, 32, 3))
    found = pair({"a": L.Conv2D(3, 1)(x), "b": x})
    y = L.BatchNormalization()(L.Conv2D(4, 3)(found["less"]))
    y = L.Concatenate()([L.GlobalAveragePooling2D()(z) for z in (y, found["sum"])])
    return trained(keras.Model(x, L.Dense(2)(y), name="several"))


MODELS = {
    "transfer": lambda: transfer()[0],
    "two_deep": two_deep,
    "equal_names": equal_names,
    "called_twice": called_twice,
    "several_outputs": several_outputs,
}


def difference(model, other):
    """Return the largest difference of the logits, relative to the largest; `other` in a graph."""
    wanted = np.asarray(model(X))
    return np.abs(other.predict(X, verbose=0) - wanted).max() / np.abs(wanted).max()


@pytest.mark.quick
@pytest.mark.parametrize("name", MODELS)
def test_flattening_and_folding_keep_the_outputs(name):
    model = MODELS[name]()
    before = [np.asarray(w) for w in model.weights]
    assert not is_flat(model)
    flat = flattened(model)
    assert is_flat(flat)
    assert difference(model, flat) < 1e-6
    folded = zoo.fold_batchnorm(model)
    assert is_flat(folded)
    norms = [x for x in folded.layers if isinstance(x, L.BatchNormalization)]
    assert not norms
    assert difference(model, folded) < 1e-5
    folded.set_weights([0 * w for w in folded.get_weights()])  # the model shares no weights with it
    assert all((a == np.asarray(b)).all() for a, b in zip(before, model.weights, strict=True))


@pytest.mark.quick
@pytest.mark.parametrize("name", ["transfer", "two_deep"])
def test_profile_counts_nested_models_by_stage(name):
    model = MODELS[name]()
    frame = zoo.profile(model)
    once = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    uses = 1 if name == "transfer" else 2
    base = sum(int(np.prod(w.shape)) for w in transfer()[0].trainable_weights)
    assert frame.loc["total", "parameters"] == once + (uses - 1) * base
    reference = zoo.profile(zoo.build("resnet20", depths=(1, 1, 1), num_classes=0))
    for stage in ("stem", "stage1", "stage3"):
        assert frame.loc[stage, "macs"] == reference.loc[stage, "macs"]


@pytest.mark.quick
def test_features_share_the_nested_layers():
    model, base = transfer()
    maps = zoo.features(model, ["stage2", "dense"])
    found = maps.predict(X, verbose=0)
    end = next(x for x in reversed(base.layers) if x.name.startswith("stage2_"))
    wanted = keras.Model(base.input, end.output)(X / 255)
    np.testing.assert_allclose(found["stage2"], wanted, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found["dense"], model(X), rtol=1e-5, atol=1e-5)
    model.layers[-1].bias.assign_add([1.0] * 5)  # one layer, in both
    np.testing.assert_allclose(maps(X)["dense"], model(X), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="unknown stage of transfer 'stage9'"):
        zoo.features(model, ["stage9"])


@pytest.mark.quick
def test_gradcam_reaches_the_stages_of_a_nested_network():
    model, base = transfer()
    end = next(x for x in reversed(base.layers) if x.name.startswith("stage3_"))
    split = keras.Model(base.input, [end.output, base.output])
    # The formula of Selvaraju et al. 2017: the base ends in the average of the maps of stage3.
    maps = np.asarray(split(X / 255)[0])
    kernel = np.asarray(model.layers[-1].kernel)
    classes = np.asarray(model(X)).argmax(-1)
    weights = kernel[:, classes].T / maps[0, ..., 0].size
    heat = np.maximum((maps * weights[:, None, None]).sum(-1), 0)
    heat /= np.where(heat.max((1, 2)) > 0, heat.max((1, 2)), 1)[:, None, None]
    np.testing.assert_allclose(zoo.gradcam(model, X), heat, atol=1e-4)
    assert zoo.gradcam(two_deep(), X, stage="stage1").shape == (4, 32, 32)
    assert zoo.gradcam(equal_names(), X).shape == (4, 30, 30)


@pytest.mark.quick
def test_gradcam_ignores_random_augmentation_layers():
    """They are in inference mode, as in `predict`, so that each call gives the same maps."""
    x = inputs = keras.Input((32, 32, 3))
    for layer in (L.RandomTranslation(0.3, 0.3), L.Conv2D(4, 3), L.GlobalAveragePooling2D()):
        x = layer(x)
    x = L.Dense(3)(x)
    model = keras.Model(inputs, x)
    plain = keras.Sequential([keras.Input((32, 32, 3)), *model.layers[2:]])
    for _ in range(2):
        np.testing.assert_allclose(zoo.gradcam(model, X), zoo.gradcam(plain, X), atol=1e-5)


@pytest.mark.quick
def test_a_model_with_two_inputs_is_an_error():
    a, b = keras.Input((8, 8, 3), name="a"), keras.Input((4,), name="b")
    x = L.Concatenate()([L.GlobalAveragePooling2D()(L.Conv2D(4, 3)(a)), b])
    model = keras.Model([a, b], L.Dense(3)(L.Dense(5)(x)))
    for use in (zoo.gradcam, zoo.lsuv):
        with pytest.raises(ValueError, match=r"has 2 inputs \(a, b\); pass a model with one"):
            use(model, X[:, :8, :8])


@pytest.mark.quick
def test_freezing_and_a_new_head_reach_into_a_nested_network():
    model, base = transfer()
    zoo.freeze(model, "stage1")
    still = {w.path for w in model.trainable_weights}
    assert not any("stage1" in path or "stem" in path for path in still)
    assert any("stage2" in path for path in still)
    new = zoo.new_head(model, 7, seed=0)
    assert new(X).shape == (4, 7)
    assert new.layers[-1].kernel.shape == (64, 7)  # replaces the old head
    assert base in new.layers
    probe = zoo.new_head(model, 3, stage="stage2")
    assert probe.layers[-1].kernel.shape == (32, 3)
    assert probe(X).shape == (4, 3)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("transfer", "it.keras"),
        ("two_deep", "it.onnx"),
        ("transfer", "saved"),
        ("equal_names", "it.tflite"),
    ],
)
def test_exports_of_nested_models_keep_the_logits(name, file, tmp_path):
    model = MODELS[name]()
    done = zoo.export(model, tmp_path / file, to="saved_model" if file == "saved" else None)
    assert done.difference < 1e-5
    if file == "saved":
        restored = tf.saved_model.load(str(tmp_path / file))
        np.testing.assert_allclose(restored.serve(X), model(X), rtol=1e-4, atol=1e-4)


def test_a_saved_nested_model_opens_and_folds(tmp_path):
    model = two_deep()
    model.save(tmp_path / "it.keras")
    again = keras.models.load_model(tmp_path / "it.keras")
    assert difference(model, zoo.fold_batchnorm(again)) < 1e-5


def test_a_nested_model_is_drawn(tmp_path):
    assert "stage3" in zoo.plot(transfer()[0], tmp_path / "it.svg").read_text("utf-8")


class Subclassed(keras.Model):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.dense = L.Dense(3)

    def call(self, x):
        return self.dense(L.Flatten()(x))


def inside():
    return keras.Sequential([keras.Input((32, 32, 3)), Subclassed(name="mine"), L.Dense(2)])


@pytest.mark.quick
@pytest.mark.parametrize(
    ("made", "words"),
    [
        (Subclassed, "functional API"),
        (inside, "mine: Subclassed is a subclassed keras.Model"),
        (lambda: keras.Sequential([L.Flatten(), L.Dense(2)]), "start it with keras.Input"),
        (lambda: L.Dense(2), r"(not|nor) a (functional )?keras\.Model"),
    ],
)
def test_a_model_without_a_graph_is_an_error_with_advice(made, words, tmp_path):
    uses = {
        "fold": zoo.fold_batchnorm,
        "gradcam": lambda model: zoo.gradcam(model, X),
        "features": lambda model: zoo.features(model, ["stage1"]),
        "export": lambda model: zoo.export(model, tmp_path / "it.keras"),
        "profile": zoo.profile,
        "new_head": lambda model: zoo.new_head(model, 3),
        "freeze": zoo.freeze,
        "stages": zoo.stages,
        "plot": lambda model: zoo.plot(model, tmp_path / "it.svg"),
    }
    if made is inside:
        del uses["new_head"]  # the body may be anything
    for use in uses.values():
        with pytest.raises(ValueError, match=words):
            use(made())
    assert not list(tmp_path.iterdir())
