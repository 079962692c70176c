"""CheckResult: the result of one check, as text, numbers and a picture; and its printing."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.terminal import printable

COLORS = {"pass": "green", "fail": "red", "note": "yellow", "seen": "yellow"}


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes:
        name: name of the check.
        verdict: "pass", "fail" or "note" (worth a look, but not a failure) from `check`; "seen",
            "not seen" or "unknown" from `diagnose`.
        figure: the measured evidence, in one line.
        explanation: what it means and what to do, in one line; "" if nothing is wrong.
        values: the measured numbers, as JSON-serializable values.
        picture: function that draws the result on a matplotlib figure or subfigure.
    """

    name: str
    verdict: str
    figure: str
    explanation: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    picture: Callable[[Any], None] | None = field(default=None, repr=False, compare=False)


def show(title: str, results: Sequence[CheckResult], explained: Sequence[str]) -> None:
    """Print a table of the results, then explain those whose verdict is in `explained`."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    detected = Console()
    width = None if detected.is_terminal else 160
    console = Console(width=width, highlight=False, emoji=False)
    table = Table(title=escape(printable(title)), title_justify="left")
    for column in ("verdict", "", "figure"):
        table.add_column(column, overflow="fold")
    for each in results:
        table.add_row(_colored(each.verdict), escape(each.name), escape(each.figure))
    console.print(table)
    for each in results:
        if each.verdict in explained and each.explanation:
            text = f"{_colored(each.verdict)} {escape(each.name)}: {escape(each.explanation)}"
            console.print(text, soft_wrap=True)


@contextlib.contextmanager
def working(text: str, shown: bool) -> Iterator[None]:
    """Show `text` with a spinner while the block runs, if the output is a terminal."""
    from rich.console import Console

    console = Console()
    if shown and console.is_terminal:
        with console.status(text):
            yield
    else:
        yield


def _colored(verdict: str) -> str:
    color = COLORS.get(verdict)
    return f"[{color}]{verdict}[/{color}]" if color else verdict
