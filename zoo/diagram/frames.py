"""Draw a card: its frame, its nodes, the lines between them, and shortcuts as arcs above."""

# ruff: noqa: RUF001 - signs in pictures

from typing import Any

from zoo.diagram.canvas import Canvas, text_width
from zoo.diagram.layout import Arc, Placed, Spot
from zoo.diagram.outline import MERGES, Card

INK, GREY = "#1f2430", "#6b7280"
LABEL_SIZE = 8.5


def card_width(placed: Placed) -> float:
    """Return the width of a card with its frame."""
    return max(placed.width, text_width(placed.card.title, 7.5) + 12 + _badge(placed.card)) + 2


def _badge(card: Card) -> float:
    """Return the width of the badge "×3" for equal blocks; 0 if there is none."""
    return text_width(f"×{card.count}", 8.5, True) + 10 if card.count > 1 else 0.0


def bare(placed: Placed) -> tuple[float, float]:
    """Return the distances of the first and last node from the edges of a card without a frame."""
    straight = all(y == 0 for line in placed.lines for x, y in line if x < placed.spots[0].x)
    if placed.card.title or not straight:
        return 0.0, 0.0
    spare = (card_width(placed) - placed.width) / 2
    ends = max(s.right for s in placed.spots)
    return spare + placed.spots[0].x, spare + placed.width - ends


def draw_card(canvas: Canvas, placed: Placed, x, y, above, below, dark: str, stage: str) -> None:
    """Draw a card.

    Args:
        canvas: the canvas.
        placed: the card with the positions of its nodes.
        x: its left edge.
        y: the line on which data enters and leaves it.
        above, below: the distances from y to the edges of its row.
        dark: the dark color of its stage.
        stage: the name of its stage, for the ids of arcs, such as "shortcut-stage1-block2".
    """
    card, width = placed.card, card_width(placed)
    if card.title:
        top, height = y - above + 2, above + below - 4
        frame: dict[str, Any] = {"edgecolor": mixed(dark, 0.45), "linewidth": 0.9}
        if card.count > 1:
            for shift in (5, 2.5):
                canvas.box(x + shift, top - shift, width, height, 5, 3, facecolor="white", **frame)
        dashes: dict[str, Any] = {"linestyle": (0, (3, 2))} if card.side else {}
        canvas.box(x, top, width, height, 5, 4, facecolor="white", **frame, **dashes)
        canvas.text(x + 7, top + 8, card.title, 7.5, GREY)
        if card.count > 1:
            badge = _badge(card)
            canvas.box(
                x + width - badge - 4, top + 2, badge, 12, 6, 5, facecolor=dark, edgecolor="none"
            )
            canvas.text(
                x + width - badge / 2 - 4, top + 8, f"×{card.count}", 8.5, "white", "center", True
            )
    thin: dict[str, Any] = {"edgecolor": mixed(dark, 0.25), "linewidth": 0.9}
    spare = (width - placed.width) / 2
    if card.title and spare:
        canvas.line([(x, y), (x + spare, y)], 6, **thin)
        canvas.line([(x + width - spare, y), (x + width, y)], 6, **thin)
    x += spare
    entry, end = bare(placed)
    for points in placed.lines:
        if points[0][0] > 0 or not entry:
            canvas.line([(x + px, y + py) for px, py in points], 6, **thin)
    if not end:
        last = max(s.right for s in placed.spots)
        canvas.line([(x + last, y), (x + placed.width, y)], 6, **thin)
    for i, arc in enumerate(placed.arcs, 1):
        name = f"shortcut-{stage}-{card.name or 'layers'}" + (f"-{i}" if i > 1 else "")
        _draw_arc(canvas, arc, x, y, dark, name)
    for spot in placed.spots:
        _draw_node(canvas, spot, x, y, dark)


def _draw_arc(canvas: Canvas, arc: Arc, x, y, color, name) -> None:
    (x0, y0), (x1, y1) = arc.start, arc.end
    x0, x1, y0, y1, top = x + x0, x + x1, y + y0, y + y1, y + arc.y
    r = min(10.0, (x1 - x0) / 2)
    down = min(r, y1 - top)
    points = [(x0, y0), (x0, top + r), (x0, top), (x0 + r, top)]
    points += [(x1 - r, top), (x1, top), (x1, top + down), (x1, y1)]
    codes = [1, 2, 3, 3, 2, 3, 3, 2]
    canvas.shape(points, codes, 6, name, facecolor="none", edgecolor=color, linewidth=1.4)
    canvas.polygon(
        [(x1, y1), (x1 - 2.6, y1 - 4.5), (x1 + 2.6, y1 - 4.5)], 6, facecolor=color, edgecolor="none"
    )
    canvas.box(x0 - 1.8, y0 - 1.8, 3.6, 3.6, 1.8, 7, facecolor=color, edgecolor="none")


def _draw_node(canvas: Canvas, spot: Spot, x, y, dark) -> None:
    node, left, middle = spot.node, x + spot.x, y + spot.y
    top = middle - spot.height / 2
    if node.kind == "concat":
        canvas.box(left, top, spot.width, spot.height, 2, 7, facecolor=dark, edgecolor="none")
        return
    if node.kind in ("source", "tag"):
        ink, bold = (GREY, False) if node.kind == "source" else (dark, True)
        canvas.text(left + spot.width / 2, middle, node.label, LABEL_SIZE, ink, "center", bold)
        return
    soft = mixed(dark, 0.55)
    face, edge, ink = {
        "conv": (dark, dark, "white"),
        "dense": (dark, dark, "white"),
        "point": (mixed(dark, 0.8), soft, INK),
        "depthwise": ("white", dark, dark),
        "gate": ("#fde68a", "#b45309", "#7c2d12"),
        "pool": ("#e5e7eb", "#9ca3af", INK),
        "other": ("white", "#9ca3af", INK),
    }.get(node.kind, ("white", dark, dark))
    radius = spot.height / 2 if node.kind in (*MERGES, "gate") else 3.5
    canvas.box(
        left, top, spot.width, spot.height, radius, 7, facecolor=face, edgecolor=edge, linewidth=0.9
    )
    bold = node.kind in MERGES
    canvas.text(left + spot.width / 2, middle, node.label, LABEL_SIZE, ink, "center", bold)


def mixed(color: str, white: float) -> str:
    """Return a color mixed with a share of white."""
    parts = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(p + (255 - p) * white):02x}" for p in parts)
