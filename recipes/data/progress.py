"""Show the progress of a long pass over files."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

AFTER = 2.0  # seconds after which a pass is long


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Draw a bar on stderr if it is a terminal and the pass takes long.

    The bar is drawn only while the yielded function runs, because stderr may be redirected between
    two calls.

    Args:
        what: what is done, such as "reading headers".
        total: the number of steps.

    Yields:
        A function to call with the number of further steps that are done.
    """
    started, done, bar = time.monotonic(), 0, None

    def advance(steps: int) -> None:
        nonlocal done, bar
        done += steps
        if bar is None and time.monotonic() - started > AFTER and sys.stderr.isatty():
            bar = _bar()
            bar.start()
            bar.add_task(what, total=total)
        if bar is not None:
            bar.update(bar.task_ids[0], completed=done)
            bar.refresh()

    try:
        yield advance
    finally:
        if bar is not None:
            bar.stop()


def _bar():
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Remaining(),
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
    )
