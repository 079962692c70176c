"""A study keeps what it measured, resumes, and writes its figure, table and verdicts."""

import csv
import json
import math
import types

import pytest

import recipes
from recipes.studying import Claim, Evidence, Lab, above, running
from recipes.studying.lab import code_of

pytestmark = pytest.mark.quick


def lab(path, code="abc", **options):
    return Lab(path, code, note=lambda text: None, **options)


def test_a_cell_is_measured_once(tmp_path):
    calls = []

    def measure(arm, seed):
        calls.append((arm, seed))
        return {"accuracy": 0.5 + seed, "loss": math.nan, "steps": [1, 2]}

    first = lab(tmp_path)
    found = first.cell("tanh/seed1", measure, arm="tanh", seed=1)
    again = lab(tmp_path).cell("tanh/seed1", measure, arm="tanh", seed=1)
    assert calls == [("tanh", 1)]
    assert again["accuracy"] == found["accuracy"] == 1.5
    assert again["steps"] == [1, 2]
    assert math.isnan(again["loss"])
    lab(tmp_path).cell("tanh/seed1", measure, arm="tanh", seed=2)  # other settings
    lab(tmp_path, "other code").cell("tanh/seed1", measure, arm="tanh", seed=2)
    assert calls[1:] == [("tanh", 2), ("tanh", 2)]
    with pytest.raises(ValueError, match="another cell"):
        first.cell("tanh/seed1", measure, arm="tanh", seed=1)


def test_an_interrupted_or_damaged_cell_is_measured_again(tmp_path):
    def stopped():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab(tmp_path).cell("a", stopped)
    assert not list(tmp_path.rglob("*.json"))
    lab(tmp_path).cell("a", lambda: 1)
    (tmp_path / "cells/a.json").write_text('{"settings": {}, "resu')
    assert lab(tmp_path).cell("a", lambda: 2) == 2


def test_cells_may_ask_for_the_lab_and_must_return_numbers(tmp_path):
    made = lab(tmp_path, quick=True)
    assert made.cell("a", lambda lab, n: [lab.quick, n], n=3) == [True, 3]
    assert list(made.seeds(3)) == [0]
    assert made.choose(9, quick=1) == 1
    full = lab(tmp_path)
    assert list(full.seeds(3)) == [0, 1, 2]
    assert full.choose(9, quick=1) == 9
    with pytest.raises(TypeError, match="numbers and texts"):
        made.cell("b", lambda: object())


def test_a_training_of_an_older_recipe_is_not_mixed_with_new_ones(tmp_path):
    small = {"epochs": 1, "images": 64, "options": {"hidden": ()}, "stats_every": 0}
    lab(tmp_path).train("digits/mlp", "a", lr=0.1, **small)
    with pytest.raises(ValueError, match="was begun with another version of the recipe"):
        lab(tmp_path).train("digits/mlp", "a", lr=0.2, **small)


def test_only_code_that_measures_counts():
    source = """
CLAIMS = {1: 2}
A, B = 3, 4
SETTINGS = {"lr": A}
@functools.cache
def network(): return SETTINGS
class Family: width = 8
def train(lr): return network(), Family
def measure(lab): lab.cell("a", train, lr=CLAIMS)
def _axes(): return 1
def judge(lab): return B
def picture(lab, path): return _axes()
"""
    shown = [
        ("1: 2", "1: 3"),
        ("return 1", "return 2"),
        ("return B", "return 5"),
        ("def t", "\ndef t"),
    ]
    for old, new in shown:
        assert code_of(source) == code_of(source.replace(old, new)), old
    for old in ("3, 4", '"lr"', "functools.cache", "width = 8", "network(), ", '"a"'):
        assert code_of(source) != code_of(source.replace(old, {"3, 4": "4, 4"}.get(old, "f"))), old


def made_study(measured):
    module = types.ModuleType("made", "A study for this test.\n\nCost: nothing.")
    module.CLAIMS = {"gain": Claim("It helps.", "a lecture", "gain", above(0.0))}

    def measure(lab):
        for seed in lab.seeds(3):
            lab.cell(f"seed{seed}", measured, seed=seed)

    module.measure = measure
    module.judge = lambda lab: {"gain": {"": Evidence([c["gain"] for c in lab.cells.values()])}}

    def picture(lab, path):
        from recipes import drawing

        figure = drawing.figure((2, 2))
        figure.subplots().plot([c["gain"] for c in lab.cells.values()])
        drawing.save(figure, path)

    module.picture = picture
    return lambda name: running.Study("made", module, "measure = 1")


