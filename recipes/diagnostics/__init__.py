"""The lectures' checks of a network and its recipe, before the hours of training.

CS231n, "Babysitting the Learning Process" (2016) and "Choosing Hyperparameters" (2025). A check
is a function `judge(context)` that gives a Finding: a file each, in the table below. Each file
says at its top what fails; a network that fails none can be trained, no more than that.
"""

import importlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.diagnostics.results import Finding, show, working
from recipes.recipe import Recipe, replace, to_json
from recipes.recipe_files import read
from recipes.run import default_path, finite, locked
from zoo.files import write_json
from zoo.options import unknown

# Check -> what it asks. Each is the module of its name, imported when it is run.
CHECKS = {
    "first_loss": "is the first loss ln(classes), and higher with a penalty on weights?",
    "overfitting": "is a small sample learned by heart?",
    "gradients": "do the gradients agree with finite differences?",
    "activations": "does the signal reach the last layer, and are the units alive?",
    "rates": "which rates make the loss fall within 100 steps?",
    "learning": "do 100 steps tell something about images that were not seen?",
    "updates": "how large are the updates beside the weights?",
    "modes": "does the network do in inference what it does in training?",
}


@dataclass(frozen=True)
class Report:
    """What the checks found; `path` is the directory with check.json and the pictures."""

    path: Path
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(each.verdict != "fail" for each in self.findings)

    def __getitem__(self, name: str) -> Finding:
        found = {each.name: each for each in self.findings}
        if name not in found:
            raise unknown("finding", name, found)
        return found[name]


def check(
    recipe: str | Path | Recipe,
    *,
    run: str | Path | None = None,
    only: Sequence[str] = (),
    seconds: float = 60.0,
    verbose: bool = True,
    **overrides: Any,
) -> Report:
    """Check a recipe's network, data and rates as the lectures do, before it is trained.

    Args:
        recipe: its name, its file's path, or a Recipe.
        run: the directory for check.json, a picture of each check and check.png, a page of
            them all; by default `check` in the default run directory (of a Recipe, of its model).
        only: the names of the checks to do; all, if there is none.
        seconds: the most that each training of a check may take; large networks are then
            judged on fewer steps or noted as not judged, and the figures say so.
        verbose: whether to print the table.
        overrides: other values for the recipe's fields; see recipes.replace.

    Raises:
        ValueError: an unknown name or value, bad data, or a directory that is in use.
    """
    names = selected(only)
    if not 0 < seconds < math.inf:
        raise ValueError(f"seconds={seconds!r} is not a number above 0")
    if isinstance(recipe, Recipe):
        label, base = recipe.model, recipe
    else:
        file = read(recipe)
        label, base = file.name, file.recipe
    resolved = replace(base, **overrides)
    path = Path(run) if run is not None else default_path(label, base, resolved) / "check"

    from recipes.diagnostics import context, plots

    started = time.monotonic()
    with locked(path):
        prepared = context.opened(resolved, seconds)
        found = []
        for name in names:
            with working(f"{name}: {CHECKS[name]}", verbose):
                found.append(importlib.import_module(f"recipes.diagnostics.{name}").judge(prepared))
        report = Report(path, tuple(found), round(time.monotonic() - started, 1))
        write_json(path / "check.json", _as_json(label, resolved, report))
        if verbose:
            show(f"{label}: {resolved.model}, {report.seconds:.0f} s", found, ("fail", "note"))
        plots.save(report.findings, path, f"{label}: {resolved.model}")
    if verbose:
        print(f"pictures: {path / 'check.png'}")
    return report


def selected(only: Sequence[str]) -> list[str]:
    """The names of `only` in the order of CHECKS; all of them for none.

    Raises:
        ValueError: a name that is not a check's.
    """
    for name in only:
        if name not in CHECKS:
            raise unknown("check", name, CHECKS)
    return [name for name in CHECKS if name in only or not only]


def _as_json(label: str, recipe: Recipe, report: Report) -> dict[str, Any]:
    keys = ("name", "verdict", "figure", "explanation", "values")
    return {
        "name": label,
        "passed": report.passed,
        "seconds": report.seconds,
        "findings": [{key: finite(getattr(each, key)) for key in keys} for each in report.findings],
        "recipe": to_json(recipe),
    }
