"""Write result.json, which marks a run as finished, and open a run that is."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from recipes.data.batches import Data, open_for
from recipes.distribution import strategies
from recipes.evaluation import inference
from recipes.recipe import Recipe
from recipes.run import Run
from recipes.training import checkpoint, outcome, testing
from recipes.training.network import count_parameters
from recipes.training.progress import Progress
from zoo import saved_runs
from zoo.files import digest, write_json


def reopen(run: Run, strategy: str, test: bool, say: Callable[[str], object]) -> None:
    """Print the result of a finished run and how to continue; nothing is trained.

    Args:
        run: the run.
        strategy: devices to use; see recipes.train. Of several workers, the chief evaluates.
        test: whether to evaluate it on the test set if that was not done yet.
        say: function that prints a message.

    Raises:
        ValueError: if it is to be evaluated on data with other classes.
    """
    if test and run.result["split"] != "test":
        _open_test(run, strategy, say)
        say(outcome.verdict(run))
    else:
        for line in outcome.already_finished(run, strategy):
            say(line)
    checkpoint.clear(run.path, run.recipe, run.result["epoch"])


def _open_test(run: Run, strategy: str, say: Callable[[str], object]) -> None:
    data = open_for(run.recipe)
    if tuple(data.classes) != run.classes:
        raise ValueError(
            f"data={run.recipe.data!r}: other classes than when run={str(run.path)!r} was started;"
            " restore the data"
        )
    alone = strategies.cluster_for(strategy) is None
    with strategies.strategy(strategy if alone else "one").scope():
        result = testing.evaluate(run.model, data, run.recipe, say)
    write_json(run.path / "result.json", run.result | result)


def write_result(
    path: Path,
    name: str,
    recipe: Recipe,
    data: Data,
    progress: Progress,
    network: keras.Model,
    *,
    epoch: int,
    best: int,
    stopped_early: bool,
    measured: dict[str, Any] | None,
) -> None:
    """Write result.json, after all other files, and delete the checkpoints that it replaces.

    Args:
        path: run directory.
        name: name of the run.
        recipe, data: its recipe and data set.
        progress: its progress at the end.
        network: the network.
        epoch: the epoch whose weights were selected.
        best: the best epoch, or 0.
        stopped_early: whether the training ended before its last epoch.
        measured: the metrics of the test set; None for those of the validation set.
    """
    rows = progress.rows
    row = rows[epoch - 1]
    # Unreadable images may have been found since the data was opened.
    samples = data.validation.checked().count if data.validation else 0
    if measured is None:
        measured = {"top1": row.get("val_accuracy"), "loss": row.get("val_loss")}
        measured |= {"samples": samples, "split": "validation"}
    files = ("model.keras", inference.FILE, "metrics.csv")
    result = {
        "val_accuracy": row.get("val_accuracy"),
        "val_samples": samples,
        "epoch": epoch,
        "epochs": len(rows),
        "epochs_requested": recipe.epochs,
        "best_epoch": best or None,
        "stopped_early": stopped_early,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(sum(r["seconds"] for r in rows), 1),
        "parameters": count_parameters(network),
        "model": recipe.model,
        "recipe": name,
        **({"rollbacks": progress.rollbacks} if progress.rollbacks else {}),
        **measured,
        saved_runs.DIGESTS: {each: digest(path / each) for each in files},
    }
    write_json(path / "result.json", result)
    checkpoint.clear(path, recipe, epoch)
