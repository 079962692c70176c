"""Training images are resized by epoch (progressive resizing)."""

import keras
import numpy as np
import pytest

from recipes import Recipe
from recipes.augment import PadCrop, Resize
from recipes.cli.flags import parse
from recipes.optimize.schedules import remarks
from recipes.recipe import from_json, replace, to_json
from recipes.training import loop


@pytest.fixture
def growing():
    return Recipe(
        model="toy_airbench",
        data="made_up:24x24x1:4:96",
        augment=(PadCrop(1),),
        sizes=((0, 12), (1, 24)),
        batch_size=16,
        epochs=3,
        lr=0.02,
        validation=0.2,
    )


class Stop(keras.callbacks.Callback):
    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == self.at:
            raise KeyboardInterrupt


def test_each_epoch_has_images_of_its_size_and_a_run_resumes(growing, train, monkeypatch):
    shapes, batches = [], loop.training_batches

    def recorded(*args, **settings):
        made, steps = batches(*args, **settings)
        epochs = range(settings["first_epoch"], settings["epochs"])
        shapes.append((list(epochs), made.element_spec[0].shape[1:3].as_list()))
        return made, steps

    monkeypatch.setattr(loop, "training_batches", recorded)
    whole = train(growing, "whole")
    assert shapes == [([0], [12, 12]), ([1, 2], [24, 24])]
    assert list(whole.metrics["epoch"]) == [1, 2, 3]
    assert whole.model.input_shape == (None, None, None, 1)
    assert whole.predict(np.zeros((2, 24, 24, 1), np.uint8)).shape[0] == 2

    shapes.clear()
    with pytest.raises(KeyboardInterrupt):
        train(growing, "stopped", callbacks=[Stop(3)])
    stopped = train(growing, "stopped")
    # The rest of the first epoch, then the others
    assert shapes[1:] == [([0], [12, 12]), ([1, 2], [24, 24])]
    for a, b in zip(whole.model.variables, stopped.model.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)


@pytest.mark.full
def test_one_size_is_the_same_as_an_op(growing, train):
    one = train(growing, "one", sizes=((0, 20),))
    shape = {"options.input_shape": (None, None, 1)}
    op = train(
        growing, "op", sizes=(), augment=(PadCrop(1), Resize(20)), eval_ops=(Resize(24),), **shape
    )
    columns = ["loss", "accuracy", "val_loss"]
    np.testing.assert_allclose(one.metrics[columns], op.metrics[columns], atol=1e-5)


@pytest.mark.quick
def test_sizes_are_checked_and_parsed():
    for text in ("((0, 12), (1, 24))", "(0,12),(1,24)", "[[0, 12], [1, 24]]"):
        _, overrides = parse("train", "", {}, [f"--sizes={text}"], fields=True)
        recipe = replace(Recipe(model="mlp", data="digits"), **overrides)
        assert recipe.sizes == ((0, 12), (1, 24))
        assert from_json(to_json(recipe)) == recipe
    for text in ("24", "(0, 24)", "0:24"):
        with pytest.raises(ValueError, match=r"^sizes=.*: must be a tuple"):
            parse("train", "", {}, [f"--sizes={text}"], fields=True)
    for wrong in (((1, 24), (0, 12)), ((0, 0),), ((-1, 8),), ((2, 8), (2, 9))):
        with pytest.raises(ValueError, match="must be pairs of an epoch and a side in pixels"):
            Recipe(model="mlp", data="digits", sizes=wrong)


@pytest.mark.quick
def test_a_size_that_no_epoch_has_is_reported(growing):
    short = replace(growing, epochs=1)
    remark = "sizes=((0, 12), (1, 24)): no epoch has images of 24 pixels within epochs=1"
    assert remarks(short, 6) == [remark]
    assert remarks(growing, 6) == []
