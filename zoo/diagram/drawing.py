"""Draw an outline: one lane for each stage, with its blocks, output shape, parameters and MACs."""

# ruff: noqa: RUF001 - signs in pictures

import math
from dataclasses import dataclass
from typing import Any

from zoo.diagram.canvas import Canvas, text_width
from zoo.diagram.frames import GREY, INK, LABEL_SIZE, bare, card_width, draw_card, mixed
from zoo.diagram.layout import Placed
from zoo.diagram.outline import Lane, Outline
from zoo.diagram.placing import place
from zoo.diagram.text import heading, legend_of, shape_text, short, wrapped

RULE = "#d3d7de"
PLAIN = ("#475569", "#f1f5f9")  # stems, heads and all else that is not a stage: dark, light
STAGES = (
    ("#1d4ed8", "#eaf1fe"),
    ("#0e7490", "#e4f6fa"),
    ("#047857", "#e5f7ef"),
    ("#a16207", "#fdf6dd"),
    ("#c2410c", "#fff0e4"),
    ("#b91c1c", "#fdebeb"),
    ("#a21caf", "#fbebfd"),
)
DENSE = ("#5b21b6", "#f1edfe")
# Widths of columns and margins, in points
MARGIN, SOLID, SHAPE, COUNT, COST = 18.0, 54.0, 84.0, 84.0, 60.0
TITLE, BETWEEN, PAD, LANE_GAP = 13.0, 20.0, 7.0, 5.0
SLIDE = (960.0, 540.0)


@dataclass(frozen=True)
class Row:
    """Cards next to each other.

    Attributes:
        cards: the cards.
        above, below: the largest extent of a card above and below the line of data flow.
        width: the width of all cards.
        side: whether they are auxiliary heads.
    """

    cards: tuple[Placed, ...]
    above: float
    below: float
    width: float
    side: bool


@dataclass(frozen=True)
class Grid:
    """The horizontal positions of the columns.

    Attributes:
        indent: the left edge of the cards, to the right of the names of stages.
        width: the width of the picture.
    """

    indent: float
    width: float

    @property
    def costs(self) -> float:
        """The right edge of the MACs."""
        return self.width - MARGIN - 10

    @property
    def counts(self) -> float:
        """The right edge of the numbers of parameters."""
        return self.costs - COST

    @property
    def shapes(self) -> float:
        """The left edge of the output shapes."""
        return self.counts - COUNT - SHAPE + 10

    @property
    def solids(self) -> float:
        """The center of the drawings of the outputs."""
        return self.shapes - SOLID / 2 - 4


def draw(outline: Outline, title: str, note: str) -> tuple[Canvas, float, float]:
    """Draw an outline.

    Args:
        outline: the outline of a network.
        title: the title of the picture.
        note: a line below the title, or "".

    Returns:
        The picture, its width and its height in points.
    """
    placed = [[place(card, _label_width) for card in lane.cards] for lane in outline.lanes]
    lines = heading(outline, title, note)
    legend = legend_of(outline, placed)
    least = max(text_width(text, size, bold) for text, size, _, bold in lines) + 2 * MARGIN
    head = sum(1.5 * size for _, size, _, _ in lines) + 17
    indent = max(64.0, *(text_width(lane.name, 11, True) + 35 for lane in outline.lanes))
    rows, width, height = _best_rows(placed, indent, least, head, legend)
    grid = Grid(MARGIN + indent, width)
    canvas = Canvas()
    y = MARGIN - 4
    for text, size, color, bold in lines:
        canvas.text(MARGIN, y + 0.75 * size, text, size, color, bold=bold)
        y += 1.5 * size
    y += 8
    canvas.text(grid.shapes, y, "output", 8, GREY)
    canvas.text(grid.counts, y, "parameters", 8, GREY, "right")
    canvas.text(grid.costs, y, "MACs", 8, GREY, "right")
    y += 9
    for lane, own in zip(outline.lanes, rows, strict=True):
        y = _draw_lane(canvas, lane, own, y, grid, outline) + LANE_GAP
    y += 9
    for line in wrapped(legend, width - 2 * MARGIN):
        canvas.text(MARGIN, y, line, 8, GREY)
        y += 12
    return canvas, width, height


