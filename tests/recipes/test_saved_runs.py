"""The network of a finished run: damage is found and repaired, and code in it never runs."""

import json
import re
import shlex
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import recipes
import zoo
from zoo import saved_runs
from zoo.files import digest


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """A finished run whose best epoch is not the last one."""
    recipe = recipes.replace(tiny, select="best", select_by="val_loss", lr=0.5)
    path = tmp_path_factory.mktemp("finished") / "run"
    run = recipes.train(recipe, run=path, strategy="one", verbose=False)
    assert run.result["epoch"] == 1
    return path


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "my run")


def flip(file, place):
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1
    file.write_bytes(content)


def without_digests(run):
    """Make the run one of an earlier version."""
    result = json.loads((run / "result.json").read_text())
    del result["sha256"]
    (run / "result.json").write_text(json.dumps(result))


DAMAGE = {
    "missing": lambda run: (run / "model.keras").unlink(),
    "empty": lambda run: (run / "model.keras").write_bytes(b""),
    "flipped": lambda run: flip(run / "model.keras", 0.5),
    "old, flipped": lambda run: (without_digests(run), flip(run / "model.keras", 0.5)),
    "old, truncated": lambda run: (
        without_digests(run),
        (run / "model.keras").write_bytes((run / "model.keras").read_bytes()[:-300]),
    ),
    "result": lambda run: (run / "result.json").write_text("{"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_error_names_the_command_that_repairs_a_run(damage, run, finished, here):
    DAMAGE[damage](run)
    for line in (
        ("evaluate", run, "--strategy=one"),
        ("train", "digits/lenet5", f"--weights={run}", "--run=other"),
    ):
        done = here(*line)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
    _, *command = shlex.split(re.search("`(recipes train .*)`", done.stderr)[1])
    done = here(*command, "--strategy=one")
    assert done.returncode == 0, done.stderr
    assert "it is written again from the checkpoint" in done.stdout
    whole, repaired = recipes.open(finished), recipes.open(run)
    for ours, theirs in zip(repaired.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    same = ("top1", "loss", "epoch", "samples", "best_epoch")
    assert {n: repaired.result[n] for n in same} == {n: whole.result[n] for n in same}
    if damage != "result":
        assert repaired.result["finished"] == whole.result["finished"]
    assert saved_runs.problems(run) == []
    assert "already finished" in here(*command, "--strategy=one").stdout


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (Path.unlink, "inference.json is missing"),
        (lambda file: file.write_text(file.read_text().replace("0", "1", 1)), "is damaged"),
    ],
    ids=["missing", "changed"],
)
def test_prediction_names_the_command_that_repairs_a_run(change, problem, run):
    change(run / "inference.json")
    with pytest.raises(ValueError, match=rf"{problem}.*; `recipes train .+` writes it again"):
        zoo.predict(run, "sample:china")


def test_a_run_that_cannot_be_repaired_is_left_alone(run, here):
    (run / "model.keras").unlink()
    for file in run.glob("best-*.npz"):
        file.unlink()
    before = sorted(run.iterdir())
    done = here("train", run)
    assert done.returncode == 2
    assert "model.keras is missing, and there is no checkpoint" in done.stderr
    assert sorted(run.iterdir()) == before


def hostile(run, **entry):
    """Replace the first activation of a run's network, as its author could, digests included."""
    file = run / "model.keras"
    with zipfile.ZipFile(file) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(held["config.json"])
    layer = next(x for x in config["config"]["layers"] if x["class_name"] == "Activation")
    layer |= {"registered_name": None, **entry}
    held["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)
    result = json.loads((run / "result.json").read_text())
    result["sha256"]["model.keras"] = digest(file)
    (run / "result.json").write_text(json.dumps(result))


@pytest.mark.parametrize(
    "entry",
    [
        {"module": "evil_module", "class_name": "Evil"},
        {"module": "evil_module", "class_name": "Evil", "registered_name": "zoo>Evil"},
        {"module": "keras.layers", "class_name": "Lambda"},
        {"module": "keras.layers", "class_name": "TFSMLayer"},
        {"module": "keras.src.layers.core.lambda_layer", "class_name": "Lambda"},
        {"module": "keras.config", "class_name": "enable_unsafe_deserialization"},
        {"module": "keras", "class_name": "config.enable_unsafe_deserialization"},
        {"module": "keras.utils", "class_name": "get_file"},
        {"module": "builtins", "class_name": "function"},
        {"module": None, "class_name": "__lambda__"},
        {"module": "zoo.files", "class_name": "write"},
    ],
    ids=lambda entry: f"{entry['module']}.{entry['class_name']}",
)
def test_code_in_the_network_of_a_run_is_never_run(entry, run, tmp_path, here, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil_module.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Evil: pass\n"
    )
    hostile(run, **entry)
    for opened in (
        lambda: recipes.evaluate(run, strategy="one"),
        lambda: recipes.open(run).predict(np.zeros((24, 24, 1))),
        lambda: zoo.predict(str(run), np.zeros((24, 24, 1))),
    ):
        with pytest.raises(ValueError, match=r"model.keras contains .*, which may be code"):
            opened()
    assert not (tmp_path / "ran").exists()
    assert "evil_module" not in sys.modules


def test_other_files_in_the_network_of_a_run_are_not_read(run):
    with zipfile.ZipFile(run / "model.keras", "a") as archive:
        archive.writestr("assets/vocabulary.txt", "x")
    without_digests(run)
    with pytest.raises(ValueError, match=r"contains 'assets/vocabulary.txt', which may be code"):
        recipes.open(run).model  # noqa: B018


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("toy_resnet", {"recompute": True, "norm": "group", "act": "maxout"}),
        ("toy_resnet", {"init": "fixup", "norm": "none", "act": "prelu"}),
        ("toy_mobilenet_v2", {"drop_path": 0.1, "act": "swish_beta", "init": "random_walk"}),
        ("toy_googlenet", {"norm": "lrn", "act": "leaky_relu:0.2"}),
    ],
)
def test_networks_of_zoo_open_as_runs(name, options, tmp_path):
    model = zoo.build(name, num_classes=3, seed=0, **options)
    model.save(tmp_path / "model.keras")
    opened = saved_runs.open_model(tmp_path)
    images = np.random.default_rng(0).random((1, *model.input_shape[1:]), "float32")
    np.testing.assert_array_equal(opened(images), model(images))
