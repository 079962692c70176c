"""Read the lines of a figure from run directories, tables and arrays."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recipes.run import Run, open_run
from recipes.training import stopping
from zoo.options import unknown

AXES = ("epoch", "step", "seconds")
_OF_STEPS = ("loss", "accuracy", "error", "lr")


@dataclass(frozen=True)
class Line:
    """One metric of one run.

    Attributes:
        label: name of the run, or of the group of seeds that it belongs to.
        run: number of the run in its group, from 0.
        metric: name of the metric.
        keys: number of the epoch or step of each point; means are taken over points with equal
            ones.
        x, y: coordinates of the points.
        diverged: whether the run ended because it diverged, or has values that are not finite.
    """

    label: str
    run: int
    metric: str
    keys: np.ndarray
    x: np.ndarray
    y: np.ndarray
    diverged: bool = False


def lines_of(runs: Mapping[str, Any], metrics: Sequence[str], x: str) -> list[Line]:
    """Return a line for each run and metric that the run has.

    Args:
        runs: label -> a run or a list of runs; see `recipes.figures.plot_runs`.
        metrics: names of the metrics.
        x: what the x axis is; one of AXES.

    Raises:
        ValueError: if `x` or a path is invalid, or no run has one of the metrics.
    """
    if x not in AXES:
        raise unknown("x", x, AXES)
    found: list[Line] = []
    known: set[str] = set()
    for label, given in runs.items():
        several = isinstance(given, (list, tuple))
        for number, run in enumerate(given if several else [given]):
            tables, diverged = _tables(run, x)
            known |= {name for table in tables for name in table}
            for metric in metrics:
                line = _line(str(label), number, tables, metric, x, diverged)
                found += [line] if line is not None else []
    for metric in metrics:
        if not any(line.metric == metric for line in found):
            names = {*known, *(n.replace("accuracy", "error") for n in known if "accuracy" in n)}
            if x == "step" and not any(line.metric in _OF_STEPS for line in found):
                raise ValueError(f"x='step': no run has a steps.csv with {metric!r}; use x='epoch'")
            raise unknown("metric", metric, names - {"epoch", "step", "seconds"})
    return found


def _tables(run: Any, x: str) -> tuple[list[Mapping[str, Any]], bool]:
    """Return the tables of a run, those to use first in front, and whether it has diverged."""
    if not isinstance(run, (str, Path, Run)):
        return [_columns(run)], False
    run = run if isinstance(run, Run) else open_run(run)
    stop = {} if run.finished else stopping.read(run.path) or {}
    epochs, steps = run.metrics.to_dict("list"), run.steps.to_dict("list")
    tables = [epochs]
    if x == "step" and steps["step"]:
        ends = dict(zip(steps["epoch"], steps["step"], strict=True))  # the last step of each
        at = [ends.get(epoch, math.nan) for epoch in epochs["epoch"]]
        tables = [steps, {**epochs, "step": at}]
    return tables, stop.get("reason") in ("nan", "loss")


def _columns(table: Any) -> Mapping[str, Any]:
    if hasattr(table, "to_dict"):
        return table.to_dict("list")
    if isinstance(table, Mapping):
        return table
    raise ValueError(
        f"runs: {type(table).__name__} is neither a run directory nor a table; pass a path, a"
        " DataFrame, or a dict of columns"
    )


def _line(
    label: str, number: int, tables: Sequence[Mapping[str, Any]], metric: str, x: str, stop: bool
) -> Line | None:
    for table in tables:
        y = _values(table, metric)
        if y is None:
            continue
        keys = np.asarray(
            table.get("step" if x == "step" else "epoch", range(1, 1 + len(y))), float
        )
        at = keys
        if x == "seconds":
            if "seconds" not in table:
                raise ValueError(f"x='seconds': {label!r} has no column 'seconds'; use x='epoch'")
            at = np.cumsum(np.asarray(table["seconds"], float))
        finite = np.flatnonzero(np.isfinite(y))
        end = int(finite[-1]) + 1 if finite.size else 0
        return Line(label, number, metric, keys[:end], at[:end], y[:end], stop or end < len(y))
    return None


def _values(table: Mapping[str, Any], metric: str) -> np.ndarray | None:
    """Return a column, or an error rate from the accuracy; None if there is neither."""
    if metric in table:
        return np.asarray(table[metric], float)
    accuracy = metric.replace("error", "accuracy")
    if metric.endswith("error") and accuracy in table:
        return 1 - np.asarray(table[accuracy], float)
    return None


def mean_of(lines: Sequence[Line]) -> dict[str, np.ndarray]:
    """Return the mean of several runs: x, y, low and high, where all of them have points.

    Runs that diverged do not count unless all did.
    """
    used = [line for line in lines if not line.diverged and len(line.y)] or list(lines)
    common = sorted(set.intersection(*(set(line.keys[np.isfinite(line.y)]) for line in used)))
    rows = [{k: (x, y) for k, x, y in zip(e.keys, e.x, e.y, strict=True)} for e in used]
    points = np.array([[row[key] for key in common] for row in rows]).reshape(len(rows), -1, 2)
    return {
        "x": points[..., 0].mean(0), "y": points[..., 1].mean(0),
        "low": points[..., 1].min(0), "high": points[..., 1].max(0),
    }  # fmt: skip