def _label_width(text: str) -> float:
    return text_width(text, LABEL_SIZE)


# Rows of cards


def _best_rows(
    placed, indent: float, least: float, head: float, legend: str
) -> tuple[list[list[Row]], float, float]:
    """Return the rows of each lane, and the width and height of the picture.

    The cards are broken into rows so that the text is as large as possible on a slide.
    """
    fixed = 2 * MARGIN + indent + SOLID + SHAPE + COUNT + COST
    widest = max((card_width(p) for lane in placed for p in lane), default=0.0)
    whole = max((_row(lane).width for lane in placed), default=0.0)
    best, found = 0.0, None
    for step in range(41):
        limit = widest + (whole - widest) * step / 40
        rows = [_rows(lane, limit) for lane in placed]
        used = max((row.width for lane in rows for row in lane), default=0.0)
        width = math.ceil(max(fixed + used, least))
        height = head + sum(_lane_height(lane) + LANE_GAP for lane in rows)
        height += 12 * len(wrapped(legend, width - 2 * MARGIN)) + 2 * MARGIN - 8
        height = math.ceil(height)
        scale = min(SLIDE[0] / width, SLIDE[1] / height)
        if scale > best + 1e-6:
            best, found = scale, (rows, float(width), float(height))
    assert found is not None
    return found


def _rows(lane: list[Placed], limit: float) -> list[Row]:
    """Return the cards of a lane in as few rows as the limit allows, of about equal width."""
    fewest = _broken(lane, limit)
    sums = {_row(lane[i:j]).width for i in range(len(lane)) for j in range(i + 1, len(lane) + 1)}
    for width in sorted(width for width in sums if width <= limit):
        rows = _broken(lane, width)
        if len(rows) == len(fewest) and all(row.width <= limit for row in rows):
            return rows
    return fewest


def _broken(lane: list[Placed], limit: float) -> list[Row]:
    """Return the cards of a lane in rows, each as full as the limit allows."""
    rows: list[list[Placed]] = []
    for placed in lane:
        fits = rows and bool(placed.card.side) == bool(rows[-1][-1].card.side)
        if fits and _row([*rows[-1], placed]).width <= limit:
            rows[-1].append(placed)
        else:
            rows.append([placed])
    return [_row(row) for row in rows]


def _row(cards: list[Placed]) -> Row:
    above = max((p.above + (TITLE if p.card.title else 0.0) for p in cards), default=0.0)
    below = max((p.below for p in cards), default=0.0)
    width = sum(card_width(p) for p in cards) + BETWEEN * len(cards)
    side = bool(cards and cards[0].card.side)
    return Row(tuple(cards), above + PAD, below + PAD, width, side)


def _lane_height(rows: list[Row]) -> float:
    inside = sum(row.above + row.below for row in rows) + 5 * len(rows)
    return max(inside + 5, 40.0 if rows else 32.0)


# A lane


def _colors(name: str) -> tuple[str, str]:
    """Return the dark and the light color of a stage."""
    if name.startswith("stage") and name[5:].isdigit():
        return STAGES[(int(name[5:]) - 1) % len(STAGES)]
    return DENSE if name == "fc" else PLAIN


