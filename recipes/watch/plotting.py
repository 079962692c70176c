"""Draw the curves of searches, comparisons and runs in one picture."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recipes.figures import ALL, NAMED, curves_of_runs, plot_runs
from recipes.run import Run
from recipes.score_figures import Curves
from recipes.training.selection import METRICS, label_of
from recipes.watch import places, runs, searches
from recipes.watch.reading import Files, as_metrics
from zoo.terminal import plural

_SEED = re.compile(r"(.+)/seed-?\d+")


def plot(
    paths: Sequence[str | Path],
    to: str | Path = "runs.png",
    panels: Sequence[str] = (),
    *,
    x: str = "epoch",
    log: str = "",
    highlight: Sequence[str] = (),
    target: Mapping[str, float] | None = None,
    csv: str | Path | None = None,
) -> str:
    """Draw the curves of all runs in some directories.

    The seeds of each choice of a comparison have one color. Without further arguments, the trials
    of a single search, and more than 20 runs, are colored by their scores.

    Args:
        paths: directories of searches, runs and comparisons.
        to: PNG file to write.
        panels, x, log, highlight, target, csv: see `recipes.figures.plot_runs`. Labels are the
            paths, shortened as far as they differ.

    Returns:
        One line about what was written.

    Raises:
        ValueError: if a path contains neither a search nor a run, no run has finished an epoch,
            or the picture could not be drawn.
    """
    path = Path(to)
    if path.suffix.lower() != ".png":
        raise ValueError(f"to={str(to)!r}: must end in .png")
    if not path.parent.is_dir():
        raise ValueError(f"to={str(to)!r}: there is no directory {str(path.parent)!r}")
    own, plain = places.find_all(places.check(paths))
    files = Files()
    if panels or highlight or target or csv or log or x != "epoch":
        return _plot_by_label(path, own, plain, {
            "panels": panels, "x": x, "log": log, "highlight": highlight, "target": target,
            "csv": csv,
        })  # fmt: skip
    found: list[Curves] = []
    metrics = set()
    for folder in own:
        by, trials = _trials(files, folder, f"{folder.name}/" if len(own) > 1 or plain else "")
        found += trials
        metrics.add(by)
    for folder, label in zip(plain, places.labels(plain), strict=True):
        entry = runs.entry(files, folder, set())
        group = _SEED.fullmatch(label)
        rows = files.read(folder / "metrics.csv", as_metrics, [])
        found.append(Curves(group[1] if group else label, rows, _score(entry)))
        metrics.add(entry["by"])
    found = [each for each in found if each.rows]
    if not found:
        raise ValueError(f"path={str(paths[0])!r}: no run there has finished an epoch")
    by = metrics.pop() if len(metrics) == 1 else "val_accuracy"
    alone = len(own) == 1 and not plain
    title = f"{own[0].resolve().name}: {plural(len(found), 'trial')}" if alone else plural(
        len(found), "run")  # fmt: skip
    if not curves_of_runs(
        path, found, title, score=label_of(by), higher=METRICS[by] == "max",
        by_score=True if alone and len(found) > 1 else None,
    ):  # fmt: skip
        raise ValueError(f"to={str(to)!r}: the picture could not be drawn")
    return f"{path}: the curves of {plural(len(found), 'run')}"


def _plot_by_label(
    path: Path, own: Sequence[Path], plain: Sequence[Path], settings: Mapping[str, Any]
) -> str:
    """Draw runs and the trials of searches, each label in one color; return what was written."""
    groups: dict[str, list[Any]] = {}
    for folder in own:
        prefix = f"{folder.name}/" if len(own) > 1 or plain else ""
        for trial in sorted((folder / "trials").glob("*/metrics.csv")):
            groups[f"{prefix}trial {trial.parent.name}"] = [trial.parent]
    for folder, label in zip(plain, places.labels(plain), strict=True):
        group = _SEED.fullmatch(label)
        groups.setdefault(group[1] if group else label, []).append(folder)
    if len(groups) > NAMED and not settings["highlight"]:
        raise ValueError(
            f"paths: {len(groups)} runs are too many for different colors; name the most important"
            f" ones with --highlight ({', '.join(list(groups)[:3])}, ...)"
        )
    everything = [run for group in groups.values() for run in group]
    count = len(everything)
    if not settings["panels"]:
        known = {name for run in everything for name in Run(run).metrics}
        settings = {**settings, "panels": [name for name in ALL if name in known]}
    if not plot_runs(path, groups, **settings, title=plural(count, "run")):
        raise ValueError(f"to={str(path)!r}: the picture could not be drawn")
    more = f"; numbers: {settings['csv']}" if settings["csv"] else ""
    return f"{path}: the curves of {plural(count, 'run')}{more}"


def draw_search(folder: Path, title: str) -> bool:
    """Draw the curves of all trials of a search into its search.png, colored by score.

    Args:
        folder: the directory of the search.
        title: the title.

    Returns:
        Whether the picture was drawn; no error in it ends the search.
    """
    by, trials = _trials(Files(), folder, "")
    return curves_of_runs(
        folder / "search.png", trials, title, score=label_of(by), higher=METRICS[by] == "max",
        by_score=True,
    )  # fmt: skip


def _trials(files: Files, folder: Path, prefix: str) -> tuple[str, list[Curves]]:
    """Return the metric of a search, and the curves of each trial that was trained.

    In stages, only trials of the last one have scores: those of other numbers of epochs do not
    compare.
    """
    search, trials = searches.entries(files, folder, set(), 2)
    made = []
    last = max((int(each["stage"] or 0) for each in trials.values()), default=0)
    for trial, entry in trials.items():
        if int(entry["stage"] or 0) < last:
            entry["score"] = None
        if entry["status"] != "same":
            rows = files.read(folder / "trials" / trial / "metrics.csv", as_metrics, [])
            made.append(Curves(f"{prefix}trial {trial}", rows, _score(entry)))
    return search["by"], made


def _score(entry: dict[str, Any]) -> float:
    return math.nan if entry["score"] is None else entry["score"]
