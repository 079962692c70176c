"""The console scripts: no folder shadows our packages, and wrong values are found quickly."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from recipes import worker
from recipes.cli.names_command import KINDS as RECIPE_KINDS
from zoo.names_command import KINDS as ZOO_KINDS
from zoo.options import nearest, unknown

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.quick


@pytest.fixture
def elsewhere(tmp_path):
    """Return a function that runs a command next to a user's packages with the names of ours."""
    folder = tmp_path / "work"
    for name in ("recipes", "zoo"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise SystemExit('a package of the user')")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    for name, place in scripts.items():
        module, function = place.split(":")
        text = f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        (tmp_path / name).write_text(text)  # like the scripts that pip writes

    def run(*command):
        return subprocess.run(
            list(command), cwd=folder, capture_output=True, text=True, timeout=120,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    return run


def test_scripts_work_next_to_a_users_packages_named_zoo_and_recipes(elsewhere, tmp_path):
    listed = elsewhere(sys.executable, str(tmp_path / "recipes"), "list", "digits/mlp")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout.startswith("digits/mlp ")
    norms = elsewhere(sys.executable, str(tmp_path / "zoo"), "names", "norm")
    assert (norms.returncode, norms.stderr) == (0, "")
    assert norms.stdout.split("\n")[0] == "batch"
    usage = elsewhere(sys.executable, str(tmp_path / "recipes"), "train", "--help").stdout
    assert usage.startswith("usage: recipes train RECIPE ")
    assert elsewhere(sys.executable, str(tmp_path / "zoo"), "--help").stdout.startswith(
        "usage: zoo "
    )


def test_worker_processes_import_what_their_parent_imports(elsewhere):
    program = (
        "import subprocess, sys; from recipes import worker; "
        "sys.exit(subprocess.run(worker.command('recipes', 'list', 'digits/mlp')).returncode)"
    )
    done = elsewhere(sys.executable, "-P", "-c", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("digits/mlp ")
    command = worker.command("recipes.search.workers.process", "a.json")
    assert command[:3] == [sys.executable, "-P", "-c"]
    assert command[4:] == ["a.json"]
    for package in ("zoo", "recipes"):  # `-m` would look into the current folder first
        for file in (ROOT / package).rglob("*.py"):
            assert '"-m"' not in file.read_text("utf-8"), file


# A command, and a part of the one line that it prints.
WRONG = {
    "recipes train digits/mlp --data=folder:nosuch": "there is no folder nosuch",
    "recipes train digits/mlp --data=cifar11": "`recipes names datasets` lists all",
    "recipes train digits/mlp --data=made_up:3": "made_up:HxWxC:CLASSES",
    "recipes train digits/mlp --preprocess=standardise": "did you mean 'standardize'?",
    "recipes train digits/mlp --weights=nosuch": "unknown source of mlp's weights 'nosuch'",
    "recipes train digits/mlp --weights=nosuch.pth": "no such file",
    "recipes train digits/mlp --weights=.": "not a run directory",
    "recipes train digits/mlp --strategy=mirored": "did you mean 'mirrored'?",
    "recipes train digits/mlp --strategy=mirrored:0": "strategy='mirrored:0'",
    "recipes train digits/mlpp": "`recipes list` lists all",
    "recipes train digits/mlp --augment=Flop()": "`recipes names ops` lists all",
    "recipes train digits/mlp --epoch=1": "`recipes train --help` lists all",
    "recipes train digits/mlp --model=resnet51": "`zoo list` lists all",
    "recipes train digits/mlp --act=rellu": "`zoo names act` lists all",
    "recipes train digits/mlp --init=xavir": "`zoo names init` lists all",
    "recipes train digits/mlp --options.hiden=3": "`zoo show mlp` lists all",
    "recipes compare digits/mlp --data=folder:nosuch": "there is no folder nosuch",
    "recipes look digits/mlp --to=it.jpg": "does not end in .png",
    "recipes look digits/mlp --data=folder:nosuch": "there is no folder nosuch",
    "recipes look digits/nosuch": "unknown recipe 'digits/nosuch'",
    "recipes check digits/mlp --only=nosuch": "unknown check 'nosuch'",
    "recipes check digits/mlp --data=folder:nosuch": "there is no folder nosuch",
    "recipes tune digits/mlp": "use --run=DIR",
    "recipes tune digits/mlp --run=s --tuner=randm": "did you mean 'random'?",
    "recipes tune digits/mlp --run=s --trials=0": "trials=0",
    "recipes tune digits/mlp --run=s --data=folder:nosuch": "there is no folder nosuch",
    "recipes evaluate nosuch": "run='nosuch': there is no such directory",
    "recipes evaluate .": "not a run directory",
    "recipes diagnose nosuch": "run='nosuch': there is no such directory",
    "recipes names nosuch": "unknown kind of names",
    "zoo lst": "did you mean 'list'?",
    "zoo list resnet51": "`zoo list` lists all",
    "zoo names nosuch": "unknown kind of names",
    "zoo names weights resnet51": "`zoo list` lists all",
    "zoo names act resnet50": "takes no network",
    "zoo show resnet50 --actt=elu": "unknown flag '--actt'; did you mean '--act'?",
    "zoo list --frob": "unknown flag '--frob'",
    "zoo predict resnet51 {image} --weights=imagenet": "`zoo list` lists all",
    "zoo predict resnet50 {image} --weights=imagenett": "did you mean 'imagenet'?",
    "zoo predict resnet50 {image} --weights=nosuch.pth": "no such file",
    "zoo predict resnet50 {image} --weights=imagenet --topp=3": "did you mean '--top'?",
    "zoo predict nosuch.keras {image}": "model='nosuch.keras': there is no such file",
    "zoo predict . {image}": "not a finished run",
    "zoo export resnet50 it.foo": "it.foo",
    "zoo export nosuch.keras it.onnx": "model='nosuch.keras': there is no such file",
    "zoo export resnet50 it.onnx --stem=cifr": "did you mean 'cifar'?",
    "zoo export resnet50 it.onnx --dtype=float15": "unknown dtype 'float15'",
    "zoo filters nosuch.keras": "model='nosuch.keras': there is no such file",
}
PROGRAM = """
import contextlib, io, json, shlex, sys
from recipes.cli.main import run
from zoo.__main__ import main
done = []
for line in json.loads(sys.argv[1]):
    which, *argv = shlex.split(line)
    with contextlib.redirect_stderr(io.StringIO()) as printed_line:
        code = (main if which == "zoo" else run)(argv)
    done.append([code, printed_line.getvalue(), "tensorflow" in sys.modules])
print(json.dumps(done))
"""


def test_a_wrong_value_is_a_one_line_error_before_tensorflow_is_imported(tmp_path):
    image = ROOT / "docs/resnet20-digits.png"
    lines = [line.format(image=image) for line in WRONG]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(lines)], cwd=tmp_path, text=True,
        capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for (line, words), (code, printed_line, imported) in zip(
        WRONG.items(), json.loads(done.stdout), strict=True
    ):
        assert (code, imported) == (2, False), (line, printed_line)
        assert words in printed_line, (line, printed_line)
        assert printed_line.count("\n") == 1, (line, printed_line)
        assert len(printed_line) < 420, (line, printed_line)
        assert len(printed_line.partition("nearest: ")[2].split(";")[0].split(", ")) <= 5, (
            printed_line
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_is_a_one_line_error_and_nothing_is_written(backend, tmp_path):
    program = (
        "import recipes, sys\nfrom recipes.cli.main import run\n"
        "try:\n    recipes.train('digits/mlp')\nexcept ValueError as error:\n    print(error)\n"
        "for command in ('train', 'check', 'look', 'compare', 'tune --run=s'):\n"
        "    name, *rest = command.split()\n    assert run([name, 'digits/mlp', *rest]) == 2\n"
        "assert run(['smoke', 'digits/mlp']) == 2\nassert run(['list', 'digits/mlp']) == 0\n"
        "assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)\n"
    )
    (tmp_path / "keras.json").write_text(json.dumps({"backend": backend}))
    for setting in ({"KERAS_BACKEND": backend}, {"KERAS_HOME": str(tmp_path)}):
        kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, text=True, capture_output=True,
            env={**kept, "PYTHONPATH": str(ROOT), **setting}, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        words = f"KERAS_BACKEND={backend}: recipes train and evaluate with TensorFlow only"
        assert done.stdout.startswith(words)
        assert done.stderr.count(words) == done.stderr.count("\n") == 6
        assert [path.name for path in tmp_path.iterdir()] == ["keras.json"]


@pytest.mark.quick
def test_an_unknown_backend_is_a_one_line_error_and_does_not_hide_the_version(tmp_path):
    program = "import sys; from zoo.__main__ import main; sys.exit(main(sys.argv[1:]))"
    for arguments, code, words in (
        (["show", "lenet5"], 2, "zoo: KERAS_BACKEND=nosuch: unknown; give jax, or set"),
        (["--version"], 0, "convnet-zoo "),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], cwd=tmp_path, text=True,
            capture_output=True, timeout=120,
            env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "nosuch"},
        )  # fmt: skip
        printed_line = done.stdout + done.stderr
        assert done.returncode == code, printed_line
        assert printed_line.startswith(words)
        assert printed_line.count("\n") == 1


def test_a_wheel_contains_every_file():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    data = settings["package-data"]
    for package in ("zoo", "recipes"):
        for file in (ROOT / package).rglob("*"):
            if file.is_dir() or "__pycache__" in file.parts:
                continue
            place = file.relative_to(ROOT / package)
            if file.suffix == ".py":
                assert (file.parent / "__init__.py").is_file(), file
            else:
                assert any(place.match(pattern) for pattern in data.get(package, ())), file


def test_errors_give_the_five_nearest_names_and_the_command_that_lists_all():
    names = [f"resnet{n}" for n in (18, 34, 50, 101, 152)] + ["vgg11", "vgg16", "alexnet", "mlp"]
    error = str(unknown("model", "resnet51", names, "`zoo list`"))
    assert error == (
        "unknown model 'resnet51'; did you mean 'resnet50'? "
        "(nearest: resnet50, resnet18, resnet101, resnet152, resnet34; `zoo list` lists all 9)"
    )
    assert "did you mean 'relu'?" in str(unknown("act", "ReLU", ["relu", "elu"]))
    few = str(unknown("split", "xyz", ["test", "train"]))
    assert few == "unknown split 'xyz' (valid: test, train)"
    assert nearest("vgg13", names, 2) == ["vgg11", "vgg16"]


def test_the_names_commands_list_all_valid_names(capsys):
    from recipes.cli import names_command as recipes_names
    from zoo import names_command as zoo_names

    printed = {}
    for kinds, module in ((RECIPE_KINDS, recipes_names), (ZOO_KINDS, zoo_names)):
        for kind in kinds:
            assert module.names(kind) == 0
            printed[kind] = capsys.readouterr().out
            assert len(printed[kind].splitlines()) > 5, kind
    from recipes import recipe
    from recipes.augment import OPS
    from zoo.vocabulary import ACTS

    first = {kind: re.findall(r"^(\w+)", text, re.M) for kind, text in printed.items()}
    assert first["ops"] == sorted(OPS)
    assert first["act"] == list(ACTS)
    assert first["fields"] == list(recipe.FIELDS)
    assert "digits" in first["datasets"]
    assert "cifar10" in first["datasets"]
