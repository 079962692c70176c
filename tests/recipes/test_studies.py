"""Every study runs with --quick, and follows the rules of studies."""

import json
import re

import numpy as np
import pytest

import recipes
from recipes.studies import architecture_search
from recipes.studying import running


@pytest.mark.full  # .ci/run also runs `recipes study all --quick`
@pytest.mark.parametrize("name", running.names())
def test_a_study_runs_quickly_and_measures_every_claim(name, tmp_path):
    findings = recipes.study(name, quick=True, to=tmp_path, verbose=False)
    written = json.loads((tmp_path / "verdict.json").read_text())
    assert len(written["claims"]) == len(findings) == len(running.find(name).module.CLAIMS)
    assert (tmp_path / "figure.png").is_file()
    assert (tmp_path / "table.csv").read_text().count("\n") > 1
    cells = sorted((tmp_path / "cells").rglob("*.json"))
    ages = [path.stat().st_mtime_ns for path in cells]
    recipes.study(name, quick=True, to=tmp_path, verbose=False)
    assert [path.stat().st_mtime_ns for path in cells] == ages


@pytest.mark.quick
@pytest.mark.parametrize("name", running.names())
def test_a_study_states_its_claims_in_sentences_with_their_lectures(name):
    module = running.find(name).module
    assert {"measure", "judge", "picture"} <= set(vars(module))
    for part in ("Claims:", "Setup:", "Cost: about"):
        assert part in running.docstring(name)
    for claim in module.CLAIMS.values():
        assert re.fullmatch(r"[A-Z].*\.", claim.text)
        assert re.search(r"lecture \d", claim.source)


@pytest.mark.quick
def test_searches_find_the_best_cell_of_a_table():
    choices = [["conv3", "max3", "avg3"]] * 2
    table = {f"{a}-{b}": len(a) + 10 * (b == "avg3") for a in choices[0] for b in choices[1]}
    for tuner in architecture_search.TUNERS:
        best = architecture_search._search(tuner, 0, choices, table, 12)
        assert best[8:] == [15, 15, 15, 15]  # after all nine cells, none of them twice
        assert best == sorted(best)


@pytest.mark.quick
def test_the_jackknife_of_a_rank_correlation():
    rising = np.stack([np.arange(8), np.arange(8) ** 3], axis=1)
    np.testing.assert_allclose(architecture_search.jackknife(rising), 1)
    some = np.random.default_rng(0).normal(size=(400, 2)) @ [[1, 0.5], [0, 0.5]]
    values = architecture_search.jackknife(some)
    # Spearman's correlation of normal variables with a correlation r
    expected = 6 / np.pi * np.arcsin(np.sqrt(0.5) / 2)
    error = np.std(values, ddof=1) / np.sqrt(400)
    assert abs(np.mean(values) - expected) < 3 * error < 0.15
