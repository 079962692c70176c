"""Training runs with gradient accumulation, averaged weights and auxiliary heads."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import recipes
import zoo
from recipes import Recipe, optimize
from recipes.cli.flags import parse
from recipes.data.batches import open_data, open_for, training_batches
from recipes.evaluation.predict import evaluate_split
from recipes.recipe import from_json, to_json
from recipes.training import checkpoint


def assert_same_weights(one, other, atol=2e-6):
    for a, b in zip(one.variables, other.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=atol, err_msg=a.path)


def test_accumulate_gives_the_update_of_the_whole_batch(tiny, train):
    fields = {"momentum": 0.9, "clip_norm": 0.3, "schedule": "cosine", "augment": "(Mixup(0.2),)"}
    whole = train(tiny, "whole", **fields)
    parts = train(tiny, "parts", accumulate=4, **fields)
    assert_same_weights(whole.model, parts.model)
    columns = ["loss", "accuracy", "val_loss", "val_accuracy", "lr"]
    np.testing.assert_allclose(whole.metrics[columns], parts.metrics[columns], atol=1e-5)
    assert whole.result["parameters"] == parts.result["parameters"]


def test_accumulate_works_with_loss_scaling(tiny, train):
    run = train(tiny, dtype="mixed_float16", accumulate=2)
    assert np.isfinite(run.metrics["loss"]).all()


TWO_DEVICES = """
import recipes
from recipes import Recipe
recipe = Recipe(model={model!r}, data="made_up:24x24x1:4:96", norm={norm!r}, batch_size=16,
                epochs=2, lr=0.02, clip_norm=0.5, seed=3, accumulate=2, validation=0.15,
                average="ema:0.9")
run = recipes.train(recipe, run={run!r}, strategy="mirrored:2", verbose=False)
assert run.about["sessions"][0]["replicas"] == 2
try:
    recipes.train(recipe, run={run!r} + "2", strategy="mirrored:2", batch_size=12, accumulate=4)
except ValueError as error:
    wanted = "batch_size=12: must be divisible by 2 replicas times accumulate=4; "
    wanted += "choose a multiple of 8"
    assert str(error) == wanted, error
else:
    raise SystemExit("no error")
