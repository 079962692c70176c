"""Files of keras.applications in the formats of Keras 2 and 3, also nested in other models."""

import h5py
import keras
import numpy as np
import pytest

import zoo
from tests.zoo.applications import randomize

SIZE = 32
X = np.random.default_rng(1).normal(size=(2, SIZE, SIZE, 3)).astype("float32")
# Our name: the function of keras.applications, its options, and ours.
NETWORKS = {
    "mobilenet_v1": ("MobileNet", {"alpha": 0.25}, {"multiplier": 0.25}),
    "mobilenet_v2": ("MobileNetV2", {"alpha": 0.35}, {"multiplier": 0.35}),
}


def theirs(name, top=True, **more):
    function, options, _ = NETWORKS[name]
    model = getattr(keras.applications, function)(
        input_shape=(SIZE, SIZE, 3), weights=None, include_top=top, **options,
        **({"classifier_activation": None, "classes": 7} if top else {}), **more,
    )  # fmt: skip
    randomize(model)
    return model


def ours(name, path, **options):
    return zoo.build(name, weights=path, input_shape=(SIZE, SIZE, 3), **NETWORKS[name][2],
                     **{"num_classes": 7, **options})  # fmt: skip


def close(a, b):
    assert np.abs(np.asarray(a) - np.asarray(b)).max() <= 1e-4 * np.abs(b).max()


def forget_names(path):
    """Remove the names of layers, which the first versions of Keras 3 did not write."""
    with h5py.File(path, "a") as file:
        found = []
        file.visititems(lambda name, item: found.append(name) if "name" in item.attrs else None)
        for name in found:
            del file[name].attrs["name"]
    assert found


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_files_of_keras_3_load(name, tmp_path):
    """The layout of the file also determines the network's options."""
    model = theirs(name)
    path = tmp_path / "a.weights.h5"
    model.save_weights(path)
    close(ours(name, path)(X), model(X))
    forget_names(path)
    close(ours(name, path)(X), model(X))


def nested(base, kind):
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dropout(0.1), keras.layers.Dense(7)]
    if kind == "Sequential":
        model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), base, *head])
    else:
        x = inputs = keras.Input((SIZE, SIZE, 3))
        for layer in (base, *head):
            x = layer(x)
        model = keras.Model(inputs, x)
    head[-1].set_weights([np.random.default_rng(0).normal(size=w.shape) for w in head[-1].weights])
    return model


def save_as_keras_2(model, path):
    """Write a nested model as Keras 2 did: trainable weights first, and ":0" in names."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            weights = [*layer.trainable_weights, *layer.non_trainable_weights]
            inner = {id(w): x.name for x in getattr(layer, "layers", ()) for w in x.weights}
            names = [f"{inner.get(id(w), layer.name)}/{w.name}:0" for w in weights]
            group.attrs["weight_names"] = names
            for name, weight in zip(names, weights, strict=True):
                group[name] = np.asarray(weight)


@pytest.mark.parametrize(
    ("kind", "frozen"),
    [
        ("functional", False),
        pytest.param("functional", True, marks=pytest.mark.full),
        pytest.param("Sequential", True, marks=pytest.mark.full),
    ],
)
def test_a_network_nested_in_a_model_loads(kind, frozen, tmp_path, caplog):
    """Its head is loaded if it is a single dense layer for the same number of classes."""
    base = theirs("mobilenet_v1", top=False)
    base.trainable = not frozen
    model = nested(base, kind)
    logits, body = model(X), keras.layers.GlobalAveragePooling2D()(base(X))
    files = [tmp_path / name for name in ("a.weights.h5", "whole.h5", "old.h5")]
    model.save_weights(files[0])
    model.save(files[1])
    save_as_keras_2(model, files[2])
    for path in files:
        close(ours("mobilenet_v1", path)(X), logits)
    assert "the head of mobilenet_v1 is loaded from dense" in caplog.text
    close(ours("mobilenet_v1", files[0], num_classes=0)(X), body)
    for path in files[1:]:
        five = ours("mobilenet_v1", path, num_classes=5)
        close(keras.Model(five.input, five.get_layer("head_pool").output)(X), body)


def test_a_network_in_a_subclassed_model_loads(tmp_path, caplog):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.backbone = keras.Model(
                (base := theirs("mobilenet_v1", top=False)).input,
                keras.layers.GlobalAveragePooling2D()(base.output),
            )
            self.head = keras.layers.Dense(7)

        def call(self, x):
            return self.head(self.backbone(x))

    model = Model()
    logits = model(X)
    model.save_weights(tmp_path / "a.weights.h5")
    close(ours("mobilenet_v1", tmp_path / "a.weights.h5")(X), logits)
    assert "the head of mobilenet_v1 is loaded from head/kernel, head/bias" in caplog.text


def test_the_advice_for_a_keras_file_works(tmp_path):
    """A model that is opened with Keras and saved as weights loads."""
    model = theirs("mobilenet_v1")
    path = tmp_path / "a.keras"
    model.save(path)
    with pytest.raises(ValueError, match=r"model\.save_weights\('NAME\.weights\.h5'\)"):
        ours("mobilenet_v1", path)
    keras.saving.load_model(path).save_weights(tmp_path / "NAME.weights.h5")
    close(ours("mobilenet_v1", tmp_path / "NAME.weights.h5")(X), model(X))


@pytest.mark.quick
def test_a_keras_3_file_of_another_network_is_an_error(tmp_path):
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Conv2D(4, 3)])
    model.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match=r"has no tensors of|does not fit|cannot be loaded"):
        ours("mobilenet_v1", tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match=r"a Keras file.*pass a file of torchvision"):
        zoo.build("alexnet_owt", weights=tmp_path / "a.weights.h5")


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "function", "size"),
    [("inception_v3", "InceptionV3", 96), ("preact_resnet50", "ResNet50V2", 64)],
)
def test_layers_that_keras_numbers_are_matched(name, function, size, tmp_path):
    """InceptionV3 numbers its convolutions, and some of ResNet50V2's have a bias."""
    model = getattr(keras.applications, function)(
        input_shape=(size, size, 3), weights=None, classes=7, classifier_activation=None
    )
    randomize(model)
    x = np.random.default_rng(1).normal(size=(1, size, size, 3)).astype("float32")
    model.save_weights(tmp_path / "a.weights.h5")
    made = zoo.build(name, weights=tmp_path / "a.weights.h5", num_classes=7,
                     input_shape=(size, size, 3))  # fmt: skip
    close(made(x), model(x))
