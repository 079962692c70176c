"""Finding: what one check or one look at the curves has found, in words, numbers and a picture."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.terminal import printable

COLOURS = {"pass": "green", "fail": "red", "note": "yellow", "seen": "yellow"}


@dataclass(frozen=True)
class Finding:
    """One line of a report.

    Attributes:
        name: of the check.
        verdict: of a check "pass", "fail", or "note" (worth a look, no failure); of a look at
            curves "seen", "not seen" or "unknown".
        figure: the evidence in a line.
        explanation: what it means and what to do, in a line; "" where all is well.
        values: the same in numbers, in JSON's types.
        picture: draws it on a matplotlib figure or part of one.
    """

    name: str
    verdict: str
    figure: str
    explanation: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    picture: Callable[[Any], None] | None = field(default=None, repr=False, compare=False)


def show(title: str, findings: Sequence[Finding], explained: Sequence[str]) -> None:
    """Print a line each, and then the explanations of those with a verdict in `explained`."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    found = Console()
    console = Console(
        width=None if found.is_terminal else 160, highlight=False, emoji=False
    )  # fmt: skip
    made = Table(title=escape(printable(title)), title_justify="left")
    for column in ("verdict", "", "figure"):
        made.add_column(column, overflow="fold")
    for each in findings:
        made.add_row(_coloured(each.verdict), escape(each.name), escape(each.figure))
    console.print(made)
    for each in findings:
        if each.verdict in explained and each.explanation:
            text = f"{_coloured(each.verdict)} {escape(each.name)}: {escape(each.explanation)}"
            console.print(text, soft_wrap=True)


@contextlib.contextmanager
def working(text: str, shown: bool) -> Iterator[None]:
    """On a terminal, say what is being done until it is."""
    from rich.console import Console

    console = Console()
    if shown and console.is_terminal:
        with console.status(text):
            yield
    else:
        yield


def _coloured(verdict: str) -> str:
    colour = COLOURS.get(verdict)
    return f"[{colour}]{verdict}[/{colour}]" if colour else verdict
