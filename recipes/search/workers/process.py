"""A worker process of a search: it trains one trial after the other until the chief has no more.

Command: python -m recipes.search.workers.process DIR NAME ADDRESS STRATEGY
"""

import contextlib
import gc
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recipes import worker
from recipes.locking import locked
from recipes.recipe import from_json
from recipes.search.workers.hosts import CHIEF
from recipes.search.workers.pool import AGAIN, BROKEN
from zoo.files import one_line, write
from zoo.interrupts import exit_code, remembered
from zoo.quiet import import_keras

# A worker that has grown by as much since its first trial is replaced.
GROWTH = 1.5
GROWTH_BYTES = 512 * 2**20


def main(folder: Path, name: str, address: str, strategy: str) -> int:
    """Train trials of the search in a directory, and return the exit code."""
    try:
        import_keras()
        from recipes.search.workers.client import ChiefLost, LeaseLost

        with remembered(second_exits=True):
            try:
                return _worker(folder, name, address, strategy).work()
            except LeaseLost as lost:
                print(f"{name}: {lost}", flush=True)
                return AGAIN
            except ChiefLost as lost:
                print(one_line(lost), flush=True)
                return BROKEN
    except KeyboardInterrupt as stop:
        return exit_code(stop)
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        print(kind + one_line(error, 500), flush=True)
        return BROKEN


def _worker(folder: Path, name: str, address: str, strategy: str) -> Any:
    import keras
    import keras_tuner as kt

    from recipes.search.workers.client import Client, memory
    from recipes.training.loop import train
    from recipes.training.selection import METRICS

    class Report(keras.callbacks.Callback):
        """Report each epoch to the chief, which may stop the trial."""

        def __init__(self, client: Client, trial_id: str):
            super().__init__()
            self.client, self.trial_id = client, trial_id

        def on_epoch_end(self, epoch, logs=None):
            by = self.client.objective.name
            if by in (logs or {}):
                figures = {by: float(logs[by])}
                if self.client.update_trial(self.trial_id, figures, epoch + 1).status == "STOPPED":
                    self.model.stop_training = True

    class Worker(kt.engine.base_tuner.BaseTuner):
        """Keras Tuner's loop over trials, whose run directories are in the search's directory."""

        def __init__(self):
            about = json.loads((folder / CHIEF).read_text("utf-8"))
            objective = kt.Objective(about["objective"], METRICS[about["objective"]])
            with tempfile.TemporaryDirectory() as scratch:  # its own state; it is not used
                oracle = kt.oracles.RandomSearchOracle(objective=objective)
                super().__init__(oracle, directory=scratch, project_name=name)
            self.oracle = Client(address, name, about["token"], objective)
            self.tuner_id, self.code, self.first_memory = name, 0, 0

        def work(self) -> int:
            gc.freeze()  # modules need not be searched for garbage after each trial
            self.search()
            return self.code

        def save(self):
            pass  # the chief's work

        def _try_run_and_update_trial(self, trial, *args, **kwargs):
            trial.status = self.train(trial.trial_id)

        def on_trial_end(self, trial):
            self.oracle.end_trial(trial)
            used = memory()
            self.first_memory = self.first_memory or used
            if has_grown(self.first_memory, used):
                self.code = AGAIN
            if self.code:
                sys.exit(self.code)
            keras.backend.clear_session()  # and collect garbage

        def train(self, trial_id: str) -> str:
            """Train a trial or finish it; return its status. Its errors are in ID.error."""
            file = folder / "trials" / f"{trial_id}.json"
            order = json.loads(file.read_text("utf-8"))
            run = folder / "trials" / trial_id
            error_file = file.with_suffix(".error")
            with self.oracle.keeping(trial_id) as check, _printing_to(file.with_suffix(".log")):
                try:
                    with locked(run, wait=worker.END_SECONDS + 5):
                        pass  # a worker that was killed may still save its last step
                    error_file.unlink(missing_ok=True)  # of an earlier session
                    train(
                        from_json(order["recipe"]), run=run, strategy=strategy, test=False,
                        callbacks=[Report(self.oracle, trial_id)],
                    )  # fmt: skip
                except KeyboardInterrupt:
                    check()
                    raise
                except ValueError as wrong:
                    text = one_line(wrong)
                    if "another process is using this directory" in text:
                        raise
                except Exception as wrong:
                    if type(wrong).__module__ == "recipes.search.workers.client":
                        raise
                    text = f"its process failed: {type(wrong).__name__}: {one_line(wrong, 500)}"
                    self.code = AGAIN
                else:
                    return "COMPLETED"
                print(text, file=sys.stderr)
                write(error_file, lambda out: out.write(text))
                return "FAILED"

    return Worker()


def has_grown(first: int, now: int) -> bool:
    """Return whether a worker uses so much more memory than after its first trial."""
    return now > max(GROWTH * first, first + GROWTH_BYTES)


@contextlib.contextmanager
def _printing_to(file: Path) -> Iterator[None]:
    """Append what this process prints in the block, also from C, to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    before = [os.dup(number) for number in (1, 2)]
    try:
        with file.open("ab") as out:
            for number in (1, 2):
                os.dup2(out.fileno(), number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, its in zip((1, 2), before, strict=True):
            os.dup2(its, number)
            os.close(its)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
