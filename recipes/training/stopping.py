"""Record in stopped.json why a training ended before its last epoch."""

import contextlib
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recipes.training.progress import Progress
from zoo.files import write_json

FILE = "stopped.json"


class DivergedError(ValueError):
    """The loss is no longer finite, or exceeds stop_at_loss times the first loss.

    Attributes:
        facts: JSON-serializable details: reason ("nan" or "loss"), metric, value, first_loss,
            epoch, lr (of the recipe).
    """

    def __init__(self, message: str, **facts: Any):
        super().__init__(message)
        self.facts = facts


@contextlib.contextmanager
def noted(path: Path, progress: Progress) -> Iterator[None]:
    """Record in the run directory why the training in the block was interrupted.

    Args:
        path: run directory.
        progress: progress of the training.
    """
    clear(path)
    try:
        yield
    except DivergedError as error:
        _write(path, progress, error.facts | {"message": str(error)})
        raise
    except KeyboardInterrupt:
        _write(path, progress, {"reason": "interrupted", "epoch": progress.epoch + 1})
        raise


def read(path: Path) -> dict[str, Any] | None:
    """Return what `noted` recorded in a run directory; None if there is no valid record."""
    try:
        found = json.loads((path / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "reason" in found else None


def clear(path: Path) -> None:
    """Remove the record, because the training continues or is complete."""
    (path / FILE).unlink(missing_ok=True)


def _write(path: Path, progress: Progress, facts: dict[str, Any]) -> None:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with contextlib.suppress(OSError):  # such as a full disk; the original error is reported
        write_json(path / FILE, {**facts, "finished_epochs": progress.epoch, "when": now})
