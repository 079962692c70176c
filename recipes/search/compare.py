"""Choices of one recipe, side by side: each trained, with one or more seeds, and which won."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from recipes.recipe import Recipe, replace
from recipes.recipe_files import read
from recipes.report import table
from recipes.run import default_path
from recipes.training.loop import train
from zoo.files import write


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
    """Train each of a recipe's choices, and say which has the best validation accuracy.

    What is finished already is not trained again. The test set is judged, and decides nothing.

    Args:
        recipe: its name or its file's path.
        choices: name -> other values for the recipe's fields; those of the recipe's file,
            `choices = {...}`, by default, or the recipe as it is.
        seeds: how many, from the recipe's own on.
        run: the directory, with a run in CHOICE/seedN; by default as for `train`.
        strategy, verbose: as for `train`.
        overrides: other values for the recipe's fields; what a choice sets is as it says.

    Returns:
        A row for each run: choice, seed, val_accuracy, val_samples, top1, seconds, run; also
        written as compare.csv.

    Raises:
        ValueError: as `train`, there are no choices, they have no validation set, two would be
            in one folder, one sets the seed, or every one sets a field of the overrides.
    """
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"seeds={seeds!r} is not a whole number from 1")
    file = read(recipe)
    base = replace(file.recipe, **overrides)
    chosen = choices if choices is not None else file.choices or {"recipe": {}}
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
    """Which choice won, in a line; or that none did, within the noise of so many images and seeds.

    The noise is two standard errors of the difference: of two shares of their validation
    images, and, of several seeds, of two means.
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
    of = f"{images:,} images" + (f" and {seeds} seeds" if seeds > 1 else "")
    scale = f"two standard errors on {of}: {100 * noise:.1f}"
    if best - next_best > noise:
        return f"{means.index[-1]} won, {by} ({scale})"
    return f"none won: {means.index[-1]} leads {by} ({scale})"


def _variance(own: pd.DataFrame) -> float:
    """Of a choice's mean accuracy: as a share of its images, and by what its seeds differ."""
    share = own["val_accuracy"].mean()
    spread = own["val_accuracy"].var() / len(own) if len(own) > 1 else 0.0
    return share * (1 - share) / own["val_samples"].min() + spread


def _places(folder: Path, chosen: Mapping[str, dict[str, Any]]) -> dict[str, Path]:
    """The place of each choice's runs.

    Raises:
        ValueError: there is no choice, or the names of two would be one folder's.
    """
    if not chosen:
        raise ValueError("there are no choices to compare")
    found: dict[str, Path] = {}
    for name in chosen:
        path = folder / re.sub(r"[^\w.=,+-]+", "_", name)
        other = next((n for n, there in found.items() if there == path), None)
        if other is not None:
            raise ValueError(f"choices {other!r} and {name!r} would both be in {path}: rename one")
        found[name] = path
    return found


def _check(recipe: Recipe, name: str, changes: dict[str, Any], overrides: dict[str, Any]) -> None:
    if "seed" in changes:
        raise ValueError(f"choice {name!r} sets seed, which is one of seeds=N for each choice")
    try:
        made = replace(recipe, **{**overrides, **changes})
    except ValueError as error:
        raise ValueError(f"choice {name!r}: {error}") from error
    if made.validation == 0.0:
        raise ValueError(f"choice {name!r} has no validation set to be judged by: validation=0.0")


def _own(
    chosen: Mapping[str, dict[str, Any]], overrides: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Of the overrides those that a choice sets for itself, by choice.

    Raises:
        ValueError: every choice sets one, so that it would have no effect.
    """
    own = {
        name: [n for n in overrides if n in changes or n.partition(".")[0] in changes]
        for name, changes in chosen.items()
    }
    for field, value in overrides.items():
        if all(field in fields for fields in own.values()):
            of_all = "every choice sets" if len(own) > 1 else f"choice {next(iter(own))!r} sets"
            raise ValueError(f"{of_all} {field}, so that nothing would read {field}={value!r}")
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
