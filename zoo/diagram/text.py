"""The words of a picture: its heading, its legend, shapes and numbers."""

# ruff: noqa: RUF001 - the signs of a picture

import re

from zoo.diagram.canvas import text_width
from zoo.diagram.frames import GREY, INK
from zoo.diagram.layout import Placed
from zoo.diagram.outline import Outline


def heading(outline: Outline, title: str, note: str) -> list[tuple[str, float, str, bool]]:
    facts = [
        f"{outline.parameters:,} parameters",
        *([] if outline.macs is None else [f"{short(outline.macs)} MACs"]),
        f"input {shape_text(outline.input)}",
        *outline.kinds,
    ]
    lines = [(title, 20.0, INK, True)]
    lines += [(note, 9.5, GREY, False)] if note else []
    return [*lines, ("  ·  ".join(facts), 10.5, INK, False)]


def legend_of(outline: Outline, placed: list[list[Placed]]) -> str:
    cards = [card for lane in outline.lanes for card in lane.cards]
    nodes = [spot.node for lane in placed for p in lane for spot in p.spots]
    kinds, labels = {n.kind for n in nodes}, " ".join(n.label for n in nodes)
    parts = [
        ({"conv", "point"} & kinds, "3×3 64: kernel and channels"),
        ("/" in labels, "/2: stride"),
        (re.search(r" g\d", labels), "g32: groups"),
        ("dw" in labels, "dw: depthwise"),
        ("sep" in labels, "sep: depthwise, then 1×1 (×2: twice, striding once)"),
        ("gate" in kinds, "SE 16: squeeze-and-excitation, squeezed units"),
        ("add" in kinds, "+: sum"),
        ("concat" in kinds, "bar: concatenation"),
        ("pad" in labels, "pad: zeros for new channels"),
        (any(len(c.sources) > 1 for c in cards), "2 back: from the block before the last"),
        ("tag" in kinds, "a, b: maps named at a line's end, and where they are read"),
        (any(c.count > 1 for c in cards), "×3: equal blocks"),
    ]
    return "  ·  ".join(text for used, text in parts if used)


def wrapped(text: str, width: float) -> list[str]:
    lines: list[str] = []
    for part in text.split("  ·  ") if text else ():
        longer = f"{lines[-1]}  ·  {part}" if lines else part
        if lines and text_width(longer, 8) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def shape_text(shape: tuple) -> str:
    return "×".join("?" if n is None else str(n) for n in shape)


def short(n: int) -> str:
    """4089184256 is "4.09 G"."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if n >= unit:
            value = n / unit
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}{name}"
    return str(n)
