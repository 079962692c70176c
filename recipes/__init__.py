"""Train, evaluate, diagnose and tune the networks of `zoo`.

    import recipes
    run = recipes.train("digits/resnet20", act="elu")
    run.metrics; run.result; run.model

A recipe is a Python file in this package or anywhere else; `recipes.names()` lists those of this
package.
"""

import importlib
from typing import TYPE_CHECKING, Any

import zoo  # noqa: F401 - makes Keras quiet when one of the modules below imports it

# Public name -> the module and the name of what it stands for. It is imported at its first use,
# because listing recipes must not take as long as importing TensorFlow. No module has the name of
# a public function: Python would put the module in the function's place.
_HOME = {
    "Recipe": ("recipes.recipe", "Recipe"),
    "Run": ("recipes.run", "Run"),
    "Trainings": ("recipes.trainings.many", "Trainings"),
    "check": ("recipes.diagnostics", "check"),
    "compare": ("recipes.search.compare", "compare"),
    "diagnose": ("recipes.diagnostics.curves", "diagnose"),
    "evaluate": ("recipes.evaluation.evaluate", "evaluate"),
    "layer_statistics": ("recipes.diagnostics.by_layer", "layer_statistics"),
    "load": ("recipes.recipe_files", "load"),
    "main": ("recipes.cli.main", "main"),
    "names": ("recipes.recipe_files", "names"),
    "open": ("recipes.run", "open_run"),
    "plot_runs": ("recipes.figures", "plot_runs"),
    "replace": ("recipes.recipe", "replace"),
    "source": ("recipes.recipe_files", "source"),
    "study": ("recipes.studying.running", "study"),
    "train": ("recipes.training.loop", "train"),
    "tune": ("recipes.search.tune", "tune"),
}

_ON_TENSORFLOW = (
    "Trainings", "check", "compare", "evaluate", "layer_statistics", "study", "train", "tune",
)  # fmt: skip

if TYPE_CHECKING:
    from recipes.cli.main import main
    from recipes.diagnostics import check
    from recipes.diagnostics.by_layer import layer_statistics
    from recipes.diagnostics.curves import diagnose
    from recipes.evaluation.evaluate import evaluate
    from recipes.figures import plot_runs
    from recipes.recipe import Recipe, replace
    from recipes.recipe_files import load, names, source
    from recipes.run import Run
    from recipes.run import open_run as open
    from recipes.search.compare import compare
    from recipes.search.tune import tune
    from recipes.studying.running import study
    from recipes.training.loop import train
    from recipes.trainings.many import Trainings

__all__ = [
    "Recipe",
    "Run",
    "Trainings",
    "check",
    "compare",
    "diagnose",
    "evaluate",
    "layer_statistics",
    "load",
    "main",
    "names",
    "open",
    "plot_runs",
    "replace",
    "source",
    "study",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recipes' has no attribute {name!r}")
    if name in _ON_TENSORFLOW:
        from recipes.early_checks import check_backend

        check_backend()
    module, attribute = _HOME[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
