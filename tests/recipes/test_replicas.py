"""Several devices give the weights of one, and their random layers differ."""

import numpy as np
import pytest

import recipes

PROGRAM = """
import recipes
from recipes import Recipe
folder, variants = {folder!r}, {variants!r}
for name, fields in variants.items():
    # The first needs the most virtual devices; the others use some of them.
    for replicas in (4, 2, 1):
        strategy = f"mirrored:{{replicas}}" if replicas > 1 else "one"
        recipe = Recipe(model=fields["model"], data=fields["data"])
        run = recipes.train(recipe, run=f"{{folder}}/{{name}}{{replicas}}", strategy=strategy,
                            verbose=False, **fields)
        assert run.about["sessions"][0]["replicas"] == replicas
"""
# The 14 validation images are divisible by neither the batch size nor 4 replicas.
SYNCHRONIZED = {
    "model": "toy_lenet", "data": "made_up:16x16x1:4:96", "norm": "sync_batch", "batch_size": 16,
    "epochs": 2, "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3, "seed": 3,
    "clip_norm": 0.2, "validation": 0.15, "schedule": "plateau", "patience": 1, "stats_every": 3,
    "average": "ema:0.9", "class_weight": (3.0, 1.0, 0.5, 1.0), "augment": "(Flip(),)",
}  # fmt: skip
IN_PARTS = {
    "model": "toy_lenet", "data": "made_up:16x16x1:4:96", "batch_size": 16, "accumulate": 2,
    "epochs": 1, "optimizer": "lamb", "lr": 0.01, "clip_norm": 0.2, "average": "polyak",
}  # fmt: skip
COLUMNS = ["loss", "accuracy", "val_loss", "val_accuracy", "lr"]


def trained(python, folder, **variants):
    program = PROGRAM.format(folder=str(folder), variants=variants)
    python(program, CUDA_VISIBLE_DEVICES="-1")
    return {
        name: [recipes.open(folder / f"{name}{replicas}") for replicas in (1, 2, 4)]
        for name in variants
    }


def assert_same(one, other, atol):
    np.testing.assert_allclose(one.metrics[COLUMNS], other.metrics[COLUMNS], atol=atol)
    np.testing.assert_allclose(one.steps, other.steps, atol=atol)
    for a, b in zip(one.model.variables, other.model.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=atol, err_msg=a.path)
    for name in ("top1", "top5", "loss", "samples", "parameters"):
        assert one.result[name] == pytest.approx(other.result[name], abs=atol)


def test_two_and_four_replicas_give_the_weights_of_one(python, tmp_path):
    one, two, four = trained(python, tmp_path, run=SYNCHRONIZED)["run"]
    watched = [n for n in one.metrics if n.endswith(("_gradient", "_update", "_dead"))]
    assert watched
    for other in (two, four):
        assert_same(one, other, atol=1e-5)
        pair = one.metrics[watched], other.metrics[watched]
        np.testing.assert_allclose(*pair, rtol=1e-2, atol=1e-6)


@pytest.mark.full
def test_replicas_accumulate_and_round_alike(python, tmp_path):
    half = SYNCHRONIZED | {"dtype": "mixed_bfloat16", "epochs": 1, "stats_every": 0}
    runs = trained(python, tmp_path, parts=IN_PARTS, half=half)
    for name, atol in (("parts", 1e-5), ("half", 0.02)):
        one, *others = runs[name]
        for other in others:
            assert_same(one, other, atol)


DROPOUT = """
import sys
import keras, numpy as np, tensorflow as tf
import recipes
from recipes import Recipe

class Watch(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.seen = []
        strategy = tf.distribute.get_strategy()
        x = tf.ones([6, 8, 8, 1])
        for _ in range(2):
            found = strategy.run(tf.function(lambda: self.model(x, training=True)))
            self.seen += [each.numpy() for each in strategy.experimental_local_results(found)]

recipe = Recipe(model="mlp", data="made_up:8x8x1:4:32", batch_size=8, epochs=1, dropout=0.5,
                validation=0.0, seed=3)
one, two = Watch(), Watch()
for strategy, watch in (("mirrored:2", two), ("one", one)):
    recipes.train(recipe, run=f"{sys.argv[1]}/{strategy[:3]}", strategy=strategy, verbose=False,
                  callbacks=[watch])
first, other, next_first, next_other = two.seen
for a, b in ((first, other), (next_first, next_other), (first, next_first), (other, next_other)):
    assert np.abs(a - b).max() > 1e-3
# The first replica draws what one device does.
np.testing.assert_allclose(one.seen, [first, next_first], atol=1e-6)
"""


def test_dropout_differs_between_replicas(python, tmp_path):
    program = DROPOUT.replace("sys.argv[1]", repr(str(tmp_path)))
    python(program, CUDA_VISIBLE_DEVICES="-1")
