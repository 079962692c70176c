"""The run directory, which holds everything about one training: reading, locking, writing it.

recipe.json   the recipe, its name, the classes, and each session that trained it: command,
              commit, versions, hardware, strategy
metrics.csv   one row per epoch       curves.png, tensorboard/   the same as pictures
steps.csv     one row per step
checkpoint*.npz, best-*.npz           the state from which a training resumes
result.json   the test metrics        model.keras   the network, which takes raw pixels
inference.json  classes, input size, resizing and cropping, for prediction
"""

import dataclasses
import functools
import hashlib
import json
import math
import os
import re
import shutil
from pathlib import Path
from typing import Any

from recipes import locking
from recipes.old_names import with_old_names
from recipes.recipe import CHECKPOINTING, Recipe, difference, from_json, to_json
from recipes.training import steps
from zoo import saved_runs
from zoo.files import replacing, write, write_json
from zoo.lazy import keras
from zoo.lazy import pandas as pd

# Fields that do not make another experiment, so that they may differ when a run is resumed: limits,
# and how the same result is computed. Files may have been damaged since the run was started;
# `note_session` compares the images.
_FREE = (
    "loss_every", "stop_on_nan", "stop_at_loss", "cache_features", "bad_images", *CHECKPOINTING,
)  # fmt: skip
COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds")


class Run:
    """A run, finished or not, with the directory `path`."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @functools.cached_property
    def about(self) -> dict[str, Any]:
        """The contents of recipe.json: name, recipe, classes, sessions.

        Raises:
            ValueError: if the file is damaged.
        """
        file = self.path / "recipe.json"
        found = _read_json(file)
        for key, kind in (("recipe", dict), ("classes", list)):
            if not isinstance(found, dict) or not isinstance(found.get(key), kind):
                raise ValueError(f"{file}: the file is damaged; {key!r} is missing or invalid")
        return found

    @functools.cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        about = self.about
        try:
            return from_json(about["recipe"])
        except ValueError as error:
            raise ValueError(f"{self.path / 'recipe.json'}: {error}") from error

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the logits."""
        return tuple(self.about["classes"])

    @property
    def finished(self) -> bool:
        """Whether the run is trained and evaluated."""
        return (self.path / "result.json").is_file()

    @property
    def metrics(self) -> "pd.DataFrame":
        """A row for each finished epoch: epoch, loss, accuracy, val_loss, ..., lr, seconds."""
        file = self.path / "metrics.csv"
        return pd.read_csv(file) if file.is_file() else pd.DataFrame(columns=COLUMNS)

    @property
    def steps(self) -> "pd.DataFrame":
        """A row for each recorded step: step, epoch, and the loss, accuracy and lr of its batch.

        The loss and accuracy are those before the step's update.
        """
        rows = steps.read(self.path / steps.FILE)
        table = pd.DataFrame(rows, columns=steps.COLUMNS).astype(float)
        return table.astype({"step": int, "epoch": int})

    @property
    def result(self) -> dict[str, Any]:
        """The contents of result.json: top1, top5, loss, samples, seconds, parameters, ...

        A loss that is null in the file, because it is not a finite number, is NaN.

        Raises:
            ValueError: if the run is not finished.
        """
        if not self.finished:
            raise ValueError(
                f"run={str(self.path)!r}: the run is not finished; repeat its `train` command"
            )
        found = _read_json(self.path / "result.json")
        return found | {"loss": math.nan} if found.get("loss") is None else found

    @property
    def known_result(self) -> dict[str, Any] | None:
        """The contents of result.json, or None if it is missing or damaged."""
        try:
            return self.result
        except (ValueError, AttributeError):
            return None

    @functools.cached_property
    def model(self) -> "keras.Model":
        """The trained network, from raw pixels to logits.

        Raises:
            ValueError: if the run is not finished, or its network is damaged or may contain code.
        """
        return saved_runs.open_model(self.path)

    def predict(self, images: Any, *, top: int | None = None, tta: bool = False) -> "pd.DataFrame":
        """Classify images as the run's evaluation would, with its eval_ops and preprocessing.

        Args:
            images: a path, a folder (with its subfolders), a pattern such as "photos/*.jpg", a
                Pillow image, an array (height, width[, channels]) or (images, height, width[,
                channels]) of raw pixels 0 to 255, or a list of any of these.
            top: return a row for each of the `top` likeliest classes instead of one for each
                image.
            tta: average the probabilities over ten crops, as evaluate(tta="10crop") does.

        Returns:
            As `zoo.predict`: `file`, `class`, `probability`, and a column for each class.

        Raises:
            ValueError: the run is not finished, there are no images, or arrays do not hold raw
                pixels.
        """
        from recipes.evaluation.inference import predict
        from zoo.image_inputs import paths_listed  # imports NumPy

        images = paths_listed(images)  # a missing file is reported before the network is opened
        return predict(self.path, self.model, self.recipe, images, top, tta)


def open_run(path: str | Path) -> Run:
    """Open a run directory. Its network is loaded when it is first used.

    Raises:
        ValueError: if the path is not a run directory.
    """
    path = Path(path)
    if not path.is_dir():
        inside = path.is_file() and (path.parent / "recipe.json").is_file()
        hint = f"; use the run directory {str(path.parent)!r}" if inside else ""
        none = "there is no such directory; pass the directory of a run of `recipes train`"
        what = "this is a file" if path.exists() else none
        raise ValueError(f"run={str(path)!r}: {what}{hint}")
    if not (path / "recipe.json").is_file():
        raise ValueError(f"run={str(path)!r}: not a run directory; recipe.json is missing")
    run = Run(path)
    _ = run.recipe
    return run


