"""A place to train one experiment, and the end that each training of it must have."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

from recipes.recipe_files import source
from tests.faults.comparison import differences, end_of
from tests.faults.experiments import EXPERIMENTS
from tests.faults.injection import Fault
from tests.faults.processes import Ended, Process, Surroundings

# What an error may tell the user to do with a run that cannot continue
REPAIRS = re.compile(r"delete the (?:run )?directory|--fresh|remove (?:the|this) file")


class Lost(Exception):  # noqa: N818 - an outcome, not an error of the harness
    """The fault was not survived; the message says what happened instead."""


class Reference:
    """The end of an undisturbed run, and how often its process reached each point."""

    def __init__(self, experiment: str, place: Path):
        self.experiment, self.place = experiment, place
        place.mkdir(parents=True)
        self.recipe = place / f"{experiment}.py"
        self.recipe.write_text(source(EXPERIMENTS[experiment]))
        self.end, self.counts = self._train("one")
        again, _ = self._train("two")
        if found := differences(self.end, again):
            raise Lost(f"{experiment}: two undisturbed runs differ in {', '.join(found[:5])}")

    def _train(self, name: str) -> tuple[dict[str, Any], dict[str, int]]:
        run, counts = self.place / name, self.place / "counts.json"
        arguments = ["train", str(self.recipe), f"--run={run}"]
        ended = Process(arguments, run, self.place / f"{name}.txt", counts=counts).wait()
        if ended.code:
            raise Lost(f"{self.experiment}: an undisturbed run failed: {ended.text[-2000:]}")
        return end_of(run), json.loads(counts.read_text())


class Arena:
    """A run directory for one fault.

    Args:
        reference: the undisturbed run of the experiment.
        place: an empty directory.
        seed: random seed of what the fault draws.
    """

    def __init__(self, reference: Reference, place: Path, seed: str):
        self.reference, self.place = reference, place
        self.run, self.random, self.trainings = place / "run", random.Random(seed), 0
        self.notes: list[str] = []  # what was injected
        place.mkdir(parents=True)

    def start(
        self, fault: Fault | None = None, around: Surroundings = Surroundings(), *flags: str  # noqa: B008
    ) -> Process:  # fmt: skip
        """Start the training, or continue it."""
        self.trainings += 1
        arguments = ["train", str(self.reference.recipe), f"--run={self.run}", *flags]
        log = self.place / f"{self.trainings}.txt"
        return Process(arguments, self.run, log, fault, around)

    def train(
        self, fault: Fault | None = None, around: Surroundings = Surroundings(), *flags: str  # noqa: B008
    ) -> Ended:  # fmt: skip
        """Start the training and wait for its end."""
        if fault is not None:
            self.notes.append(str(fault))
        return self.start(fault, around, *flags).wait()

    def somewhere(self, action: str, *points: str) -> Fault:
        """Return a fault at a random time of one of the points."""
        point = self.random.choice([p for p in points if p in self.reference.counts])
        return Fault(point, self.random.randint(1, self.reference.counts[point]), action)

    def expect(self, ended: Ended, *codes: int) -> None:
        """Check that a process ended with one of the codes, and an error in one line.

        Raises:
            Lost: if it did not.
        """
        if ended.code not in codes:
            raise Lost(f"exit code {ended.code} instead of {codes}: {ended.last_line[:300]}")
        if "Traceback" in ended.text:
            raise Lost(f"a traceback: {ended.last_line[:300]}")

    def finish(self, repair: bool = False) -> None:
        """Continue the training to its end and compare it with the reference.

        Args:
            repair: whether the first process may end with an error that names a repair, which is
                then done.

        Raises:
            Lost: if the run does not end, or ends otherwise.
        """
        ended = self.train()
        if repair and ended.code == 2:
            self.expect(ended, 2)
            named = REPAIRS.search(ended.last_line)
            if not named:
                raise Lost(f"the error names no repair: {ended.last_line[:300]}")
            if named[0] == "--fresh":
                ended = self.train(None, Surroundings(), "--fresh")
            else:
                shutil.rmtree(self.run)
                ended = self.train()
            self.notes.append(f"repaired: {named[0]}")
        self.expect(ended, 0)
        if found := differences(self.reference.end, end_of(self.run)):
            raise Lost(f"the end differs in {', '.join(found[:5])}")
        # A new empty folder may belong to a process that exports the network, and stays.
        left = [p.name for p in self.run.rglob(".*") if not p.is_dir() or any(p.iterdir())]
        if left:
            raise Lost(f"left over: {', '.join(left)}")
