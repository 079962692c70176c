"""docs/results.md is what tools/results makes of docs/results.csv, and that of runs."""

import importlib.machinery
import importlib.util
import json
from pathlib import Path

import pytest

import recipes

ROOT = Path(__file__).parents[1]


def results():
    """The module of tools/results, which has no ending."""
    loader = importlib.machinery.SourceFileLoader("results_tool", str(ROOT / "tools/results"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


@pytest.mark.quick
def test_the_results_page_is_up_to_date():
    assert results().main(["--check"]) == 0


def test_a_run_is_a_row_if_its_code_was_committed(tmp_path):
    run = recipes.train(
        "digits/linear", epochs=1, seed=7, lr=0.02, run=tmp_path / "run", verbose=False
    )
    file = tmp_path / "run/recipe.json"
    for commit, words in (("0123456789-dirty", "uncommitted code"), (None, "uncommitted code")):
        about = json.loads(file.read_text())
        about["sessions"][-1]["commit"] = commit
        file.write_text(json.dumps(about))
        with pytest.raises(ValueError, match=words):
            results().row_of(recipes.open(run.path))
    about["sessions"][-1]["commit"] = "0123456789"
    file.write_text(json.dumps(about))
    tool = results()
    row = tool.row_of(recipes.open(run.path))
    assert (row["recipe"], row["seed"], row["commit"]) == ("digits/linear", "7", "0123456")
    assert row["changes"] == "epochs=1 lr=0.02"
    other = {**row, "seed": "8", "top1": "0.5000"}
    page = tool.page([{**row, "top1": "0.6000"}, other])
    assert "| `digits/linear` | digits | epochs=1 lr=0.02 | 0.5500 ± 0.0707 | 7, 8 |" in page
