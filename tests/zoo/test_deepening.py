"""Added identity blocks keep the outputs, have the shapes of a deeper network, and train."""

import keras
import numpy as np
import pytest

import zoo

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(4, 32, 32, 3)).astype("float32")

# Network, options, blocks to add by stage, and options of a network with the resulting shapes.
DEEPER = [
    ("toy_resnet", {"depths": (2, 2)}, {"stage1": 2}, {"depths": (4, 2)}),
    ("toy_resnet", {"depths": (2, 2), "zero_gamma": True}, {"stage2": 1}, {"depths": (2, 3)}),
    (
        "toy_basic",
        {"depths": (2, 1), "norm": "none", "init": "fixup", "head_init": "normal:1"},
        {"stage1": 1},
        None,
    ),
    ("toy_basic", {"depths": (2, 2), "norm": "group"}, {"stage1": 1, "stage2": 2}, None),
    ("toy_basic", {"depths": (2, 1), "norm": "none"}, {"stage1": 1}, {"depths": (3, 1)}),
    ("toy_plain", {"depths": (2, 2)}, {"stage1": 1, "stage2": 3}, {"depths": (3, 5)}),
    ("toy_plain", {"depths": (1, 1), "norm": "none"}, {"stage1": 2}, {"depths": (3, 1)}),
    ("toy_preact_resnet", {"depths": (2, 2), "act": "elu"}, {"stage2": 1}, {"depths": (2, 3)}),
    ("toy_wide_resnet", {"depths": (2, 2), "dropout": 0.2}, {"stage1": 1}, {"depths": (3, 2)}),
    ("toy_senet", {"depths": (2, 2)}, {"stage1": 1}, {"depths": (3, 2)}),
    ("toy_vgg", {"depths": (1, 2, 1, 1)}, {"stage2": 1}, {"depths": (1, 3, 1, 1)}),
    ("toy_mobilenet_v1", {"depths": (1, 2)}, {"stage2": 1}, None),
    ("toy_efficientnet", {"drop_path": 0.2}, {"stage1": 1}, None),
    ("toy_inception_resnet", {}, {"stage1": 1}, None),
    ("toy_resnet", {"depths": (2, 2), "recompute": True}, {"stage1": 1}, {"depths": (3, 2)}),
]


@pytest.mark.parametrize(("name", "options", "more", "same_as"), DEEPER, ids=str)
def test_deepening_keeps_the_outputs(name, options, more, same_as):
    model = zoo.build(name, seed=0, **options)
    for layer in zoo.stages(model).values():
        for norm in (x for x in layer if isinstance(x, keras.layers.BatchNormalization)):
            norm.moving_mean.assign(RANDOM.normal(size=norm.moving_mean.shape) * 0.1)
            norm.moving_variance.assign(RANDOM.uniform(0.5, 2, norm.moving_variance.shape))
    deeper = zoo.deepen(model, **more)
    y = np.asarray(model(X))
    assert np.abs(y).max() > 1e-3
    np.testing.assert_allclose(deeper(X), y, rtol=1e-5, atol=1e-6)
    assert deeper.count_params() > model.count_params()
    if same_as:
        built = zoo.build(name, seed=0, **{**options, **same_as})
        assert shapes(deeper) == shapes(built)


def shapes(model):
    return {
        f"{layer.name}/{w.name}": tuple(w.shape)
        for found in zoo.stages(model).values()
        for layer in found
        for w in layer.weights
    }


@pytest.mark.quick
def test_added_blocks_train_and_differ_from_each_other():
    model = zoo.build("toy_resnet", depths=(2, 1), seed=0, num_classes=4)
    deeper = zoo.deepen(model, stage1=2)
    first, second = (np.asarray(deeper.get_layer(f"stage1_block{i}_1_conv").kernel) for i in (3, 4))
    assert np.abs(first - second).max() > 0.01
    before = np.asarray(deeper.get_layer("stage1_block4_3_norm").gamma)
    assert not before.any()
    deeper.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    deeper.train_on_batch(X, np.arange(4))
    assert np.asarray(deeper.get_layer("stage1_block4_3_norm").gamma).any()
    # The given model is unchanged and shares no weights.
    np.testing.assert_array_equal(
        model(X), zoo.build("toy_resnet", depths=(2, 1), seed=0, num_classes=4)(X)
    )


@pytest.mark.parametrize(
    ("name", "options", "more", "message"),
    [
        ("toy_resnet", {}, {"stage9": 1}, "unknown stage of blocks of toy_resnet 'stage9'"),
        ("toy_resnet", {"depths": (2, 1)}, {"stage1": 0}, "stage1=0: must be a whole number"),
        (
            "toy_resnet",
            {},
            {"stage1": 1},
            "stage1: cannot be deepened in toy_resnet, because stage1_block1 changes",
        ),
        ("toy_resnet", {"depths": (2, 1), "act": "elu"}, {"stage1": 1}, "activation that changes"),
        ("toy_densenet", {}, {"stage1": 1}, "changes the shape of its feature maps"),
        ("toy_googlenet", {}, {"stage1": 1}, "cannot be deepened"),
        (
            "toy_plain",
            {"depths": (2, 1), "norm": "group"},
            {"stage1": 1},
            "changes activated values",
        ),
        ("toy_mlp", {}, {"stage1": 1}, "unknown stage of blocks"),
    ],
)
def test_a_network_that_cannot_be_deepened_is_an_error(name, options, more, message):
    with pytest.raises(ValueError, match=message):
        zoo.deepen(zoo.build(name, **options), **more)