def default_path(name: str | Path, base: Recipe, recipe: Recipe) -> Path:
    """Return runs/NAME, with a subfolder named by the overrides if there are any.

    Overrides that may differ when a run is resumed do not count.

    Args:
        name: name of the recipe, or the run directory that was given as the recipe.
        base: the recipe without overrides.
        recipe: the recipe with overrides.
    """
    path = name if isinstance(name, Path) else Path("runs") / name
    every = {n: new for n, (_, new) in difference(base, recipe).items()}
    changes = {n: new for n, new in every.items() if n not in _FREE}
    current = path / _label(changes) if changes else path
    # Use the folder of an earlier version if there is one, so that its run is resumed.
    for earlier in (_label(every), _label(every, old=True)):
        if earlier and (path / earlier).is_dir() and not (current / "recipe.json").exists():
            return path / earlier
    return current


def _label(changes: dict[str, Any], old: bool = False) -> str:
    """Return the name of the subfolder for overrides, optionally with the old names of fields."""
    named = with_old_names(changes) if old else changes
    text = ",".join(f"{name}={value}" for name, value in named.items())
    label = re.sub(r"[^\w.=,+-]+", "_", text)
    # File names may have 255 bytes.
    if len(label) > 100 or len(os.fsencode(label)) > 255:
        start = os.fsencode(label[:80])[:200].decode("utf-8", "ignore")
        label = f"{start}-{hashlib.sha256(os.fsencode(text)).hexdigest()[:12]}"
    return label


def changed_fields(old: Recipe, new: Recipe, extended: bool = False) -> str:
    """Describe the fields that make `new` another experiment; return "" if there are none.

    Args:
        old, new: recipes.
        extended: whether `new` may have more epochs.
    """
    free = (*_FREE, "epochs") if extended and new.epochs >= old.epochs else _FREE
    changes = {name: pair for name, pair in difference(old, new).items() if name not in free}
    return "; ".join(f"{n}={a!r} there, {b!r} now" for n, (a, b) in changes.items())


class OtherRecipeError(ValueError):
    """A run directory contains a run of another recipe."""


def claim(path: Path, recipe: Recipe, extended: bool = False) -> None:
    """Check that a directory is empty or contains the same experiment.

    Some fields may differ, so that a run that was stopped can continue with other limits.

    Args:
        path: run directory.
        recipe: the experiment.
        extended: whether it may have more epochs than the one in the directory.

    Raises:
        OtherRecipeError: if it contains another experiment.
        ValueError: if its name is not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"run={str(path)!r}: the path is not valid UTF-8, which TensorBoard requires; choose"
            " another --run"
        ) from None
    if not (path / "recipe.json").exists():
        return
    held = open_run(path).recipe
    if shown := changed_fields(held, recipe, extended):
        more = ""
        if held.epochs != recipe.epochs and not changed_fields(
            held, dataclasses.replace(recipe, epochs=held.epochs)
        ):
            longer = max(held.epochs, recipe.epochs)
            more = f"; to train it for longer, pass --extend epochs={longer}"
        raise OtherRecipeError(
            f"run={str(path)!r}: contains another recipe ({shown}); choose another --run, or"
            f" start over with --fresh{more}"
        )


def empty(path: Path) -> None:
    """Delete the files of the run in a directory, but not others, such as runs in subfolders."""
    for file in path.iterdir():
        if locking.is_own(file.name) and file.is_file():
            file.unlink()
    for name in ("tensorboard", "evaluation"):
        shutil.rmtree(path / name, ignore_errors=True)


def note_session(
    path: Path, name: str, recipe: Recipe, classes: tuple[str, ...], session: dict[str, Any]
) -> None:
    """Write recipe.json, or add a session to it.

    Raises:
        ValueError: if the data has other classes, or other images (Data.images, the session's
            "images"), than in the first session.
    """
    file = path / "recipe.json"
    sessions = []
    if file.exists():
        run = Run(path)
        sessions = run.about.get("sessions", [])
        began = next((each["images"] for each in sessions if "images" in each), None)
        others = sorted({*run.classes} ^ {*classes})
        what = f"classes ({', '.join(others[:5])})" if run.classes != classes else "images"
        if run.classes != classes or began not in (None, session.get("images", began)):
            raise ValueError(
                f"data={recipe.data!r}: other {what} than when run={str(path)!r} was started;"
                " restore them, or choose another --run"
            )
    about = {
        "name": name,
        "recipe": to_json(recipe),
        "classes": list(classes),
        "sessions": [*sessions, session],
    }
    write_json(file, about)


def write_model(path: Path, model: "keras.Model") -> None:
    """Write a .keras file atomically."""
    with replacing(path) as place:
        model.save(place)


def write_metrics(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write metrics.csv atomically."""
    found = dict.fromkeys(name for row in rows for name in row)
    columns = [n for n in COLUMNS if n in found] + [n for n in found if n not in COLUMNS]
    table = pd.DataFrame(rows, columns=columns)
    write(path / "metrics.csv", lambda file: table.to_csv(file, index=False))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path}: the file is damaged ({error}); the `train` command of the run writes it again"
        ) from error
