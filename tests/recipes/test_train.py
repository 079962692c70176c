"""Training recipes into run directories: contents, errors, and one or two devices."""

import json
import math

import keras
import numpy as np
import pytest

import recipes
from recipes.augment import Mixup, Resize
from recipes.data.batches import open_for, training_batches
from recipes.evaluation.metrics import accuracy_and_loss
from recipes.evaluation.predict import evaluate_split
from recipes.locking import locked
from recipes.recipe import replace


def test_a_run_directory_contains_everything_about_a_run(tiny, python, tmp_path):
    run = recipes.train(
        tiny, run=tmp_path / "run", verbose=False, epochs=3, augment="(Mixup(alpha=0.2),)",
        label_smoothing=0.1,
    )  # fmt: skip
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        "checkpoint.npz", "curves.png", "inference.json", "metrics.csv", "model.keras",
        "recipe.json", "result.json", "steps.csv", "tensorboard",
    }  # fmt: skip
    assert run.recipe == recipes.replace(tiny, epochs=3, augment=(Mixup(0.2),), label_smoothing=0.1)
    assert list(run.metrics.columns) == [
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds",
        *(f"{stage}_{kind}" for stage in ("stage1", "stage2", "fc", "head")
          for kind in ("gradient", "update", "dead")),
    ]  # fmt: skip
    assert list(run.metrics["epoch"]) == [1, 2, 3]
    result = run.result
    assert result["samples"] == 24
    assert result["split"] == "test"
    assert result["epoch"] == result["epochs"] == 3
    assert result["parameters"] == sum(math.prod(v.shape) for v in run.model.trainable_variables)
    assert result["top5"] >= result["top1"]
    about = run.about
    assert about["classes"] == ["0", "1", "2", "3"]
    (session,) = about["sessions"]
    assert session["versions"]["keras"] == keras.__version__
    assert session["hardware"]["cores"] >= 1
    assert session["replicas"] == 1
    assert "commit" in session
    assert any((run.path / "tensorboard" / "validation").iterdir())
    with open(run.path / "curves.png", "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"

    # Its model takes raw pixels, in a process that imports only keras and zoo.
    images = np.random.default_rng(0).uniform(0, 255, (3, 24, 24, 1)).astype(np.float32)
    np.save(tmp_path / "x.npy", images)
    program = (
        "import keras, zoo, numpy as np, sys\n"
        f"model = keras.models.load_model({str(run.path / 'model.keras')!r})\n"
        f"x = np.load({str(tmp_path / 'x.npy')!r})\n"
        f"np.save({str(tmp_path / 'y.npy')!r}, model.predict(x))\n"
        "assert 'recipes' not in sys.modules and not model.compiled"
    )
    python(program)
    ours = run.model.predict(images, verbose=0)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), ours, atol=1e-5)

    # Evaluating the network again gives the same numbers.
    again = recipes.evaluate(run.path)
    for name in ("top1", "top5", "loss", "samples"):
        assert again[name] == pytest.approx(result[name])


def test_a_finished_run_is_not_trained_again(tiny, train, capsys):
    first = train(tiny)
    before = {p: p.stat().st_mtime_ns for p in first.path.rglob("*")}
    second = train(tiny, verbose=True)
    assert {p: p.stat().st_mtime_ns for p in second.path.rglob("*")} == before
    assert second.result == first.result
    assert f"test accuracy {first.result['top1']:.4f}" in capsys.readouterr().out

    # A run killed between its last epoch and its evaluation is evaluated without training.
    whole = first.result
    for name in ("result.json", "model.keras"):
        (first.path / name).unlink()
    again = train(tiny).result
    assert again.pop("recall") == pytest.approx(whole.pop("recall"))
    assert again.pop("finished") >= whole.pop("finished")
    assert again.pop("sha256").keys() == whole.pop("sha256").keys()
    assert again == pytest.approx(whole)
    assert len(first.metrics) == 2


