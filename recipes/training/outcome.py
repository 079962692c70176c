"""Messages about a finished run: its result, why it is not retrained, and missed classes."""

import datetime
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from recipes import provenance
from recipes.data import balance
from recipes.data.batches import Data
from recipes.distribution import strategies
from recipes.recipe import Recipe
from recipes.run import Run
from recipes.training.selection import best_epoch
from zoo.terminal import plural, printable

# Largest number of classes without a recognized image that are named
_NAMED = 5
# Below this share of the mean number of images in a class, a class counts as rare
_RARE = 0.8


def verdict(run: Run) -> str:
    """Describe the result of a finished run in one line."""
    result = run.result
    right = round(result["top1"] * result["samples"])
    early = ""
    if result.get("stopped_early"):
        early = f" (stopped early, {result['epochs_requested']} requested"
        early += f", best in epoch {result['best_epoch']})" if result["best_epoch"] else ")"
    return (
        f"{result['split']} accuracy {result['top1']:.4f} ({right} of {result['samples']}), "
        f"loss {result['loss']:.4f}, epoch {result['epoch']} of {result['epochs']}{early}, "
        f"{result['seconds']:.0f} s; run: {run.path}"
    )


def already_finished(run: Run, strategy: str) -> Iterator[str]:
    """Explain that a run is not trained again, and how to train from scratch or for longer."""
    yield f"{run.path}: already finished on {_date(run)}; nothing was trained"
    yield verdict(run)
    yield (
        f"To train from scratch, pass --fresh, or another --run to keep {run.path}. To train for"
        f" longer, pass --extend epochs=N, or continue from these weights with"
        f" --weights={run.path} and another --run."
    )
    changes = list(_changes(run, strategy))
    if changes:
        yield f"This run was trained on {'; '.join(changes)}. That does not change its result."


def _date(run: Run) -> str:
    text = run.result.get("finished")
    if text is None:  # a run of an earlier version
        seconds = (run.path / "result.json").stat().st_mtime
        text = datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()
    return text[:16].replace("T", " ") + " UTC"


def _changes(run: Run, strategy: str) -> Iterator[str]:
    """Yield the differences between the last session of the run and this process."""
    sessions = run.about.get("sessions") or []
    if not sessions:
        return
    before = sessions[-1]
    hardware = provenance.hardware()
    now = {"backend": keras.backend.backend(), "hardware": hardware}
    # The strategy is not created, because TensorFlow may already be initialized, which is too
    # late for virtual devices.
    kind, count = strategies.parse_strategy(strategy)
    gpus = len(hardware["gpus"])
    cluster = strategies.cluster_for(strategy)
    if cluster is not None:
        now |= {"strategy": "CollectiveAllReduce", "replicas": cluster.count * max(1, gpus)}
    elif kind == "one" or (kind == "auto" and gpus < 2):
        now |= {"strategy": "one", "replicas": 1}
    else:
        now |= {"strategy": "Mirrored", "replicas": count or gpus}
    for what, describe in (
        ("strategy", _strategy),
        ("backend", lambda session: session.get("backend")),
        ("device", lambda session: _devices(session.get("hardware"))),
    ):
        old, new = describe(before), describe(now)
        if old is not None and old != new:
            yield f"{what} {old}, not on {new} as requested now"


def changed_versions(run: Run, session: Mapping[str, Any]) -> str | None:
    """Describe the packages that have changed since the last session of a run; None if none did.

    Args:
        run: the run; its recipe.json may not exist yet.
        session: the session that starts now.
    """
    if not (run.path / "recipe.json").is_file() or not run.about.get("sessions"):
        return None
    before, now = run.about["sessions"][-1].get("versions") or {}, session["versions"]
    changes = [
        f"{name} {before.get(name, 'not installed')}, now {now.get(name, 'not installed')}"
        for name in sorted({*before, *now})
        if before and before.get(name) != now.get(name)
    ]
    if not changes:
        return None
    return (
        f"versions have changed since the last session, so results may differ: {'; '.join(changes)}"
    )


def _strategy(session: Mapping[str, Any]) -> str | None:
    name, replicas = session.get("strategy"), session.get("replicas")
    if name is None or replicas is None:
        return None
    if "CollectiveAllReduce" in name:
        return f"multiworker with {replicas} replicas"
    return f"mirrored:{replicas}" if "Mirrored" in name else "one"


def _devices(hardware: Mapping[str, Any] | None) -> str | None:
    if hardware is None:
        return None
    gpus = hardware.get("gpus") or []
    return ", ".join(gpus) if gpus else "CPU"


def stop_report(recipe: Recipe, rows: Sequence[Mapping[str, Any]]) -> str:
    """Explain why early stopping ended a run, and which weights are kept."""
    by = recipe.select_by
    best = best_epoch(rows, by)
    smallest = f" by more than {recipe.min_delta:g}" if recipe.min_delta else ""
    text = (
        f"stopped early after epoch {len(rows)} of {recipe.epochs}: {by} has not improved"
        f"{smallest} for {plural(recipe.early_stopping or 0, 'epoch')}"
    )
    if best:
        text += f"; it was best in epoch {best} ({rows[best - 1][by]:.4f})"
        first = next(row["epoch"] for row in rows if row.get(by) == rows[best - 1][by])
        if first != best:
            text += f", as in epoch {first}, with a lower validation loss"
    if recipe.select == "last" and best != len(rows):
        text += f". The weights of epoch {len(rows)} are kept; --select=best keeps the best ones"
    if recipe.schedule not in ("constant", "plateau"):
        text += (
            f". The {recipe.schedule} schedule was cut: the learning rate was still "
            f"{rows[-1]['lr']:.3g}"
        )
    return text


def weights_report(weights: np.ndarray, classes: Sequence[str]) -> str:
    """Describe the range of the class weights in one line."""
    low, high = int(np.argmin(weights)), int(np.argmax(weights))
    if weights[low] == weights[high]:
        return f"class weights: all {weights[low]:.3g}"
    return (
        f"class weights: from {weights[low]:.3g} ('{printable(classes[low])}') to "
        f"{weights[high]:.3g} ('{printable(classes[high])}'); the training loss"
        " is weighted, the validation loss is not"
    )


def missed_classes(found: Mapping[str, Any], data: Data, recipe: Recipe) -> Iterator[str]:
    """Name the classes without any recognized image, and suggest what may help.

    Args:
        found: "recall" and "images" (their number) of each class, in the order of the logits.
        data: the data set.
        recipe: the recipe of the run.
    """
    missed = [i for i, r in enumerate(found["recall"]) if r == 0 and found["images"][i]]
    if not missed:
        return
    counts = np.bincount(balance.labels_of(data.train), minlength=len(data.classes))
    total = int(counts.sum())
    for i in missed[:_NAMED]:
        name = textwrap.shorten(printable(data.classes[i]), 60, placeholder="...")
        text = f"class '{name}' ({counts[i]} of {total} training images) has recall 0.00"
        if counts[i] < _RARE * total / len(data.classes):
            text += f"; {_advice(recipe)}"
        yield text
    if len(missed) > _NAMED:
        more = len(missed) - _NAMED
        yield (
            f"{plural(more, 'more class', 'more classes')} {'has' if more == 1 else 'have'} recall"
            " 0.00: see recall in result.json"
        )


def _advice(recipe: Recipe) -> str:
    if recipe.sampling == "balanced" or recipe.class_weight is not None:
        return "consider more epochs, or more images of it"
    return "consider --class_weight=balanced or --sampling=balanced"
