"""Train the choices of a recipe with one or more seeds, and report the best one."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import zoo
from recipes.distribution import strategies
from recipes.figures import curves_of_runs
from recipes.recipe import Recipe, replace, style_of
from recipes.recipe_files import RecipeFile, read
from recipes.report import table
from recipes.run import Run, default_path
from recipes.score_figures import Curves
from recipes.search.choices import Choice, folders, resolve_choices
from recipes.training.loop import train_checked
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
        written to compare.csv,
        and the curves are drawn in compare.png.

    Raises:
        ValueError: as in `train`, or if there are no choices, a choice has no validation set or
            sets the seed, two choices share a folder, or all choices set a field of overrides.
    """
    file = read(recipe)
    base = replace(file.recipe, **overrides)
    chosen = resolve_choices(file, choices, overrides)
    for each in chosen.values():
        zoo.resolve(each.recipe.model, **style_of(each.recipe))
    return compare_checked(
        file, base, chosen, seeds=seeds, run=run, strategy=strategy, verbose=verbose
    )


def compare_checked(
    file: RecipeFile,
    base: Recipe,
    choices: Mapping[str, Choice],
    *,
    seeds: int = 1,
    run: str | Path | None = None,
    strategy: str = "auto",
    verbose: bool = True,
) -> pd.DataFrame:
    """Compare choices whose networks have been checked; otherwise like `compare`.

    Args:
        file: the recipe's file; its name is that of the comparison.
        base: the file's recipe with all overrides.
        choices: the choices, as returned by `resolve_choices`.
    """
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"seeds={seeds!r}: must be an integer of at least 1")
    strategies.cluster_for(strategy, hosts=False)
    folder = Path(run) if run is not None else default_path(file.home, file.recipe, base)
    places = folders(choices)
    for name, each in choices.items():
        if each.own and verbose:
            print(f"choice {name!r} has its own {', '.join(each.own)}")
    rows = []
    for name, each in choices.items():
        for seed in range(base.seed, base.seed + seeds):
            path = folder / places[name] / f"seed{seed}"
            done = train_checked(
                file, replace(each.recipe, seed=seed), run=path, strategy=strategy, verbose=verbose
            )
            keys = ("val_accuracy", "val_samples", "top1", "seconds")
            rows.append(
                {"choice": name, "seed": seed}
                | {key: done.result[key] for key in keys}
                | {"run": str(path)}
            )
    frame = pd.DataFrame(rows)
    write(folder / "compare.csv", lambda out: frame.to_csv(out, index=False))
    curves_of_runs(
        folder / "compare.png",
        [Curves(str(r["choice"]), Run(str(r["run"])).metrics.to_dict("records")) for r in rows],
        f"{file.name}: {plural(len(places), 'choice')}",
    )
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
    sample = plural(images, "image") + (f" and {seeds} seeds" if seeds > 1 else "")
    scale = f"two standard errors on {sample}: {100 * noise:.1f}"
    if best - next_best > noise:
        return f"{means.index[-1]} won, {by} ({scale})"
    return f"no clear winner: {means.index[-1]} leads {by} ({scale})"


def _variance(own: pd.DataFrame) -> float:
    """Return the variance of a choice's mean accuracy, due to its images and its seeds."""
    share = own["val_accuracy"].mean()
    spread = own["val_accuracy"].var() / len(own) if len(own) > 1 else 0.0
    return share * (1 - share) / own["val_samples"].min() + spread


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