"""


@pytest.mark.full  # test_replicas.py has averages
def test_accumulate_and_averages_are_the_same_on_two_devices(python, tmp_path, train):
    run = str(tmp_path / "two")
    python(TWO_DEVICES.format(model="toy_lenet", norm=None, run=run), CUDA_VISIBLE_DEVICES="-1")
    two = recipes.open(run)
    one = train(two.recipe, "one", strategy="one")
    assert_same_weights(one.model, two.model, atol=5e-6)
    columns = ["loss", "accuracy", "val_loss", "val_accuracy", "lr"]
    np.testing.assert_allclose(one.metrics[columns], two.metrics[columns], atol=1e-5)


@pytest.mark.full
@pytest.mark.parametrize("norm", ["batch", "sync_batch"])
def test_accumulate_with_batch_norm_on_two_devices(norm, python, tmp_path):
    run = str(tmp_path / "two")
    python(TWO_DEVICES.format(model="toy_basic", norm=norm, run=run), CUDA_VISIBLE_DEVICES="-1")
    found = recipes.open(run)
    assert np.isfinite(found.metrics.to_numpy()).all()
    assert found.result["samples"] == 24


class Watch(keras.callbacks.Callback):
    """Stores every float variable at the start and after each step."""

    def on_train_begin(self, logs=None):
        self.seen = [self.now()]

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.now())

    def now(self):
        return [v.numpy().astype(np.float64) for v in self.model.variables]


def ema(seen, decay):
    average = seen[0]
    for n, now in enumerate(seen[1:], 1):
        d = min(decay, (1 + n) / (10 + n))
        average = [d * a + (1 - d) * w for a, w in zip(average, now, strict=True)]
    return average


@pytest.mark.parametrize("average", ["ema:0.5", "polyak"])
def test_averages_follow_their_formulas_and_are_saved(average, tiny, train):
    watch = Watch()
    run = train(tiny, model="toy_basic", average=average, callbacks=[watch])
    kept = watch.model.variables
    if average == "polyak":
        expected = [np.mean(v, axis=0) for v in zip(*watch.seen[1:], strict=True)]
    else:
        expected = ema(watch.seen, float(average[4:]))
    assert len(watch.seen) == 1 + 2 * 6
    for v, wanted, saved in zip(kept, expected, run.model.variables, strict=True):
        np.testing.assert_allclose(saved.numpy(), wanted, rtol=1e-5, atol=1e-5, err_msg=v.path)
    # The averages were validated.
    data = open_data(run.recipe.data, validation=0.2, seed=3)
    evaluated = evaluate_split(run.model, data.validation, 4, run.recipe)
    assert evaluated["loss"] == pytest.approx(run.metrics["val_loss"].iloc[-1], rel=1e-5)
    assert evaluated["top1"] == pytest.approx(run.metrics["val_accuracy"].iloc[-1])


@pytest.mark.parametrize("kind", ["lookahead:3", "lookahead:4:0.5"])
def test_lookahead_follows_its_formula_and_continues_from_the_average(kind):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD())
    averages = optimize.Averages(model, kind, steps=12)
    rng, every = np.random.default_rng(0), 3 if kind == "lookahead:3" else 4
    slow = fast = model.layers[0].kernel.numpy()
    for step in range(1, 13):
        change = rng.normal(size=fast.shape).astype("float32")
        model.layers[0].kernel.assign_add(change)
        model.optimizer.iterations.assign(step)
        averages.on_train_batch_end(step - 1)
        fast = fast + change
        if step % every == 0:
            share = 0.5 if every == 4 else 1 - 0.95**3 * (step / 12) ** 3
            slow = fast = (1 - share) * slow + share * fast
        np.testing.assert_allclose(model.layers[0].kernel.numpy(), fast, atol=1e-5)
        np.testing.assert_allclose(averages.variables[0].numpy(), slow, atol=1e-5)


class Overflow(keras.callbacks.Callback):
    """A loss scale so high that the first step is skipped."""

    def on_train_begin(self, logs=None):
        self.model.optimizer.dynamic_scale.assign(1e38)


def test_an_average_ignores_steps_that_loss_scaling_skips(tiny, train):
    watch = Watch()
    run = train(
        tiny, epochs=1, dtype="mixed_float16", average="polyak", stop_on_nan=False,
        callbacks=[Overflow(), watch],
    )  # fmt: skip
    assert watch.model.optimizer.iterations == 0  # all are skipped
    for kept, first in zip(run.model.variables, watch.seen[0], strict=True):
        np.testing.assert_array_equal(kept.numpy(), first)


def test_swa_averages_the_last_epochs_and_recomputes_norm_statistics(tiny, train):
    watch = Watch()
    run = train(tiny, model="toy_basic", epochs=3, average="swa:2", callbacks=[watch])
    ends = [watch.seen[6 * epoch] for epoch in (2, 3)]
    expected = dict(
        zip(
            [v.path for v in watch.model.variables],
            [np.mean(v, axis=0) for v in zip(*ends, strict=True)],
            strict=True,
        )
    )
    for v in run.model.trainable_variables:
        np.testing.assert_allclose(v.numpy(), expected[v.path], rtol=1e-5, atol=1e-6)
    # The statistics of the first norm are those of its inputs with the averaged weights.
    norm = next(x for x in run.model.layers if isinstance(x, keras.layers.BatchNormalization))
    inputs = keras.Model(run.model.input, norm.input)
    data = open_for(run.recipe)
    batches, _ = training_batches(
        data.train, classes=4, batch=16, ops=(), seed=3, first_epoch=0, epochs=1
    )
    maps = [np.asarray(inputs(images), np.float64) for images, _ in batches]
    means = np.mean([m.mean((0, 1, 2)) for m in maps], axis=0)
    np.testing.assert_allclose(norm.moving_mean.numpy(), means, rtol=1e-4, atol=1e-5)
    assert not np.allclose(expected[norm.moving_mean.path], means, rtol=1e-3)


class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 8:  # in the second epoch
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("average", "select"),
    [
        ("ema:0.8", "best"),
        pytest.param("ema:0.8", "last", marks=pytest.mark.full),
        pytest.param("lookahead:3", "last", marks=pytest.mark.full),
    ],
)
def test_averages_survive_a_resume(average, select, tiny, train):
    fields = {"average": average, "select": select, "epochs": 3, "lr": 0.1}
    whole = train(tiny, "whole", **fields)
    with pytest.raises(KeyboardInterrupt):
        train(tiny, "stopped", callbacks=[Stop()], **fields)
    stopped = train(tiny, "stopped", **fields)
    assert len(stopped.about["sessions"]) == 2
    for a, b in zip(whole.model.variables, stopped.model.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)
    assert whole.result["val_accuracy"] == stopped.result["val_accuracy"]
    arrays, _ = checkpoint.read(stopped.path / checkpoint.NEWEST)
    assert any(name.startswith("average/") for name in arrays)
    data = open_data(whole.recipe.data, validation=0.2, seed=3)
    evaluated = evaluate_split(whole.model, data.validation, 4, whole.recipe)
    assert evaluated["top1"] == pytest.approx(whole.result["val_accuracy"])


AUX = {"aux": True, "depths": (1, 3, 1)}


def test_auxiliary_losses_are_added_only_in_training():
    """Szegedy et al. 2014, section 5: the losses of the auxiliary heads count 0.3 each."""
    model = zoo.build(
        "toy_googlenet", **AUX, seed=0, input_shape=(64, 64, 3), num_classes=4, dropout=0.0,
        aux_dropout=0.0,
    )  # fmt: skip
    recipe = Recipe(model="toy_googlenet", data="digits", options=AUX, lr=0.1)
    trained = optimize.training_model(recipe, model)
    trained.compile(
        keras.optimizers.SGD(0.1), optimize.loss(recipe),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )  # fmt: skip
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 64, 64, 3)).astype("float32")
    y = np.eye(4, dtype="float32")

    def cross(logits):
        return -tf.reduce_mean(tf.reduce_sum(y * tf.nn.log_softmax(logits), axis=1))

    with tf.GradientTape() as tape:
        main, one, two = model(x, training=True)
        total = cross(main) + 0.3 * cross(one) + 0.3 * cross(two)
    gradients = tape.gradient(total, model.trainable_variables)
    wanted = [
        v.numpy() - 0.1 * g.numpy()
        for v, g in zip(model.trainable_variables, gradients, strict=True)
    ]
    evaluated = trained.evaluate(x, y, verbose=0, return_dict=True)
    assert evaluated["loss"] == pytest.approx(float(cross(model(x, training=False)[0])), rel=1e-5)
    logs = trained.fit(x, y, batch_size=4, verbose=0).history
    assert logs["loss"][0] == pytest.approx(float(total), rel=1e-5)
    assert set(logs) == set(evaluated) == {"loss", "accuracy"}
    for v, w in zip(model.trainable_variables, wanted, strict=True):
        np.testing.assert_allclose(v.numpy(), w, atol=1e-5, err_msg=v.path)


@pytest.mark.full
def test_a_network_with_auxiliary_heads_is_saved_without_them(train):
    recipe = Recipe(
        model="toy_googlenet", data="made_up:64x64x3:4:16", batch_size=8, epochs=2, lr=0.01,
        validation=0.25, select="best", options=AUX, average="ema:0.9", loss="bce",
        accumulate=2,
    )  # fmt: skip
    run = train(recipe)
    assert run.model.output.shape == (None, 4)
    assert not any("aux" in layer.name for layer in run.model.layers)
    assert run.result["parameters"] == sum(np.prod(v.shape) for v in run.model.trainable_variables)
    again = recipes.evaluate(run.path)
    assert again["loss"] == pytest.approx(run.result["loss"])


@pytest.mark.quick
@pytest.mark.not_quick
def test_flags_of_optimizer_fields_are_parsed():
    flags = [
        '--lr_multipliers={"head": 1, "stage3": 0.3}', "--average=ema:0.999", "--optimizer=lamb",
        "--loss=bce", "--accumulate=2", "--decay_norms=false", "--step_size=2.4", "--schedule=step",
    ]  # fmt: skip
    _, overrides = parse("train", "", {}, flags, fields=True)
    changed = recipes.replace(Recipe(model="mlp", data="digits"), **overrides)
    assert changed.lr_multipliers == {"head": 1.0, "stage3": 0.3}
    assert (changed.average, changed.optimizer, changed.loss) == ("ema:0.999", "lamb", "bce")
    assert (changed.accumulate, changed.decay_norms, changed.step_size) == (2, False, 2.4)
    assert from_json(to_json(changed)) == changed
    _, wrong = parse("train", "", {}, ['--lr_multipliers={"head": "high"}'], fields=True)
    with pytest.raises(ValueError, match="the multiplier of each stage must be a number"):
        recipes.replace(changed, **wrong)
    with pytest.raises(ValueError, match=r"lr_multipliers='0\.1': must be a dict"):
        parse("train", "", {}, ["--lr_multipliers=0.1"], fields=True)


@pytest.mark.quick
def test_an_unknown_stage_is_an_error_and_writes_nothing(tiny, train, tmp_path):
    with pytest.raises(ValueError, match=r"unknown stage with weights 'stage9'; did you mean 'sta"):
        train(tiny, lr_multipliers={"stage9": 1.0})
    assert not (tmp_path / "run").exists()