def test_a_run_finished_without_the_test_set_is_tested_when_asked(tiny, train, capsys):
    run = train(tiny, epochs=1, warmup=2, schedule="cosine", test=False, verbose=True)
    printed = capsys.readouterr().out
    assert "warmup=2: the learning rate still rises at the end, epochs=1" in printed
    held = run.result
    assert held["split"] == "validation"
    fields = {"epochs": 1, "warmup": 2, "schedule": "cosine"}
    assert train(tiny, **fields, test=False).result == held
    weights = (run.path / "model.keras").read_bytes()
    left = run.path / "best-0001.npz"  # by a process killed behind its result
    left.touch()
    tested = train(tiny, **fields, verbose=True).result
    assert not left.exists()
    assert "test accuracy" in capsys.readouterr().out
    evaluated = recipes.evaluate(run.path)
    assert {n: tested[n] for n in ("top1", "top5", "loss", "samples")} == pytest.approx(
        {n: evaluated[n] for n in ("top1", "top5", "loss", "samples")}
    )
    assert (tested["split"], tested["samples"]) == ("test", 24)
    for name in ("val_accuracy", "epoch", "epochs", "seconds", "parameters", "recipe"):
        assert tested[name] == held[name]
    assert (run.path / "model.keras").read_bytes() == weights
    before = (run.path / "result.json").stat().st_mtime_ns
    assert train(tiny, **fields, test=False).result == tested
    assert (run.path / "result.json").stat().st_mtime_ns == before


def test_errors_leave_a_run_unchanged(tiny, train, tmp_path):
    run = train(tiny)
    before = {p: p.stat().st_mtime_ns for p in run.path.rglob("*")}
    with pytest.raises(ValueError, match=r"lr=0.02 there, 0.5 now.*another --run"):
        train(tiny, lr=0.5)
    with pytest.raises(ValueError, match=r"options.hidden='not given' there, \(5,\) now"):
        train(tiny, **{"options.hidden": (5,)})
    with (
        locked(run.path),
        pytest.raises(ValueError, match="another process is using this directory"),
    ):
        train(tiny)
    assert {p: p.stat().st_mtime_ns for p in run.path.rglob("*")} == before


REFUSED = {
    "unknown model 'toy_lenett'": {"model": "toy_lenett"},
    "did you mean 'relu'": {"act": "rellu"},
    "option": {"options": {"hiden": (5,)}},
    "batch_size=500: larger than the training set of": {"batch_size": 500},
    "no-such-place": {"data": "folder:/no-such-place"},
    "unknown preprocessing 'standardise'; did you mean 'standardize'": {
        "preprocess": "standardise"
    },
    "mirrored:N": {"strategy": "mirorred"},
    "this machine has no GPU": {"strategy": "mirrored"},
    "must be an integer of at least 1": {"strategy": "mirrored:0"},
}


@pytest.mark.quick
@pytest.mark.parametrize("message", REFUSED)
def test_recipes_that_cannot_be_trained_write_nothing(message, tiny, train, tmp_path):
    if message == "this machine has no GPU":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match=message):
        train(tiny, **REFUSED[message])
    assert not (tmp_path / "run").exists()


@pytest.mark.quick
def test_a_wrong_run_directory_is_an_error(tiny, train, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="not a usable directory"):
        train(tiny, run=tmp_path / "file")
    with pytest.raises(ValueError, match=r"recipe\.json is missing"):
        recipes.open(tmp_path)
    with pytest.raises(ValueError, match="there is no such directory"):
        recipes.open(tmp_path / "nosuch")


def test_callbacks_are_called_and_may_stop_training(tiny, train):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert {"loss", "val_accuracy"} <= set(logs)
            self.model.stop_training = epoch == 1

    run = train(tiny, epochs=9, callbacks=[Stop()])
    assert run.result["epochs"] == len(run.metrics) == 2


