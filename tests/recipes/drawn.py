"""The visible texts of figures, and which of them overlap."""

import warnings

from matplotlib.figure import Figure
from matplotlib.text import Text

from recipes import drawing


def texts(figure: Figure) -> list[Text]:
    """Return the visible texts, including those of ticks and legends."""
    beyond = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in {*axis.majorTicks, *axis.minorTicks}
        - {*(axis._update_ticks() if axes.axison else ())}
        for label in (tick.label1, tick.label2)
    }  # of ticks outside the limits, or of axes that are off
    shown = (text for text in figure.findobj(Text) if text.get_visible() and text not in beyond)
    return [text for text in shown if text.get_text().strip()]


def strings(figure: Figure) -> list[str]:
    return [text.get_text() for text in texts(figure)]


def overlaps(figure: Figure, slack: float = 1.0) -> list[tuple[str, str]]:
    """Return pairs of texts that overlap and texts that leave the figure by over `slack` pixels."""
    figure.canvas.draw()
    level = [text for text in texts(figure) if text.get_rotation() % 90 == 0]  # boxes are level
    boxes = [(text.get_text(), text.get_window_extent().padded(-slack)) for text in level]
    boxes = [(text, box) for text, box in boxes if box.width > 0 and box.height > 0]
    found = [
        (one, other)
        for i, (one, box) in enumerate(boxes)
        for other, another in boxes[i + 1 :]
        if box.overlaps(another)
    ]
    page = figure.bbox
    found += [
        (text, "is cut by the edge")
        for text, box in boxes
        if box.x0 < page.x0 or box.y0 < page.y0 or box.x1 > page.x1 or box.y1 > page.y1
    ]
    return found


def keep(monkeypatch, drawn: list[Figure]) -> None:
    """Draw figures into a list instead of files, and make warnings errors."""

    def save(figure, path):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            figure.canvas.draw()
        drawn.append(figure)
        path.touch()

    monkeypatch.setattr(drawing, "save", save)
