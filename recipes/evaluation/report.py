"""A judgement on the terminal, and in a directory: JSON and pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from recipes import drawing
from recipes.data.types import Split
from recipes.report import table
from recipes.run import finite, write_model
from zoo.files import write
from zoo.lettering import shortened
from zoo.terminal import printable

CLASSES_SHOWN = 20
NAME = 32  # columns of a class name


def as_json(judged: dict[str, Any]) -> str:
    """A judgement as JSON, rows of numbers in a line each; what is not finite as null."""
    text = json.dumps(finite(judged), indent=2, allow_nan=False)
    return re.sub(
        r"\[([-+.\deE,\s]*)\]", lambda found: f"[{' '.join(found[1].split())}]", text
    )  # fmt: skip


def write_all(judged: dict[str, Any], to: Path, soup=None) -> None:
    """Write evaluation.json into a directory, and a soup's model.keras."""
    if soup is not None:
        write_model(to / "model.keras", soup)
    write(to / "evaluation.json", lambda file: file.write(as_json(judged) + "\n"))


def draw_all(judged: dict[str, Any], part: Split, to: Path) -> list[str]:
    """Draw the pictures into a directory; return the names of those that could be drawn."""
    from recipes.evaluation import plots

    texts = [judged["data"], *judged["classes"], *(one["image"] for one in judged["worst"])]
    paint = {
        "confusion.png": lambda path: plots.confusion(judged, path),
        "calibration.png": lambda path: plots.calibration(judged, path),
        "worst.png": lambda path: plots.worst(judged, part, path),
    }
    return [name for name, draw in paint.items() if drawing.attempt(to / name, draw, texts)]


def show(judged: dict[str, Any]) -> None:
    """Print the figures, the members of an ensemble, and the classes, or the worst of many."""
    for name in ("top1", "top5", "balanced_accuracy", "macro_f1", "loss", "ece"):
        if name != "top5" or len(judged["classes"]) > 5:
            of = f"  ({judged['loss_of']})" if name == "loss" and ";" in judged["loss_of"] else ""
            print(f"{name:<19}{judged[name]:.4f}{of}")
    print(f"{'samples':<19}{judged['samples']}")
    if judged["not_finite"]:
        print(f"{judged['not_finite']} of them have scores that are not finite, and are wrong")
    members = [one for one in judged["members"] if "views" in one]
    if len(members) > 1 or judged["masks"] or members[0]["views"] != "one":
        columns = ["run", "network", "input", "views"]
        figures = [name for name in ("top1", "loss") if name in members[0]]
        rows = [
            [
                one["run"],
                one["model"],
                "x".join(map(str, one["input"])),
                f"{one['views']} ({one['view_count']})",
                *(f"{one[name]:.4f}" for name in figures),
            ]
            for one in members
        ]
        masks = f"; {judged['masks']} dropout masks for each view" if judged["masks"] else ""
        table(f"{judged['average'] or 'views'}{masks}", [*columns, *figures], rows)
    known = {n: c for n, c in judged["per_class"].items() if c["images"]}
    order = sorted(known, key=lambda name: known[name]["accuracy"])
    listed = order[:CLASSES_SHOWN] if len(known) > CLASSES_SHOWN else list(known)
    places = {name: i for i, name in enumerate(judged["classes"])}
    names = shortened(judged["classes"], NAME, printable)
    rows = [
        [
            names[places[name]],
            str(known[name]["images"]),
            str(known[name]["right"]),
            *(_figure(known[name][kind]) for kind in ("recall", "precision", "f1")),
            _mistaken_for(judged, places[name]),
        ]
        for name in listed
    ]
    title = "classes" if len(listed) == len(known) else f"the {len(listed)} worst of {len(known)}"
    table(
        f"{title}, {judged['split']} set of {printable(judged['data'])}",
        ["class", "images", "right", "recall", "precision", "F1", "most often mistaken for"], rows,
    )  # fmt: skip


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _mistaken_for(judged: dict[str, Any], own: int, most: int = 3) -> str:
    """The classes that a class's images are most often mistaken for, with their counts."""
    row = [(count, i) for i, count in enumerate(judged["confusion"][own]) if count and i != own]
    row.sort(key=lambda pair: (-pair[0], pair[1]))
    names = shortened(judged["classes"], NAME * 3 // 4, printable)
    return ", ".join(f"{names[i]} ({count})" for count, i in row[:most])
