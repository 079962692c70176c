"""Gradient and update statistics during training, and what stops a training."""

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import recipes
from recipes import Recipe

RATE = 0.5


@pytest.fixture
def linear():
    """Softmax regression with one step per epoch on all images."""
    return Recipe(
        model="mlp", data="made_up:4x4x1:3:32", options={"hidden": ()}, preprocess="scale",
        validation=0.0, batch_size=32, epochs=2, lr=RATE, momentum=0.0, weight_decay=0.01,
    )  # fmt: skip


class Weights(keras.callbacks.Callback):
    """Stores the trainable weights at the start of each step."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_train_batch_begin(self, batch, logs=None):
        self.found.append([np.array(v) for v in self.model.trainable_variables])


@pytest.mark.quick
def test_gradients_and_updates_of_softmax_regression(linear, train):
    """With NumPy, the gradient is X'(p - y) / n without weight decay; the update includes it."""
    weights = Weights()
    run = train(linear, callbacks=[weights])
    data = recipes.data.batches.open_data(linear.data, validation=0.0, seed=0).train
    elements = list(data.elements().as_numpy_iterator())
    images, labels = ([e[name] for e in elements] for name in ("image", "label"))
    x = np.stack(images).reshape(32, 16) / 127.5 - 1
    for epoch, (kernel, bias) in enumerate(weights.found):
        logits = x @ kernel + bias
        shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        wrong = (shares - np.eye(3)[labels]) / 32
        gradient, of_bias = x.T @ wrong, wrong.sum(0)
        row = run.metrics.iloc[epoch]
        norm = np.sqrt((gradient**2).sum() + (of_bias**2).sum())
        assert row["head_gradient"] == pytest.approx(norm, rel=1e-4)
        moved = RATE * (gradient + 0.01 * kernel)
        ratio = np.linalg.norm(moved) / np.linalg.norm(kernel)
        assert row["head_update"] == pytest.approx(ratio, rel=1e-3)
        assert row["head_dead"] == 0


def test_update_ratios_of_zero_kernels_are_infinite(linear, train):
    """They are no errors: Fixup initializes the head with zeros."""
    run = train(linear, options={"hidden": (), "head_init": "zeros"}, lr=0.1)
    assert np.isinf(run.metrics["head_update"].iloc[0])
    assert np.isfinite(run.metrics["head_update"].iloc[1])


class Kill(keras.callbacks.Callback):
    """Turns three of eight units off by their bias."""

    def on_train_begin(self, logs=None):
        bias = next(v for v in self.model.trainable_variables if v.path == "fc_1_dense/bias")
        bias.assign([-1e6] * 3 + [1e3] * 5)


@pytest.mark.quick
def test_units_that_no_image_activates_are_dead(linear, train):
    run = train(linear, act="relu", options={"hidden": (8,)}, lr=1e-6, callbacks=[Kill()])
    assert list(run.metrics["fc_dead"]) == [3 / 8, 3 / 8]
    assert list(run.metrics["head_dead"]) == [0, 0]


def test_frozen_stages_have_no_statistics(tiny, train):
    run = train(tiny, model="toy_basic", freeze="stage1", epochs=1)
    stages = {n.split("_")[0] for n in run.metrics if n.endswith(("_dead", "_update", "_gradient"))}
    assert stages == {"stage2", "head"}


def test_tensorboard_gets_statistics_every_n_steps(tiny, train):
    run = train(tiny, stats_every=4)  # 6 steps per epoch
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    tags = events.Tags()["tensors"]
    assert {"gradient/stage1", "update/stage1", "dead/head"} <= set(tags)
    assert [e.step for e in events.Tensors("update/head")] == [4, 6, 10, 12]


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_gradients_in_mixed_precision_are_not_scaled(dtype, tiny, train):
    settings = {"model": "toy_basic", "epochs": 1, "lr": 1e-6}
    whole, half = (train(tiny, d, dtype=d, **settings).metrics for d in ("float32", dtype))
    for name in (n for n in whole if n.endswith("_gradient")):
        assert float(half[name].iloc[0]) == pytest.approx(float(whole[name].iloc[0]), rel=0.1)


def test_statistics_change_no_weights_and_can_be_turned_off(tiny, train):
    on, off = (train(tiny, f"monitor{n}", stats_every=n) for n in (3, 0))
    assert not [name for name in off.metrics if name.endswith("_update")]
    for a, b in zip(on.model.weights, off.model.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)


# What stops a training


@pytest.mark.quick
def test_a_loss_of_three_times_the_first_stops_training(linear, train, tmp_path):
    with pytest.raises(ValueError, match=r"learning rate 1e\+04: the loss is more than 3 times"):
        train(linear, lr=1e4)
    assert not recipes.open(tmp_path / "run").finished
    run = train(linear, "on", lr=1e4, stop_at_loss=None)
    times = run.metrics["loss"].iloc[-1] / run.metrics["loss"].iloc[0]
    assert times > 3
    with pytest.raises(ValueError, match="times the first"):
        train(linear, "less", lr=1e4, stop_at_loss=times / 2)
    train(linear, "more", lr=1e4, stop_at_loss=times * 2)


def test_a_resumed_run_compares_with_the_first_loss_of_the_run(linear, train, tmp_path):
    """Although the resumed session starts with a lower loss."""
    settings = {"epochs": 9, "lr": 1e4, "stop_at_loss": 3.0}
    with pytest.raises(ValueError, match="more than 3 times the first") as whole:
        train(linear, **settings)
    assert len(recipes.open(tmp_path / "run").metrics) == 1
    with pytest.raises(ValueError, match="more than 3 times the first") as resumed:
        train(linear, **settings)
    assert str(resumed.value) == str(whole.value)


def test_training_continues_after_nan_if_stop_on_nan_is_false(tiny, train):
    run = train(tiny, lr=1e30, act="relu", stop_on_nan=False, stop_at_loss=None)
    assert run.result["epochs"] == 2
    assert not np.isfinite(run.metrics["loss"]).any()
    assert run.result["top1"] == 0
