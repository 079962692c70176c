"""Print the result of an evaluation, and write it into a directory as JSON and pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from recipes import drawing
from recipes.data.types import Split
from recipes.report import table
from recipes.run import write_model
from zoo.files import finite, write
from zoo.lettering import shortened
from zoo.terminal import plural, printable

CLASSES_SHOWN = 20
NAME = 32  # terminal columns for a class name


def as_json(result: dict[str, Any]) -> str:
    """Return a result as JSON, with lists of numbers on one line and null for NaN and infinity."""
    text = json.dumps(finite(result), indent=2, allow_nan=False)
    return re.sub(
        r"\[([-+.\deE,\s]*)\]", lambda found: f"[{' '.join(found[1].split())}]", text
    )  # fmt: skip


def write_all(result: dict[str, Any], to: Path, soup=None) -> None:
    """Write evaluation.json, and the model.keras of a soup, into a directory."""
    if soup is not None:
        write_model(to / "model.keras", soup)
    write(to / "evaluation.json", lambda file: file.write(as_json(result) + "\n"))


def draw_all(result: dict[str, Any], part: Split, to: Path) -> list[str]:
    """Draw the pictures into a directory; return the names of those that could be drawn."""
    from recipes.evaluation import plots

    texts = [result["data"], *result["classes"], *(one["image"] for one in result["worst"])]
    paint = {
        "confusion.png": lambda path: plots.confusion(result, path),
        "calibration.png": lambda path: plots.calibration(result, path),
        "worst.png": lambda path: plots.worst(result, part, path),
    }
    return [name for name, draw in paint.items() if drawing.attempt(to / name, draw, texts)]


def show(result: dict[str, Any]) -> None:
    """Print the metrics, the members of an ensemble, and the classes (only the worst of many)."""
    for name in ("top1", "top5", "balanced_accuracy", "macro_f1", "loss", "ece"):
        if name != "top5" or len(result["classes"]) > 5:
            of = f"  ({result['loss_of']})" if name == "loss" and ";" in result["loss_of"] else ""
            print(f"{name:<19}{result[name]:.4f}{of}")
    print(f"{'samples':<19}{result['samples']}")
    if result["not_finite"]:
        have, count = ("has", "counts") if result["not_finite"] == 1 else ("have", "count")
        print(f"{result['not_finite']} of them {have} NaN or infinite scores and {count} as wrong")
    if noise := result["noise"]:
        print(_noise(noise))
    members = [one for one in result["members"] if "views" in one]
    if len(members) > 1 or result["masks"] or members[0]["views"] != "one":
        weights = any(one["run"] is None for one in members)
        columns = ["run or weights" if weights else "run", "network", "input", "views"]
        figures = [name for name in ("top1", "loss") if name in members[0]]
        rows = [
            [
                one["run"] or printable(one["weights"]),
                one["model"],
                "x".join(map(str, one["input"])),
                f"{one['views']} ({one['view_count']})",
                *(f"{one[name]:.4f}" for name in figures),
            ]
            for one in members
        ]
        count = result["masks"]
        masks = f"; {plural(count, 'dropout mask')} for each view" if count else ""
        table(f"{result['average'] or 'views'}{masks}", [*columns, *figures], rows)
    known = {n: c for n, c in result["per_class"].items() if c["images"]}
    order = sorted(known, key=lambda name: known[name]["accuracy"])
    listed = order[:CLASSES_SHOWN] if len(known) > CLASSES_SHOWN else list(known)
    places = {name: i for i, name in enumerate(result["classes"])}
    names = shortened(result["classes"], NAME, printable)
    rows = [
        [
            names[places[name]],
            str(known[name]["images"]),
            str(known[name]["right"]),
            *(_figure(known[name][kind]) for kind in ("recall", "precision", "f1")),
            _mistaken_for(result, places[name]),
        ]
        for name in listed
    ]
    title = (
        "classes"
        if len(listed) == len(known)
        else f"the {len(listed)} worst of {len(known)} classes"
    )
    table(
        f"{title}, {result['split']} set of {printable(result['data'])}",
        ["class", "images", "right", "recall", "precision", "F1", "most often mistaken for"], rows,
    )  # fmt: skip


def _noise(noise: dict[str, Any]) -> str:
    """Describe the noise, and the metrics of its repeats if there are several."""
    of = "all kernels" if noise["layers"] == "*" else f"the kernels of {noise['layers']}"
    parts = [f"{noise['weights']:g} standard deviations on {of}"] if noise["weights"] else []
    parts += [f"{noise['inputs']:g} on the preprocessed images"] if noise["inputs"] else []
    seeds = [each["seed"] for each in noise["repeats"]]
    text = f"{'noise':<19}{' and '.join(parts)}, seed {seeds[0]}"
    if len(seeds) == 1:
        return text
    means = (f"{n} {noise[f'{n}_mean']:.4f} ± {noise[f'{n}_sd']:.4f}" for n in ("top1", "loss"))
    return f"{text}; {len(seeds)} seeds: {', '.join(means)} (mean ± standard deviation)"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _mistaken_for(result: dict[str, Any], own: int, most: int = 3) -> str:
    """Return the most frequent wrong predictions for the images of a class, with their counts."""
    row = [(count, i) for i, count in enumerate(result["confusion"][own]) if count and i != own]
    row.sort(key=lambda pair: (-pair[0], pair[1]))
    names = shortened(result["classes"], NAME * 3 // 4, printable)
    return ", ".join(f"{names[i]} ({count})" for count, i in row[:most])
