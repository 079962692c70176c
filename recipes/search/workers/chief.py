"""The chief of a search: it owns the oracle, and gives each trial to one worker at a time.

Keras Tuner's chief waits forever for a worker that has died, and trains a trial again from its
start. Here, a worker holds a lease of its trial, which it keeps by signs of life. The trial of a
worker that is dead or silent is given to another one, which continues it from its checkpoint.
"""

import dataclasses
import threading
import time
from collections.abc import Callable

import keras_tuner as kt
from keras_tuner.src.engine.trial import Trial

from recipes.search.oracles.make import follow_the_last
from recipes.search.stopping import PROCESS, below_median
from recipes.search.trials import Trials
from recipes.training.selection import METRICS

LEASE_SECONDS = 90.0  # without a sign of life, after which the trial of a worker is given away
PRESENT_SECONDS = 10.0  # since the last message of a worker that is waiting for a trial
FIRST = "the chief"  # the name under which it looks for the first trial
DEATHS = 3  # of workers in the same epoch of a trial, after which it fails


class NotYoursError(Exception):
    """A worker asks about a trial that another worker has, or that has ended."""


@dataclasses.dataclass(frozen=True)
class Member:
    """A worker, as it describes itself.

    Attributes:
        name: its name.
        host: the name of its machine.
        pid: its process.
        memory: bytes of main memory that it uses.
        heard: time of its last message, in seconds since 1970.
    """

    name: str
    host: str
    pid: int
    memory: int
    heard: float


