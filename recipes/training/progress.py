"""How far a training is: what a checkpoint contains in addition to the variables."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recipes.training.selection import best_epoch


@dataclass
class Progress:
    """The progress of a training. All values are JSON-serializable.

    Attributes:
        rows: metrics of the finished epochs, one dict each.
        step: number of finished steps of the current epoch.
        logs: training metrics of the current epoch after these steps.
        seconds: time that these steps took.
        first_loss: loss of the run's first step, or None before that step.
        stats: last measured gradient statistics.
        plateau: state of the plateau schedule.
        rollbacks: each return to a checkpoint after the training had diverged.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    logs: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    first_loss: float | None = None
    stats: dict[str, float] = field(default_factory=dict)
    plateau: dict[str, Any] | None = None
    rollbacks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """Number of the current epoch, counted from 0."""
        return len(self.rows)

    def state(self, select_by: str) -> dict[str, Any]:
        """Return what a checkpoint contains: the attributes, and the number of the best epoch."""
        own = dataclasses.asdict(dataclasses.replace(self, logs={}))
        own["logs"] = {name: float(value) for name, value in self.logs.items()}
        return own | {"epoch": self.epoch, "best": best_epoch(self.rows, select_by)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from the state of a checkpoint, also of an earlier version."""
        for each in dataclasses.fields(self):
            if each.name in state:
                setattr(self, each.name, state[each.name])

    def where(self, steps: int) -> str:
        """Describe the progress: "after step 57 of 100 in epoch 3".

        Args:
            steps: number of steps of an epoch.
        """
        if self.step:
            return f"after step {self.step} of {steps} in epoch {self.epoch + 1}"
        return f"after epoch {self.epoch}" if self.epoch else "before the first step"

    def remaining(self, epochs: int, steps: int) -> str:
        """Describe what remains to be trained: "epochs 3 to 10 from step 58".

        Args:
            epochs: number of epochs of the whole training.
            steps: number of steps of an epoch.
        """
        current = self.epoch + 1
        if current > epochs:
            return "all epochs done before"
        text = f"epoch {epochs}" if current == epochs else f"epochs {current} to {epochs}"
        if self.step == steps:
            return f"{text} from the validation of epoch {current}"
        return text + (f" from step {self.step + 1}" if self.step else "")
