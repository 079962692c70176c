"""Checks of names, values and paths that need neither TensorFlow nor the images.

The command line runs them before it imports TensorFlow, which takes seconds, so that a typo is
reported at once. Whatever they cannot check is checked when the data and the network are opened.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import zoo
from recipes.distribution import strategies
from recipes.recipe import Recipe, style_of
from recipes.run import Run, open_run
from recipes.values import parse_stages
from zoo import saved_runs
from zoo.checkpoints.sources import place_of
from zoo.options import unknown
from zoo.terminal import plural

SPLITS = ("test", "validation", "train")
AVERAGES = ("ensemble", "soup")
TUNERS = ("random", "bayesian", "hyperband", "grid", "reinforce", "evolution")


def check_backend() -> None:
    """Check that Keras is configured for TensorFlow, without importing Keras.

    Raises:
        ValueError: if Keras is configured for another backend.
    """
    if "keras" in sys.modules:
        name = sys.modules["keras"].config.backend()
    else:
        name = os.environ.get("KERAS_BACKEND") or _backend_of_file()
    if name != "tensorflow":
        raise ValueError(
            f"KERAS_BACKEND={name}: recipes train and evaluate with TensorFlow only; set "
            "KERAS_BACKEND=tensorflow. The networks of zoo run with JAX as well: docs/backends.md"
        )


def _backend_of_file() -> str:
    """Return the backend in Keras's configuration file; "tensorflow" if there is none."""
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return str(json.loads((folder / "keras.json").read_text("utf-8"))["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


def check_recipe(recipe: Recipe, strategy: str = "one", hosts: bool = False) -> None:
    """Check a recipe's network, weights, preprocessing, data set and strategy.

    Args:
        recipe: the recipe.
        strategy: name of the strategy.
        hosts: whether the command can use several hosts.

    Raises:
        ValueError: if a name or value is unknown, a file or folder is missing, or Keras is
            configured for another backend.
    """
    check_backend()
    zoo.resolve(recipe.model, **style_of(recipe))
    if recipe.weights is not None:
        if os.path.isdir(recipe.weights):
            _check_finished(open_run(recipe.weights))
        elif zoo.source(recipe.model, recipe.weights) is None:
            _check_file("weights", recipe.weights)
    check_preprocess(recipe)
    check_data(recipe.data)
    strategies.check(strategy, hosts)


def check_preprocess(recipe: Recipe) -> None:
    """Check that a recipe's preprocessing is one of ours or that of a source of weights.

    Raises:
        ValueError: if it is neither.
    """
    from recipes.data.preprocess import KINDS
    from zoo.checkpoints import sources

    known = [*KINDS, *sources.table().get(recipe.model, {})]
    if recipe.preprocess not in known and not recipe.preprocess.startswith("timm/"):
        listing = f"`recipes names preprocess` and `zoo names weights {recipe.model}`"
        raise unknown("preprocessing", recipe.preprocess, known, listing)


def check_data(name: str, is_class: Callable[[str], bool] = lambda name: False) -> None:
    """Check that a data set exists, without reading it.

    Args:
        name: the name.
        is_class: whether the name of a folder is that of a class, if the classes are known.

    Raises:
        ValueError: if there is no such folder or data set.
    """
    if name.startswith("folder:"):
        from recipes.data.folder_layout import find_root

        find_root(name, is_class)
    elif name.startswith("made_up"):
        from recipes.data.made_up import made_up_numbers

        made_up_numbers(name)
    elif name != "digits":
        from recipes.data.from_tfds import check_name

        check_name(name)


def check_evaluation(
    runs: Sequence[str],
    split: str,
    average: str,
    data: str | None,
    strategy: str,
    weights: str | None = None,
    preprocess: str | None = None,
) -> list:
    """Check the arguments of `recipes evaluate`, and return the runs and named networks.

    Raises:
        ValueError: if a directory is not a finished run or is given twice, a name is unknown, or a
            named network has no weights or no data.
    """
    from recipes.data.imagenet_folder import NAMING
    from recipes.evaluation.members import check_named_data, only_runs, open_members

    check_backend()
    members = open_members(runs, weights, preprocess)
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if average not in AVERAGES:
        raise unknown("average", average, AVERAGES)
    runs_alone = check_named_data(members, data)
    if average == "soup":
        only_runs(members)
    if data is not None and runs_alone:
        check_data(data)
    elif data is not None:
        check_data(data, NAMING.is_class)
    strategies.check(strategy, hosts=False)
    return members


def check_search(
    tuner: str, trials: int | None, stages: str | None = None, workers: int = 1
) -> None:
    """Check the arguments of `tune` that are neither fields of a recipe nor the space.

    Raises:
        ValueError: if the search algorithm is unknown, there would be no trials or no workers, the
            environment describes a chief in part, or the stages are malformed, do not fit the
            trials, or belong to another algorithm than random search.
    """
    from recipes.search.workers.hosts import address_of

    if tuner not in TUNERS:
        raise unknown("tuner", tuner, TUNERS)
    if trials is not None and trials < 1:
        raise ValueError(f"trials={trials}: must be at least 1")
    address, name = address_of()
    least = 0 if "chief" in name else 1
    if workers < least:
        more = "" if address else "; 0 waits for those of other hosts, which need an address"
        raise ValueError(f"workers={workers}: must be at least {least}{more}")
    if stages is None:
        return
    total = sum(stage.trials for stage in parse_stages(stages))
    if tuner != "random":
        raise ValueError(f"stages={stages!r}: only applies with tuner='random', but {tuner=}")
    if trials not in (None, total):
        raise ValueError(
            f"stages={stages!r}: has {plural(total, 'trial')} in total, but trials={trials}; leave"
            " trials out, or change the stages"
        )


def _check_finished(run: Run) -> None:
    _ = run.recipe  # raises if the directory's recipe.json is damaged
    saved_runs.check(run.path, f"run={str(run.path)!r}")


def _check_file(name: str, path: str) -> None:
    if not place_of(path)[0].is_file():  # "FILE#ENTRY" chooses weights in a file
        raise ValueError(f"{name}={path!r}: there is no such file")
