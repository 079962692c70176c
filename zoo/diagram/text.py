"""The texts of a picture: heading, legend, shapes and numbers."""

# ruff: noqa: RUF001 - signs in pictures

import re

from zoo.diagram.canvas import text_width
from zoo.diagram.frames import GREY, INK
from zoo.diagram.layout import Placed
from zoo.diagram.outline import Outline


def heading(outline: Outline, title: str, note: str) -> list[tuple[str, float, str, bool]]:
    """Return the lines above a picture: text, size, color, and whether it is bold."""
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
    """Return the explanations of the signs that a picture uses."""
    cards = [card for lane in outline.lanes for card in lane.cards]
    nodes = [spot.node for lane in placed for p in lane for spot in p.spots]
    kinds, labels = {n.kind for n in nodes}, " ".join(n.label for n in nodes)
    parts = [
        ({"conv", "point"} & kinds, "3×3 64: kernel size and channels"),
        ("/" in labels, "/2: stride 2"),
        (re.search(r" g\d", labels), "g32: 32 groups"),
        ("dw" in labels, "dw: depthwise"),
        ("sep" in labels, "sep: depthwise, then 1×1 (×2: twice, the stride only once)"),
        ("gate" in kinds, "SE 16: squeeze-and-excitation with 16 hidden units"),
        ("add" in kinds, "+: sum"),
        ("concat" in kinds, "bar: concatenation"),
        ("pad" in labels, "pad: adds channels of zeros"),
        (any(len(c.sources) > 1 for c in cards), "2 back: output of the block before the previous"),
        ("tag" in kinds, "a, b: result of a line, used in other lines"),
        (any(c.count > 1 for c in cards), "×3: three equal blocks"),
    ]
    return "  ·  ".join(text for used, text in parts if used)


def wrapped(text: str, width: float) -> list[str]:
    """Break a legend into lines of a width in points."""
    lines: list[str] = []
    for part in text.split("  ·  ") if text else ():
        longer = f"{lines[-1]}  ·  {part}" if lines else part
        if lines and text_width(longer, 8) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def shape_text(shape: tuple) -> str:
    """Return "56×56×64" for a shape, with "?" for unknown sizes."""
    return "×".join("?" if n is None else str(n) for n in shape)


def short(n: int) -> str:
    """Return "4.09 G" for 4089184256."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if n >= unit:
            value = n / unit
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}{name}"
    return str(n)
