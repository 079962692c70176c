"""Recipes: how the networks of `zoo` are trained, searched and judged.

    import recipes
    run = recipes.train("digits/resnet20", act="elu")
    run.metrics; run.result; run.model

A recipe is a Python file in this package or anywhere else; `names` lists ours.
"""

import importlib
from typing import TYPE_CHECKING, Any

import zoo as zoo  # imports Keras quietly, when one of the modules below does

# Public name -> the module that holds it, imported at first use: listing recipes must not
# cost the import of TensorFlow. No module may have the name of a public function: Python
# would put the module in the function's place.
_HOME = {
    "Recipe": "recipes.recipe",
    "Run": "recipes.run",
    "check": "recipes.diagnostics",
    "compare": "recipes.search.compare",
    "diagnose": "recipes.diagnostics.curves",
    "evaluate": "recipes.evaluation.evaluate",
    "load": "recipes.recipe_files",
    "main": "recipes.cli.main",
    "names": "recipes.recipe_files",
    "open": "recipes.run",
    "replace": "recipes.recipe",
    "source": "recipes.recipe_files",
    "train": "recipes.training.loop",
    "tune": "recipes.search.tune",
}

_ON_TENSORFLOW = ("check", "compare", "evaluate", "train", "tune")

if TYPE_CHECKING:
    from recipes.cli.main import main
    from recipes.diagnostics import check
    from recipes.diagnostics.curves import diagnose
    from recipes.evaluation.evaluate import evaluate
    from recipes.recipe import Recipe, replace
    from recipes.recipe_files import load, names, source
    from recipes.run import Run, open
    from recipes.search.compare import compare
    from recipes.search.tune import tune
    from recipes.training.loop import train

__all__ = [
    "Recipe",
    "Run",
    "check",
    "compare",
    "diagnose",
    "evaluate",
    "load",
    "main",
    "names",
    "open",
    "replace",
    "source",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recipes' has no attribute {name!r}")
    if name in _ON_TENSORFLOW:
        from recipes.early_checks import check_backend

        check_backend()
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
