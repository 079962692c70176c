"""steps.csv: the loss, accuracy and learning rate of each training step."""

import csv
import io
import math
import os
import time
from collections import deque
from pathlib import Path
from typing import Any

from recipes.training.progress import Progress
from zoo.files import write

FILE = "steps.csv"
COLUMNS = ("step", "epoch", "loss", "accuracy", "lr")
WINDOW = 20  # steps over which the loss is averaged, so that one bad batch is not an explosion
SYNC_SECONDS = 10  # most that a power cut may cost; syncing takes longer than a short epoch


class StepLog:
    """The losses of the last steps, and steps.csv, to which those of each epoch are appended.

    The loss and accuracy of a step are those of its own batch before the update. Rows are written
    before each checkpoint and at the end of each epoch. A training that continues from a checkpoint
    first removes the rows of later steps, so that no step is missing or repeated.

    Args:
        path: run directory.
        every: number of steps between rows, from the first step on; 0 writes no file.
        steps: number of steps of an epoch.
        batch: number of images of a step.
    """

    def __init__(self, path: Path, every: int, steps: int, batch: int):
        self.file, self.every, self.steps, self.batch = path / FILE, every, steps, batch
        self.last: deque[float] = deque(maxlen=WINDOW)
        self.done = -1  # number of steps so far, from the first epoch on
        self._rows: list[tuple[int, float, float]] = []  # not yet written: step, loss, accuracy
        self._synced = time.monotonic()
        self._right = 0  # number of images of the epoch so far that were classified correctly

    def begin(self, progress: Progress) -> None:
        """Continue from this progress, which may be before the last recorded step."""
        self._right = self._count(progress.logs.get("accuracy", 0.0), progress.step)
        done = progress.epoch * self.steps + progress.step
        if done == self.done:
            return
        self.done = done
        self.last.clear()
        self._rows.clear()
        if self.every:
            kept = [row for row in read(self.file) if int(row[0]) <= done]
            write(self.file, lambda file: file.write(_text([COLUMNS, *kept])))

    def add(self, loss: float, accuracy: float, step: int) -> None:
        """Add a step.

        Args:
            loss: loss of the step's batch.
            accuracy: mean accuracy of the epoch so far, with this step.
            step: number of the step in its epoch, from 1.
        """
        if step == 1:
            self._right = 0
        self.done += 1
        self.last.append(loss)
        # The accuracy is a mean over whole numbers of images, so rounding recovers the number.
        right = self._count(accuracy, step)
        if self.every and (self.done - 1) % self.every == 0:
            self._rows.append((self.done, loss, (right - self._right) / self.batch))
        self._right = right

    @property
    def waiting(self) -> bool:
        """Whether there are rows that are not yet in steps.csv."""
        return bool(self._rows)

    def flush(self, rate: Any, iterations: int) -> None:
        """Append the steps since the last call to steps.csv.

        Args:
            rate: learning rate schedule, a function of the number of updates before a step.
            iterations: number of updates so far.
        """
        import numpy as np  # not needed by commands that only read

        updates = np.array([iterations - self.done + step - 1 for step, *_ in self._rows])
        rates = np.broadcast_to(np.asarray(rate(updates), np.float32), updates.shape)
        rows = [
            (step, (step - 1) // self.steps + 1, np.float32(loss), f"{accuracy:.6g}", each)
            for (step, loss, accuracy), each in zip(self._rows, rates, strict=True)
        ]
        with self.file.open("a", encoding="utf-8") as file:
            file.write(_text(rows))
            file.flush()
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(file.fileno())
                self._synced = time.monotonic()
        self._rows.clear()

    def curve(self) -> list[tuple[float, float]]:
        """Return the number of epochs before each step in steps.csv, and the step's loss."""
        rows = read(self.file) if self.every else []
        return [((int(row[0]) - 1) / self.steps, float(row[2])) for row in rows]

    def _count(self, accuracy: float, step: int) -> int:
        images = step * self.batch
        return round(accuracy * images) if math.isfinite(accuracy) else 0


def read(file: Path) -> list[list[str]]:
    """Return the complete rows of a steps.csv, without its header; none if there is no file."""
    try:
        lines = file.read_text("utf-8", "replace").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    rows = csv.reader(line for line in lines if line.endswith("\n"))
    return [row for row in rows if len(row) == len(COLUMNS) and row[0].isdigit()]


def _text(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
