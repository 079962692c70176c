"""steps.csv: the loss of each step's own batch, also after interruptions and in parts."""

import keras
import numpy as np
import pytest

import recipes
from recipes import Recipe
from recipes.data.batches import open_data, training_batches
from recipes.training.progress import Progress
from recipes.training.steps import StepLog, read

RATE, STEPS, EPOCHS = 0.5, 4, 2


@pytest.fixture
def linear():
    """Softmax regression with four steps per epoch."""
    return Recipe(
        model="mlp", data="made_up:4x4x1:3:32", options={"hidden": ()}, preprocess="scale",
        validation=0.0, batch_size=8, epochs=EPOCHS, lr=RATE, momentum=0.0, weight_decay=0.01,
        class_weight=(3.0, 1.0, 0.5), stats_every=0,
    )  # fmt: skip


class Weights(keras.callbacks.Callback):
    """Stores the trainable weights at the start of each step."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_train_batch_begin(self, batch, logs=None):
        self.found.append([np.array(v) for v in self.model.trainable_variables])


def expected(recipe, weights):
    """Return loss and accuracy of each step before its update, with NumPy."""
    data = open_data(recipe.data, validation=0.0, seed=0).train
    batches, _ = training_batches(
        data, classes=3, batch=8, ops=(), seed=0, first_epoch=0, epochs=EPOCHS
    )
    found = []
    for (images, labels), (kernel, bias) in zip(batches.as_numpy_iterator(), weights, strict=True):
        logits = (images.reshape(8, 16) / 127.5 - 1) @ kernel + bias
        own = (labels * logits).sum(-1) - np.log(np.exp(logits).sum(-1))
        loss = -np.mean(own * (labels @ np.array([3.0, 1.0, 0.5])))
        found.append((loss, np.mean(logits.argmax(-1) == labels.argmax(-1))))
    return np.array(found)


@pytest.mark.quick
@pytest.mark.parametrize("parts", [1, 2])
def test_the_loss_of_a_step_is_that_of_its_batch_before_the_update(parts, linear, train):
    weights = Weights()
    run = train(linear, accumulate=parts, schedule="cosine", callbacks=[weights])
    table = run.steps
    np.testing.assert_allclose(table[["loss", "accuracy"]], expected(linear, weights.found), 1e-5)
    assert table["step"].tolist() == list(range(1, 1 + STEPS * EPOCHS))
    assert table["epoch"].tolist() == [1] * STEPS + [2] * STEPS
    rates = RATE * 0.5 * (1 + np.cos(np.pi * np.arange(8) / 8))
    np.testing.assert_allclose(table["lr"], rates, 1e-5)
    means = table.groupby("epoch")[["loss", "accuracy"]].mean()
    np.testing.assert_allclose(means, run.metrics[["loss", "accuracy"]], 1e-5)
    assert set(run.metrics) == {"epoch", "loss", "accuracy", "lr", "seconds"}


@pytest.mark.quick
def test_every_third_step_or_none_is_written(linear, train):
    whole = train(linear, "whole").steps
    third = train(linear, "third", loss_every=3).steps
    assert third["step"].tolist() == [1, 4, 7]
    assert third.to_numpy().tolist() == whole.iloc[::3].to_numpy().tolist()
    run = train(linear, "none", loss_every=0)
    assert not (run.path / "steps.csv").exists()
    assert len(run.steps) == 0
    # It is no other experiment: the finished run is found again.
    assert train(linear, "none", loss_every=2).result == run.result


@pytest.mark.quick
def test_an_explosion_is_noticed_within_the_epoch(linear, train, tmp_path):
    """The mean of an epoch would hide it for longer."""

    class Explode(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 100:
                self.model.trainable_variables[0].assign(np.random.default_rng(0).normal(
                    0, 100, (16, 3)))  # fmt: skip

    settings = {"data": "made_up:4x4x1:3:1600", "epochs": 1, "lr": 1e-9, "class_weight": None}
    with pytest.raises(ValueError, match=r"\(mean of the last 20 steps\) in epoch 1 at .*3 times"):
        train(linear, callbacks=[Explode()], **settings)
    losses = recipes.open(tmp_path / "run").steps["loss"].to_numpy()
    assert 101 <= len(losses) <= 120
    assert losses.mean() < 3 * losses[0] < losses[-20:].mean()


@pytest.mark.quick
def test_a_training_that_goes_back_replaces_the_later_steps(tmp_path):
    """Steps that were written after the checkpoint, and a row that was not completed."""
    log = StepLog(tmp_path, every=1, steps=3, batch=10)
    log.begin(Progress())
    for step, (loss, right) in enumerate([(2.0, 1), (1.5, 5), (1.0, 9)], 1):
        log.add(loss, right / step / 10, step)
        log.flush(lambda updates: 0.1 * updates, step)
    text = (tmp_path / "steps.csv").read_text()
    assert (
        text == "step,epoch,loss,accuracy,lr\n1,1,2.0,0.1,0.0\n2,1,1.5,0.4,0.1\n3,1,1.0,0.4,0.2\n"
    )
    (tmp_path / "steps.csv").write_text(text + "4,2,0.")
    assert len(read(tmp_path / "steps.csv")) == 3
    log = StepLog(tmp_path, every=1, steps=3, batch=10)
    log.begin(Progress(step=2, logs={"accuracy": 0.25}))
    log.add(float("inf"), 0.3, 3)
    log.flush(lambda updates: 0.1 * updates, 3)
    log.add(4.0, 0.2, 1)
    log.flush(lambda updates: 0.1, 4)
    assert (tmp_path / "steps.csv").read_text() == (
        "step,epoch,loss,accuracy,lr\n1,1,2.0,0.1,0.0\n2,1,1.5,0.4,0.1\n3,1,inf,0.4,0.2\n"
        "4,2,4.0,0.2,0.1\n"
    )
