"""compare: train the choices of a recipe with one or more seeds, and name the best."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from recipes.old_names import renamed
from recipes.recipe import FIELDS, Recipe, replace
from recipes.recipe_files import read
from recipes.report import table
from recipes.run import default_path
from recipes.training.loop import train
from zoo.files import write
from zoo.terminal import plural


def compare(
    recipe: str | Path,
    *,
    choices: Mapping[str, dict[str, Any]] | None = None,
    seeds: int = 1,
    run: str | Path | None = None,
    strategy: str = "auto",
    verbose: bool = True,
    **overrides: Any,
) -> pd.DataFrame:
    """Train each of a recipe's choices, and report which has the best validation accuracy.

    Finished runs are not trained again. The test accuracy is shown, but not used for the choice.

    Args:
        recipe: recipe name, or path of a recipe file.
        choices: name -> new values for the recipe's fields. Default: `choices = {...}` in the
            recipe file, or the recipe as it is.
        seeds: number of seeds, starting with the recipe's own.
        run: output directory, with one run in each CHOICE/seedN. Default: as in `train`.
        strategy, verbose: as in `train`.
        overrides: new values for the recipe's fields; those of a choice take precedence.

    Returns:
        One row per run: choice, seed, val_accuracy, val_samples, top1, seconds, run. It is also
        written to compare.csv.

    Raises:
        ValueError: as in `train`, or if there are no choices, a choice has no validation set or
            sets the seed, two choices share a folder, or all choices set a field of overrides.
    """
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"seeds={seeds!r}: must be an integer of at least 1")
    overrides = renamed(overrides, FIELDS)
    file = read(recipe)
    base = replace(file.recipe, **overrides)
    chosen: Mapping[str, dict[str, Any]] = file.choices or {"recipe": {}}
    if choices is not None:
        chosen = {name: renamed(changes, FIELDS) for name, changes in choices.items()}
    for name, changes in chosen.items():
        _check(file.recipe, name, changes, overrides)
    folder = Path(run) if run is not None else default_path(file.name, file.recipe, base)
    places, own = _places(folder, chosen), _own(chosen, overrides)
    for name, fields in own.items():
        if fields and verbose:
            print(f"choice {name!r} has its own {', '.join(fields)}")
    rows = []
    for name, changes in chosen.items():
        for seed in range(base.seed, base.seed + seeds):
            path = places[name] / f"seed{seed}"
            values = {**overrides, **changes, "seed": seed}
            done = train(recipe, run=path, strategy=strategy, verbose=verbose, **values)
            keys = ("val_accuracy", "val_samples", "top1", "seconds")
            rows.append(
                {"choice": name, "seed": seed}
                | {key: done.result[key] for key in keys}
                | {"run": str(path)}
            )
    frame = pd.DataFrame(rows)
    write(folder / "compare.csv", lambda out: frame.to_csv(out, index=False))
    if verbose:
        _show(file.name, frame)
    return frame


def verdict(frame: pd.DataFrame) -> str:
    """Return one line about which choice is best, or that the difference may be noise.

    The noise is two standard errors of the difference between the accuracies: those of two
    proportions of the validation images and, with several seeds, those of two means.
    """
    means = frame.groupby("choice", sort=False)["val_accuracy"].mean().sort_values()
    if len(means) == 1:
        return f"validation accuracy {means.iloc[0]:.4f}"
    best, next_best = means.iloc[-1], means.iloc[-2]
    pair = [frame[frame["choice"] == name] for name in means.index[-2:]]
    noise = 2 * math.sqrt(sum(_variance(own) for own in pair))
    images = min(int(own["val_samples"].min()) for own in pair)
    seeds = min(len(own) for own in pair)
    by = f"by {100 * (best - next_best):.1f} points of validation accuracy"
    of = plural(images, "image") + (f" and {seeds} seeds" if seeds > 1 else "")
    scale = f"two standard errors on {of}: {100 * noise:.1f}"
    if best - next_best > noise:
        return f"{means.index[-1]} won, {by} ({scale})"
    return f"none won: {means.index[-1]} leads {by} ({scale})"


def _variance(own: pd.DataFrame) -> float:
    """Return the variance of a choice's mean accuracy, due to its images and its seeds."""
    share = own["val_accuracy"].mean()
    spread = own["val_accuracy"].var() / len(own) if len(own) > 1 else 0.0
    return share * (1 - share) / own["val_samples"].min() + spread


def _places(folder: Path, chosen: Mapping[str, dict[str, Any]]) -> dict[str, Path]:
    """Return the folder of each choice's runs.

    Raises:
        ValueError: if there are no choices, or the names of two give the same folder.
    """
    if not chosen:
        raise ValueError("choices={}: there is nothing to compare; name at least one choice")
    found: dict[str, Path] = {}
    for name in chosen:
        path = folder / re.sub(r"[^\w.=,+-]+", "_", name)
        other = next((n for n, there in found.items() if there == path), None)
        if other is not None:
            raise ValueError(f"choices {other!r} and {name!r}: both would use {path}; rename one")
        found[name] = path
    return found


def _check(recipe: Recipe, name: str, changes: dict[str, Any], overrides: dict[str, Any]) -> None:
    if "seed" in changes:
        raise ValueError(f"choice {name!r}: must not set seed; use seeds=N to train several seeds")
    try:
        made = replace(recipe, **{**overrides, **changes})
    except ValueError as error:
        raise ValueError(f"choice {name!r}: {error}") from error
    if made.validation == 0.0:
        raise ValueError(
            f"choice {name!r}: needs a validation set, but validation=0.0; set a fraction"
        )


def _own(
    chosen: Mapping[str, dict[str, Any]], overrides: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return for each choice the overrides that it replaces with its own values.

    Raises:
        ValueError: if all choices replace one, so that it would have no effect.
    """
    own = {
        name: [n for n in overrides if n in changes or n.partition(".")[0] in changes]
        for name, changes in chosen.items()
    }
    for field, value in overrides.items():
        if all(field in fields for fields in own.values()):
            of_all = "every choice sets" if len(own) > 1 else f"choice {next(iter(own))!r} sets"
            raise ValueError(f"{field}={value!r}: would have no effect, because {of_all} {field}")
    return own


def _show(name: str, frame: pd.DataFrame) -> None:
    columns = ["choice", "seeds", "validation", "test", "seconds"]
    rows = [
        [
            str(choice),
            str(len(own)),
            _mean(own["val_accuracy"]),
            _mean(own["top1"]),
            f"{own['seconds'].sum():.0f}",
        ]
        for choice, own in frame.groupby("choice", sort=False)
    ]
    table(name, columns, rows, verdict(frame))


def _mean(values: pd.Series) -> str:
    spread = f" ± {values.std():.4f}" if len(values) > 1 else ""
    return f"{values.mean():.4f}{spread}"