def _draw_lane(canvas: Canvas, lane: Lane, rows: list[Row], y, grid: Grid, outline) -> float:
    """Draw a lane whose top is y, and return its bottom."""
    dark, tint = _colors(lane.name)
    height = _lane_height(rows)
    canvas.box(MARGIN, y, grid.width - 2 * MARGIN, height, 5, 0, facecolor=tint, edgecolor="none")
    canvas.box(MARGIN, y, 4, height, 2, 1, facecolor=dark, edgecolor="none")
    top = y + (height - sum(r.above + r.below for r in rows) - 5 * (len(rows) - 1)) / 2
    flow = entry = y + height / 2
    for i, row in enumerate(rows):
        at = top + row.above
        x = grid.indent
        entry = at if i == 0 else entry
        tail = 0.0
        for j, placed in enumerate(row.cards):
            if not row.side:
                start = x - (BETWEEN - 4 if j == 0 else BETWEEN - 1) - tail
                _arrow(canvas, start, x + bare(placed)[0] - 1, at, dark)
            tail = bare(placed)[1]
            draw_card(canvas, placed, x, at, row.above, row.below, dark, lane.name)
            x += card_width(placed) + BETWEEN
        if not row.side:
            flow = at
            last = i + 1 == len(rows) or rows[i + 1].side
            end = grid.solids - SOLID / 2 + 2 if last else x - BETWEEN + 14
            _arrow(canvas, x - BETWEEN + 1 - tail, end, at, dark)
        top += row.above + row.below + 5
    canvas.text(MARGIN + 12, entry, lane.name, 11, dark, bold=True)
    if lane.blocks > 1:
        canvas.text(MARGIN + 12, entry + 13, f"{lane.blocks} blocks", 8, GREY)
    _draw_solid(canvas, lane.output, grid.solids, flow, dark, outline)
    canvas.text(grid.shapes, flow, shape_text(lane.output), 9.5, INK, bold=True)
    if lane.parameters or lane.cards:
        count = f"{lane.parameters:,}" if lane.parameters else "–"
        cost = "varies" if lane.macs is None else short(lane.macs) if lane.macs else "–"
        canvas.text(grid.counts, flow, count, 9.5, INK, "right")
        canvas.text(grid.costs, flow, cost, 9.5, INK, "right")
        if lane.parameters:
            share = lane.parameters / outline.parameters
            _bar(canvas, grid.counts, flow + 10, COUNT - 16, share, dark)
        if lane.macs and outline.macs:
            _bar(canvas, grid.costs, flow + 10, COST - 16, lane.macs / outline.macs, dark)
    return y + height


def _bar(canvas: Canvas, right, y, room, share: float, color) -> None:
    """Draw a bar of the width `room`, of which `share` is colored."""
    canvas.box(right - room, y - 1.5, room, 3, 1.5, 1, facecolor=RULE, edgecolor="none")
    length = max(room * share, 1.0)
    canvas.box(right - room, y - 1.5, length, 3, 1.5, 2, facecolor=color, edgecolor="none")


def _arrow(canvas: Canvas, start, end, y, color) -> None:
    canvas.line([(start, y), (end - 4, y)], 2, edgecolor=color, linewidth=1.1)
    head = [(end, y), (end - 5, y - 3), (end - 5, y + 3)]
    canvas.polygon(head, 2, facecolor=color, edgecolor="none")


def _draw_solid(canvas: Canvas, shape: tuple, x, y, dark: str, outline: Outline) -> None:
    """Draw feature maps as a box: its height shows their size, its thickness their number."""
    shapes = [lane.output for lane in outline.lanes]
    most = max(s[-1] or 1 for s in shapes)
    largest = max((s[0] or 1 for s in shapes if len(s) == 3), default=1)
    known = len(shape) == 3 and shape[0]
    side = 20 * math.sqrt(shape[0] / largest) if known else 10.0 if len(shape) == 3 else 0.0
    side, thick = max(side, 3.0), 3 + 20 * math.sqrt((shape[-1] or 1) / most)
    back = 0.35 * side
    left, top = x - (thick + back) / 2, y - (side - back) / 2
    right, low = left + thick, top + side
    front = [(left, top), (right, top), (right, low), (left, low)]
    upper = [(left, top), (left + back, top - back), (right + back, top - back), (right, top)]
    end = [(right, top), (right + back, top - back), (right + back, low - back), (right, low)]
    edge: dict[str, Any] = {"edgecolor": dark, "linewidth": 0.8, "joinstyle": "round"}
    canvas.polygon(front, 3, facecolor=mixed(dark, 0.45), **edge)
    canvas.polygon(upper, 3, facecolor=mixed(dark, 0.75), **edge)
    canvas.polygon(end, 3, facecolor=mixed(dark, 0.6), **edge)