def test_the_default_directory_is_named_after_the_overrides(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(recipes.source(tiny))
    run = recipes.train("mine.py", epochs=1, verbose=False)
    assert run.path.as_posix() == "runs/mine/epochs=1"


def test_a_loss_of_nan_stops_the_run(tiny, train, tmp_path):
    with pytest.raises(ValueError, match=r"loss=(nan|inf) in epoch \d.*lower lr"):
        train(tiny, lr=1e30, act="relu")
    assert not recipes.open(tmp_path / "run").finished


def test_the_weights_of_the_best_epoch_are_kept(tiny, train):
    # With this learning rate, the network gets worse after a few epochs.
    run = train(tiny, epochs=6, lr=0.3, select="best")
    best = int(run.metrics["val_accuracy"].argmax()) + 1
    assert run.result["epoch"] == best
    assert run.result["val_accuracy"] == pytest.approx(run.metrics["val_accuracy"].max())
    data = recipes.data.batches.open_data(run.recipe.data, validation=0.2, seed=3)
    evaluated = evaluate_split(run.model, data.validation, 4, run.recipe)
    assert evaluated["top1"] == pytest.approx(run.metrics["val_accuracy"].max())
    assert evaluated["samples"] == data.validation.count
    # They remain in the directory so that a damaged model.keras can be written again.
    assert [each.name for each in run.path.glob("best-*")] == [f"best-{best:04}.npz"]


def test_training_without_a_validation_set(tiny, train):
    run = train(tiny, validation=0.0)
    assert "val_loss" not in run.metrics
    assert run.result["val_accuracy"] is None
    with pytest.raises(ValueError, match="test=False: needs a validation set"):
        train(tiny, validation=0.0, test=False, run=run.path / "other")


def test_metrics_contain_the_learning_rate_of_the_last_step(tiny, train):
    run = train(tiny, epochs=3, schedule="step", milestones=(1,), warmup=0.5, batch_size=16)
    np.testing.assert_allclose(run.metrics["lr"], [0.02, 0.002, 0.002], rtol=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_variables_and_logits_in_float32(dtype, tiny, train):
    run = train(tiny, model="toy_basic", dtype=dtype)
    assert {v.dtype for v in run.model.trainable_variables} == {"float32"}
    assert run.model.output.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"
    assert np.isfinite(run.metrics["loss"]).all()


@pytest.mark.parametrize(
    "kind",
    ["lsuv", pytest.param("data_dependent", marks=pytest.mark.full), "whiten"],
)
def test_data_init_fits_initial_weights_to_training_images(kind, tiny, train):
    fields = {"model": "toy_basic", "norm": "none", "lr": 1e-12, "epochs": 1, "validation": 0.0}
    fields["options.stem"] = "cifar"

    def trained(name, **others):
        return train(tiny, name, **fields, **others).model

    fitted, again, drawn = trained("a", data_init=kind), trained("b", data_init=kind), trained("c")
    for one, same in zip(fitted.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)
    split = open_for(replace(tiny, **fields)).train
    batches, _ = training_batches(
        split, classes=4, batch=96, ops=(), seed=0, first_epoch=0, epochs=1
    )
    images, _ = next(iter(batches))

    def variances(model):
        maps = keras.Model(model.input, model.get_layer("stem_conv").output)(images)
        return np.var(maps, (0, 1, 2))

    spread = {"lsuv": np.mean}.get(kind, np.asarray)  # of all maps, or of each
    # Whitened maps vary less at the borders, where a part of the patch is zero.
    np.testing.assert_allclose(spread(variances(fitted)), 1, atol=0.2)
    assert not np.allclose(spread(variances(drawn)), 1, atol=0.2)


def test_digits_are_learned(train):
    run = train("digits/linear", epochs=6)
    assert run.result["samples"] == 360
    assert run.result["top1"] > 0.9
    assert run.classes == tuple("0123456789")


@pytest.mark.quick
def test_accuracy_and_loss_follow_their_definitions():
    rng = np.random.default_rng(0)
    logits, truth = rng.normal(size=(50, 8)) * 30, rng.integers(0, 8, 50)
    evaluated = accuracy_and_loss(logits, np.eye(8)[truth])
    order = np.argsort(-logits, axis=1)
    assert evaluated["top1"] == np.mean(order[:, 0] == truth)
    assert evaluated["top5"] == np.mean((order[:, :5] == truth[:, None]).any(1))
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert evaluated["loss"] == pytest.approx(-np.mean(np.log(probability[range(50), truth])))
    assert evaluated["samples"] == 50

    flat = accuracy_and_loss(np.zeros((4, 3)), np.eye(3)[[0, 1, 2, 0]])
    assert (flat["top1"], flat["top5"], flat["loss"]) == (0.5, 1.0, pytest.approx(math.log(3)))
    broken = accuracy_and_loss(np.array([[np.nan, 1.0], [3.0, 1.0]]), np.eye(2)[[0, 0]])
    assert broken["top1"] == 0.5


@pytest.fixture
def photographs(tmp_path):
    """A folder data set with 3 classes of 8 training and 4 test images."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 4)):
        for k, name in enumerate(("ant", "bee", "cat")):
            folder = tmp_path / "photographs" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 80, (20, 22, 3)) + 60 * k
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "photographs"


WATCH = """
import json, os, sys
run, test, log = {run!r}, {test!r}, {log!r}
seen = []
def hook(event, args):
    if event == "open" and str(args[0]).startswith(test):
        file = os.path.join(run, "metrics.csv")
        epochs = len(open(file).readlines()) - 1 if os.path.exists(file) else 0
        seen.append((epochs, args[0]))
import recipes, recipes.data.batches
# Whether all files can be read is found out before, and remembered.
recipes.data.batches.open_data({data!r}, validation=0.25)
sys.addaudithook(hook)
from recipes import Recipe
from recipes.augment import Resize
openings = []
real = recipes.data.batches.open_data
def watched(*a, **k):
    import dataclasses
    data = real(*a, **k)
    def open_test():
        openings.append(len(recipes.open(run).metrics))
        return data.open_test()
    return dataclasses.replace(data, open_test=open_test)
recipes.data.batches.open_data = watched
recipe = Recipe(model="toy_lenet", data={data!r}, batch_size=4, epochs=3, lr=0.01, validation=0.25,
                augment=(Resize(24),), eval_ops=(Resize(24),), select="best")
recipes.train(recipe, run=run, test={evaluated}, verbose=False)
json.dump([seen, openings], open(log, "w"))
"""


@pytest.mark.parametrize("evaluated", [True, pytest.param(False, marks=pytest.mark.full)])
def test_the_test_set_is_opened_once_after_the_last_epoch(evaluated, photographs, tmp_path, python):
    log = tmp_path / "log.json"
    names = {"run": tmp_path / "run", "test": photographs / "test", "log": log}
    names = {name: str(path) for name, path in names.items()}
    python(WATCH.format(data=f"folder:{photographs}", evaluated=evaluated, **names))
    seen, openings = json.loads(log.read_text())
    assert openings == ([3] if evaluated else [])
    assert seen == []  # by Python; TensorFlow reads them when the set is opened
    result = recipes.open(tmp_path / "run").result
    assert result["split"] == ("test" if evaluated else "validation")
    assert result["samples"] == (12 if evaluated else 6)


REPLICAS = """
import keras, numpy as np, tensorflow as tf
from recipes import Recipe, optimize
from recipes.distribution import strategies
import zoo
strategy = strategies.strategy("mirrored:2")
assert strategy.num_replicas_in_sync == 2
recipe = Recipe(model="toy_resnet", data="digits", lr=0.05)
with strategy.scope():
    model = zoo.build("toy_resnet", norm="batch", num_classes=4, input_shape=(16, 16, 1), seed=0)
    model.compile(optimize.optimizer(recipe, optimize.schedule(recipe, 3)),
                  keras.losses.CategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(48, 16, 16, 1)).astype("float32") * np.arange(1, 49)[:, None, None, None]
    model.fit(x, np.eye(4, dtype="float32")[rng.integers(0, 4, 48)], batch_size=16, shuffle=False,
              verbose=0)
moving = [v for v in model.non_trainable_variables if "moving" in v.path]
assert moving
for v in moving:
    a, b = (local.numpy() for local in strategy.experimental_local_results(v.value))
    np.testing.assert_array_equal(a, b, err_msg=v.path)
    assert np.abs(a).max() > 0

strategy = strategies.strategy("mirrored:2")  # another network in the same process
with strategy.scope():
    model = zoo.build("toy_lenet", num_classes=4, input_shape=(16, 16, 1), seed=0)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    model.fit(x, np.eye(4, dtype="float32")[rng.integers(0, 4, 48)], batch_size=16, verbose=0)
"""


@pytest.mark.full  # test_replicas.py and test_layers_normalization.py
def test_statistics_of_batch_norms_are_the_same_on_both_replicas(python):
    python(REPLICAS)


TOO_LATE = """
import tensorflow as tf
tf.constant(1) + 1
from recipes.distribution import strategies
try:
    strategies.strategy("mirrored:2")
except ValueError as error:
    assert "TensorFlow has been initialized with 1 of the 2 virtual devices" in str(error), error
else:
    raise SystemExit("no error")
"""


@pytest.mark.full
def test_creating_virtual_devices_too_late_is_an_error(python):
    python(TOO_LATE, CUDA_VISIBLE_DEVICES="-1")


def test_the_batch_size_must_be_divisible_by_the_replicas(cli, tmp_path):
    done = cli(
        "train", "digits/mlp", "--data=made_up:8x8x1:4", "--batch_size=15", "--strategy=mirrored:2",
        CUDA_VISIBLE_DEVICES="-1",
    )  # fmt: skip
    assert done.returncode == 2
    assert (
        done.stderr
        == "train: batch_size=15: must be divisible by the 2 replicas; choose a multiple of 2\n"
    )


def test_images_of_other_sizes_are_resized(tiny, train):
    run = train(tiny, data="made_up:9x13x3:3:32", eval_ops=(Resize(20),), augment=(Resize(20),))
    assert run.model.input_shape == (None, 20, 20, 3)


@pytest.mark.full
def test_half_precision_is_as_accurate_on_digits(train, tmp_path):
    """Within two standard errors of the difference of two accuracies on 360 images."""
    kinds = ("float32", "mixed_bfloat16", "mixed_float16")
    whole, *halves = (
        train("digits/lenet5", run=tmp_path / dtype, dtype=dtype).result["top1"] for dtype in kinds
    )
    for half in halves:
        assert abs(half - whole) <= 2 * math.sqrt(2 * whole * (1 - whole) / 360)