class Chief:
    """The oracle of a search and the leases of its workers. All methods may be called by threads.

    Args:
        oracle: the oracle.
        trials: the files of the trials.
        median: whether trials are stopped whose scores are below the median of the others.
        say: function that prints a line.
        named: whether the lines of trials name their workers.
    """

    def __init__(
        self,
        oracle: kt.Oracle,
        trials: Trials,
        median: bool,
        say: Callable[[str], None],
        named: bool = False,
    ):
        self.oracle, self.trials, self.median, self.say = oracle, trials, median, say
        self.named = named
        self.lock = threading.RLock()
        self.members: dict[str, Member] = {}
        self.holders: dict[str, str] = {}  # trial -> worker
        # trial -> its finished epochs when a worker ended, and how that one ended
        self.deaths: dict[str, list[tuple[int, str]]] = {}
        self.twins: dict[str, list[Trial]] = {}  # running trial -> others with the same recipe
        by = oracle.objective.name
        # trial -> epoch -> value
        self.reports = {each: trials.reported(each, by) for each in oracle.start_order}
        self.counts: dict[str, int] = {}  # worker -> trials that it has ended
        self.finished = False
        self.dismissed: set[str] = set()  # workers that know that the search is finished
        self.error: Exception | None = None
        self.changed = True  # whether trials have started or ended since the last look

    # The trials

    def create(self, who: Member) -> Trial:
        """Return the next trial to train, or one with the status IDLE or STOPPED."""
        with self.lock:
            self._heard(who)
            if (own := self._held_by(who.name)) is not None:  # its process has started again
                return own
            while True:
                follow_the_last(self.oracle)
                trial = self.oracle.create_trial(who.name)
                if trial.status == "STOPPED" and self.oracle.ongoing_trials:
                    trial.status = "IDLE"  # a worker may die, and its trial return
                self.finished = trial.status == "STOPPED"
                if self.finished:
                    self.dismissed.add(who.name)
                if trial.status != "RUNNING":
                    return trial
                if self._prepare(trial, who.name):
                    self.holders[trial.trial_id] = who.name
                    self.changed = True
                    return trial

    def _held_by(self, name: str) -> Trial | None:
        """Return the trial that a worker has left behind, unless it has to fail."""
        held = next((trial_id for trial_id, holder in self.holders.items() if holder == name), None)
        if held is None or self._deadly(held):
            return None
        return self.oracle.trials[held]

    def _deadly(self, trial_id: str) -> bool:
        """End a trial that several processes did not survive; return whether it has ended."""
        deaths = self.deaths.get(trial_id, [])
        if len(deaths) < DEATHS:
            return False
        how = deaths[-1][1]
        self._end(trial_id, "FAILED", f"{PROCESS} {how}, {DEATHS} times in one epoch")
        return True

    def _prepare(self, trial: Trial, name: str) -> bool:
        """Write what a worker needs; return False if the trial need not be trained."""
        trial_id = trial.trial_id
        if self._deadly(trial_id):
            return False
        ready = self.trials.prepare(self.oracle, trial)
        self.oracle._save_trial(trial)
        if ready.error:
            self._end(trial_id, "FAILED", ready.error)
        elif ready.same is not None and ready.same.status == "RUNNING":
            # Wait for the other one.
            self.twins.setdefault(ready.same.trial_id, []).append(trial)
            del self.oracle.ongoing_trials[name]
            self.oracle.ongoing_trials[f"the worker of {ready.same.trial_id}, {trial_id}"] = trial
        elif ready.same is not None:
            self._end_like(trial_id, ready.same)
        else:
            how = ""
            if name != FIRST:
                how = f" ({name})" if self.named else ""
                self.say(f"trial {trial_id}: {self.trials.describe(trial)}{how}")
            return True
        return False

    def update(self, who: Member, trial_id: str, values: dict[str, float], step: int) -> Trial:
        """Note the metrics of an epoch; the status of the trial is STOPPED if it shall end."""
        with self.lock:
            trial = self._own(who, trial_id)
            own = self.reports.setdefault(trial_id, {})
            own[step] = values[self.oracle.objective.name]
            answer = Trial(kt.HyperParameters(), trial_id, "RUNNING")
            if self.trials.stopped(trial_id) or (self.median and self._below_median(trial, step)):
                self.trials.note_stop(trial_id, f"below the median of the others, epoch {step}")
                answer.status = "STOPPED"
            return answer

    def _below_median(self, trial: Trial, step: int) -> bool:
        epochs = trial.hyperparameters.values.get("tuner/epochs")
        own = self.reports[trial.trial_id]
        others = [
            [reports[epoch] for epoch in sorted(reports)]
            for other, reports in self.reports.items()
            if other != trial.trial_id
            and self.oracle.trials[other].hyperparameters.values.get("tuner/epochs") == epochs
        ]
        values = [own[epoch] for epoch in sorted(own) if epoch <= step]
        return below_median(
            values, others, METRICS[self.oracle.objective.name], epochs=self.trials.epochs(trial)
        )

    def keep(self, who: Member, trial_id: str) -> Trial:
        """Keep the lease of a worker."""
        with self.lock:
            self._own(who, trial_id)
            return Trial(kt.HyperParameters(), trial_id, "RUNNING")

    def end(self, who: Member, trial_id: str, status: str) -> None:
        """End the trial of a worker, COMPLETED or FAILED."""
        with self.lock:
            self._own(who, trial_id)
            self.counts[who.name] = self.counts.get(who.name, 0) + 1
            self._end(trial_id, status)

    def _own(self, who: Member, trial_id: str) -> Trial:
        """Check that a worker holds a trial, and return the trial.

        A trial that is waiting, because the chief was started again, is given to it.
        """
        self._heard(who)
        holder = self.holders.get(trial_id)
        if holder is None and trial_id in self.oracle._retry_queue:
            self.oracle._retry_queue.remove(trial_id)
            trial = self.oracle.trials[trial_id]
            trial.status = "RUNNING"
            self.oracle.ongoing_trials[who.name] = trial
            self.oracle.save()
            holder = self.holders[trial_id] = who.name
            self.changed = True
        if holder != who.name:
            raise NotYoursError(f"trial {trial_id} was given to another worker")
        return self.oracle.trials[trial_id]

    def _end(
        self, trial_id: str, status: str, message: str = "", score: float | None = None
    ) -> None:
        trial = self.oracle.trials[trial_id]
        by = self.oracle.objective.name
        if status == "COMPLETED" and score is None:
            score, message = self.trials.score(trial_id, by)
            status = "FAILED" if score is None else status
        trial.status = status
        if status == "FAILED":
            trial.message = self.trials.note_error(trial_id, message)
        else:
            # A worker that died after its last epoch may have trained it already.
            trial.metrics = type(trial.metrics)()
            self.oracle.update_trial(trial_id, {by: score})
        self.oracle.end_trial(trial)
        self.oracle.save()  # Keras Tuner has saved it as one that runs
        self.holders.pop(trial_id, None)
        self.changed = True
        self.say(f"trial {trial_id}: {self.trials.outcome(trial)}")
        for twin in self.twins.pop(trial_id, []):
            if self.trials.same(self.oracle, twin) is None:  # it failed, but not because of it
                self._give_back(twin.trial_id)
            else:
                self._end_like(twin.trial_id, trial)

    def _end_like(self, trial_id: str, other: Trial) -> None:
        self.trials.note_same(trial_id, other.trial_id)
        if other.status == "COMPLETED":
            self._end(trial_id, "COMPLETED", score=other.score)
        else:
            reason = self.trials.reason(other)
            self._end(trial_id, "FAILED", f"same as trial {other.trial_id}: {reason}")

    # The workers

    def _heard(self, who: Member) -> None:
        if who.name not in self.members or self.members[who.name].pid != who.pid:
            self.changed = True
        self.members[who.name] = who

    def died(self, name: str, code: int) -> bool:
        """Note that a worker's process has ended; return whether it had asked for a trial."""
        with self.lock:
            ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            asked = self.members.pop(name, None) is not None
            for trial_id, holder in self.holders.items():
                if holder == name and asked:
                    self._note_death(trial_id, ended)
                    self.say(f"trial {trial_id}: {name} {ended}; it continues in a new process")
            return asked

    def _note_death(self, trial_id: str, how: str) -> None:
        """Count the deaths of a trial's workers since it last finished an epoch."""
        epochs = len(self.reports.get(trial_id, ()))
        before = [each for each in self.deaths.get(trial_id, []) if each[0] == epochs]
        self.deaths[trial_id] = [*before, (epochs, how)]

    def alone(self) -> bool:
        """Return whether the search is finished, and all workers know it or have gone."""
        with self.lock:
            present = time.time() - PRESENT_SECONDS
            waiting = {each.name for each in self.members.values() if each.heard > present}
            return self.finished and waiting <= self.dismissed

    def silent(self) -> list[str]:
        """Give back the trials of workers that are silent for too long; return the workers."""
        with self.lock:
            late = time.time() - LEASE_SECONDS
            lost = []
            for trial_id, name in list(self.holders.items()):
                who = self.members.get(name)
                if who is None or who.heard > late:  # None: its process is being started again
                    continue
                self.say(
                    f"trial {trial_id}: {name} has been silent for {LEASE_SECONDS:.0f} s; another"
                    " worker continues it"
                )
                self._note_death(trial_id, "did not respond")
                self._give_back(trial_id)
                lost.append(name)
            return lost

    def _give_back(self, trial_id: str) -> None:
        """Put a trial into the queue of those that wait for a worker."""
        ongoing = self.oracle.ongoing_trials
        for name in [n for n, trial in ongoing.items() if trial.trial_id == trial_id]:
            del ongoing[name]
        self.holders.pop(trial_id, None)
        self.oracle._retry_queue.insert(0, trial_id)
        self.oracle.save()
        self.changed = True

    def first(self) -> bool:
        """Look for a trial to train, before any worker is started; return whether there is one."""
        with self.lock:
            trial = self.create(Member(FIRST, "", 0, 0, time.time()))
            del self.members[FIRST]
            self.oracle.tuner_ids.discard(FIRST)
            if trial.status == "RUNNING":
                self._give_back(trial.trial_id)
            return trial.status == "RUNNING"

    def failed(self, error: Exception) -> None:
        """Note an error of the chief itself, which ends the search."""
        with self.lock:
            self.error = self.error or error
