"""tools/results writes docs/results.md from docs/results.csv and from run directories."""

import importlib.machinery
import importlib.util
import json
import shutil
from pathlib import Path

import pytest

import recipes

ROOT = Path(__file__).parents[1]


def results():
    """Load tools/results, which has no file extension, as a module."""
    loader = importlib.machinery.SourceFileLoader("results_tool", str(ROOT / "tools/results"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


@pytest.mark.quick
def test_the_results_page_is_up_to_date():
    assert results().main(["--check"]) == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The path of a finished run, which the tests copy."""
    path = tmp_path_factory.mktemp("results") / "run"
    return recipes.train("digits/linear", epochs=1, seed=7, lr=0.02, run=path, verbose=False).path


@pytest.fixture
def run(trained, tmp_path):
    """Copy the run, and return a function that replaces the commits of its sessions."""
    path = shutil.copytree(trained, tmp_path / "run")
    file = path / "recipe.json"

    def committed(*commits):
        about = json.loads(file.read_text())
        about["sessions"] = [{**about["sessions"][-1], "commit": commit} for commit in commits]
        file.write_text(json.dumps(about))
        return recipes.open(path)

    return committed


@pytest.mark.parametrize(
    "commits",
    [
        ("0123456789-dirty",),
        (None,),
        ("0123456789-dirty", "0123456789"),
        ("0123456789", None, "0123456789"),
    ],
)
def test_a_run_of_uncommitted_code_is_rejected(run, commits):
    with pytest.raises(ValueError, match="uncommitted code"):
        results().row_of(run(*commits))


def test_a_row_names_each_commit_that_trained_it(run):
    tool = results()
    row = tool.row_of(run("0123456789", "89abcdef01", "0123456789"))
    assert row["commit"] == "0123456 89abcde"
    assert "TensorFlow " + row["tensorflow"] + ", 0123456 89abcde |" in tool.page([row])
    assert " " not in row["tensorflow"]  # the three sessions used the same version


def test_a_run_that_was_not_evaluated_on_the_test_set_is_rejected(run):
    made = run("0123456789")
    file = made.path / "result.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "split": "validation"}))
    with pytest.raises(
        ValueError, match=r"evaluated on 'validation'; only results on 'test' are published"
    ):
        results().row_of(made)


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """tools/results with a copy of docs/ in place of docs/."""
    made, docs = results(), tmp_path / "docs"
    shutil.copytree(made.PICTURES, docs / "results")
    for name in ("TABLE", "PAGE", "PICTURES"):
        path = getattr(made, name)
        if path.is_file():
            shutil.copyfile(path, docs / path.name)
        monkeypatch.setattr(made, name, docs / path.name)
    return made


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("more", [[], ["--check"], ["--add"]])
def test_a_run_without_curves_is_a_one_line_error(more, run, tool, capsys):
    made = run("0123456789")
    (made.path / "curves.png").unlink()
    before = contents(tool.PAGE.parent)
    words = [*more, str(made.path)] if more == ["--add"] else more
    assert tool.main([*words, "--curves", str(made.path)]) == 2
    assert (
        capsys.readouterr().err
        == f"results: {made.path}: has no curves.png; choose a run that has one\n"
    )
    assert contents(tool.PAGE.parent) == before


def test_check_writes_nothing(run, tool, capsys):
    made = str(run("0123456789").path)
    before = contents(tool.PAGE.parent)
    assert tool.main(["--check"]) == 0
    assert tool.main(["--check", "--curves", made]) == 1
    assert tool.main(["--check", "--add", made]) == 1
    assert contents(tool.PAGE.parent) == before
    assert tool.main(["--add", made, "--curves", made]) == 0
    assert "## digits/linear" in tool.PAGE.read_text()
    after = contents(tool.PAGE.parent)
    assert {path.name for path in set(after) - set(before)} == {"digits-linear.png"}
    assert tool.main(["--check", "--add", made, "--curves", made]) == 0


def test_a_run_of_committed_code_becomes_a_row(run):
    tool, run = results(), run("0123456789")
    row = tool.row_of(recipes.open(run.path))
    assert (row["recipe"], row["seed"], row["commit"]) == ("digits/linear", "7", "0123456")
    assert row["changes"] == "epochs=1 lr=0.02"
    other = {**row, "seed": "8", "top1": "0.5000"}
    page = tool.page([{**row, "top1": "0.6000"}, other])
    assert "| `digits/linear` | digits | epochs=1 lr=0.02 | 0.5500 ± 0.0707 | 7, 8 |" in page


def test_choices_of_transfer_recipes_have_a_table_of_their_own(run):
    tool = results()
    row = tool.row_of(run("0123456789"))
    row |= {"recipe": "transfer/much_similar", "data": "photos", "changes": ""}
    deep = {**row, "top1": "0.6000", "changes": "freeze=None epochs=4"}
    page = tool.page([{**deep, "seed": "1", "top1": "0.7000"}, deep, row])
    before, table = page.split("## Transfer learning")
    assert "transfer/much_similar" not in before
    linear, tuned = (line for line in table.splitlines() if line.startswith("| `transfer/"))
    assert linear.startswith(
        "| `transfer/much_similar` | photos | linear classifier | 0.01 | 50 | "
    )
    start = (
        "| `transfer/much_similar` | photos | all, lr 0.01 | 0.01 | 4 | 0.6500 ± 0.0707 | 1, 7 |"
    )
    assert tuned.startswith(start)
    # A run that is none of the choices is in the main table.
    other = {**row, "changes": "epochs=7"}
    assert "| `transfer/much_similar` | photos | epochs=7 | " in tool.page([other, row])
