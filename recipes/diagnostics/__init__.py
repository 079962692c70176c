"""Sanity checks of a network and its recipe, to run before a long training.

They follow the CS231n lectures "Babysitting the Learning Process" (2016) and "Choosing
Hyperparameters" (2025). Each check has a module with a function `check(context)` that returns a
CheckResult; the module's docstring lists what makes the check fail. Passing all checks means that
the network can be trained, not that it will be accurate.
"""

import importlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.diagnostics.results import CheckResult, show, working
from recipes.locking import locked
from recipes.recipe import Recipe, replace, to_json
from recipes.recipe_files import RecipeFile, read
from recipes.run import default_path
from zoo.files import write_json
from zoo.options import unknown

# Name of a check -> the question it answers. The module of that name is imported when needed.
CHECKS = {
    "initial_loss": "is the initial loss ln(classes), and does weight decay increase it?",
    "overfit_sample": "can the network overfit a small sample?",
    "gradient_check": "do the gradients match finite differences?",
    "activations": "does the signal reach the last layer, and are few units dead?",
    "learning_rate": "which learning rates reduce the loss within 100 steps?",
    "generalization": "do 100 training steps improve predictions for unseen images?",
    "update_ratios": "how large are the updates relative to the weights?",
    "train_vs_inference": "does the network behave alike in training and inference mode?",
}
# Earlier names, which `only` and Report[...] still accept.
ALIASES = {
    "first_loss": "initial_loss",
    "overfitting": "overfit_sample",
    "gradients": "gradient_check",
    "rates": "learning_rate",
    "learning": "generalization",
    "updates": "update_ratios",
    "modes": "train_vs_inference",
}


@dataclass(frozen=True)
class Report:
    """The results of all checks, one CheckResult each.

    Attributes:
        path: directory with check.json and the pictures.
        results: one result per check, in the order of CHECKS.
        seconds: how long the checks took.
    """

    path: Path
    results: tuple[CheckResult, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(each.verdict != "fail" for each in self.results)

    def __getitem__(self, name: str) -> CheckResult:
        by_name = {each.name: each for each in self.results}
        name = ALIASES.get(name, name)
        if name not in by_name:
            raise unknown("check", name, by_name)
        return by_name[name]


def check(
    recipe: str | Path | Recipe | RecipeFile,
    *,
    run: str | Path | None = None,
    only: Sequence[str] = (),
    seconds: float = 60.0,
    verbose: bool = True,
    **overrides: Any,
) -> Report:
    """Run sanity checks on a recipe's network, data and learning rate before training.

    Args:
        recipe: recipe name, path of a recipe file, or a Recipe.
        run: output directory for check.json, one picture per check, and check.png with all
            pictures on one page. Default: `check` inside the default run directory.
        only: names of the checks to run. Default: all checks.
        seconds: time limit for each training within a check. Large networks then train for
            fewer steps; the result says so, and too few steps give the verdict "note".
        verbose: whether to print a table of the results.
        overrides: new values for the recipe's fields; see recipes.replace.

    Raises:
        ValueError: if a name or value is unknown, the data is invalid, or the directory is in use.
    """
    names = selected(only)
    if not 0 < seconds < math.inf:
        raise ValueError(f"seconds={seconds!r}: must be a finite number greater than 0")
    file = read(recipe)
    label, resolved = file.name, replace(file.recipe, **overrides)
    path = (
        Path(run) if run is not None else default_path(file.home, file.recipe, resolved) / "check"
    )

    from recipes.data.pipelines import clear_errors
    from recipes.diagnostics import context, plots

    started = time.monotonic()
    with locked(path), clear_errors():
        prepared = context.opened(resolved, seconds)
        results = []
        for name in names:
            with working(f"{name}: {CHECKS[name]}", verbose):
                module = importlib.import_module(f"recipes.diagnostics.{name}")
                results.append(module.check(prepared))
        report = Report(path, tuple(results), round(time.monotonic() - started, 1))
        write_json(path / "check.json", _as_json(label, resolved, report))
        if verbose:
            show(f"{label}: {resolved.model}, {report.seconds:.0f} s", results, ("fail", "note"))
        plots.save(report.results, path, f"{label}: {resolved.model}")
    if verbose:
        print(f"pictures: {path / 'check.png'}")
    return report


def selected(only: Sequence[str]) -> list[str]:
    """Return the checks named in `only` (all if it is empty), in the order of CHECKS.

    Raises:
        ValueError: if a name is not that of a check.
    """
    names = [ALIASES.get(name, name) for name in only]
    for name in names:
        if name not in CHECKS:
            raise unknown("check", name, CHECKS)
    return [name for name in CHECKS if name in names or not names]


def _as_json(label: str, recipe: Recipe, report: Report) -> dict[str, Any]:
    keys = ("name", "verdict", "figure", "explanation", "values")
    return {
        "name": label,
        "passed": report.passed,
        "seconds": report.seconds,
        "results": [{key: getattr(each, key) for key in keys} for each in report.results],
        "recipe": to_json(recipe),
    }