def test_a_study_resumes_and_writes_what_it_found(tmp_path, monkeypatch, capsys):
    calls = []

    def measured(seed):
        calls.append(seed)
        if seed == 2 and calls.count(2) == 1:
            raise KeyboardInterrupt
        return {"gain": 1 + seed / 10, "curve": [1, 2]}

    monkeypatch.setattr(running, "find", made_study(measured))
    with pytest.raises(KeyboardInterrupt):
        recipes.study("made", to=tmp_path)
    assert not (tmp_path / "verdict.json").exists()
    (found,) = recipes.study("made", to=tmp_path)
    assert calls == [0, 1, 2, 2]
    assert found.verdict == "confirmed"
    assert "It helps: 1.10 ± 0.25 [gain; the claim: above 0] (confirmed)" in capsys.readouterr().out
    written = json.loads((tmp_path / "verdict.json").read_text())
    (claim,) = written["claims"]
    assert (claim["key"], claim["verdict"], claim["conditions"][0]["seeds"]) == (
        "gain", "confirmed", 3,
    )  # fmt: skip
    assert written["title"] == "A study for this test."
    assert not written["quick"]
    assert written["commits"]
    assert written["hardware"]["cores"]
    assert written["versions"]["keras"]
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert [row["gain"] for row in rows] == ["1.0", "1.1", "1.2"]
    assert "curve" not in rows[0]
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert running.read_verdicts(tmp_path) == written


def test_more_seeds_continue_a_finished_study(tmp_path, monkeypatch):
    calls = []

    def measured(seed):
        calls.append(seed)
        return {"gain": 1 + seed / 10, "curve": []}

    monkeypatch.setattr(running, "find", made_study(measured))
    recipes.study("made", to=tmp_path, verbose=False)
    assert running.read_verdicts(tmp_path)["seeds"] is None
    (found,) = recipes.study("made", to=tmp_path, seeds=5, verbose=False)
    assert calls == [0, 1, 2, 3, 4]
    assert found.conditions[""].seeds == 5
    assert running.read_verdicts(tmp_path)["seeds"] == 5
    (found,) = recipes.study("made", to=tmp_path, seeds=2, verbose=False)
    assert found.conditions[""].seeds == 3  # at least 2
    assert len(calls) == 5
    with pytest.raises(ValueError, match="seeds=0: must be at least 1"):
        recipes.study("made", to=tmp_path, seeds=0)
    with pytest.raises(ValueError, match="seeds=5: a quick run has a single seed"):
        recipes.study("made", to=tmp_path, quick=True, seeds=5)


def test_a_quick_run_has_no_verdicts(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(running, "find", made_study(lambda seed: {"gain": 1 + seed / 10}))
    recipes.study("made", to=tmp_path, quick=True)
    assert "confirmed" not in capsys.readouterr().out
    (claim,) = json.loads((tmp_path / "verdict.json").read_text())["claims"]
    assert claim["verdict"] is None
    assert claim["conditions"][0]["verdict"] is None
    assert claim["conditions"][0]["value"] == 1
    with pytest.raises(ValueError, match="quick"):
        running.read_verdicts(tmp_path)
    with pytest.raises(ValueError, match="not the directory"):
        running.read_verdicts(tmp_path / "none")


def test_all_studies_refuse_a_number_of_seeds_once(cli):
    wrong = cli("study", "all", "--quick", "--seeds=5")
    assert wrong.returncode == 2
    assert wrong.stderr.count("seeds=5: a quick run has a single seed") == 1
    assert not wrong.stdout


def test_the_command_lists_studies_and_names_the_nearest(cli):
    listed = cli("study", "list")
    for name in running.names():
        assert name in listed.stdout
        for part in ("Claims:", "Setup:", "Figure:", "Cost:"):
            assert part in running.docstring(name), name
    wrong = cli("study", "width_vs_dept")
    assert wrong.returncode == 2
    assert "width_vs_depth" in wrong.stderr
    assert "Traceback" not in wrong.stderr
