"""The experiment that a checkpoint belongs to, so that no other one continues from it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recipes.data.types import Data
from recipes.recipe import Recipe, from_json, to_json
from recipes.run import changed_fields, open_run
from recipes.training import checkpoint
from zoo.files import one_line


def of(recipe: Recipe, data: Data) -> dict[str, Any]:
    """Return what the state of a checkpoint contains: the recipe, its digest and the data."""
    return {
        "recipe": to_json(recipe),
        "recipe_sha256": digest(recipe),
        "classes": list(data.classes),
        "images": data.images,
    }


def digest(recipe: Recipe) -> str:
    """Return the SHA-256 of a recipe in hexadecimal digits."""
    return hashlib.sha256(json.dumps(to_json(recipe), sort_keys=True).encode()).hexdigest()


def recover(
    run: Path, recipe: Recipe, say: Callable[[str], object], extended: bool = False
) -> None:
    """Remove a damaged recipe.json if a checkpoint shows which recipe it contained.

    The training then writes it again. The record of earlier sessions is lost.

    Args:
        run: run directory.
        recipe: recipe that is to be trained.
        say: function that prints a message.
        extended: whether it may have more epochs than that of the run.

    Raises:
        ValueError: if the file is damaged, and no checkpoint belongs to the recipe.
    """
    file = run / "recipe.json"
    if not file.exists():
        return
    damage: ValueError | None = None
    try:
        held = open_run(run)
        if not changed_fields(held.recipe, recipe, extended):
            return
        wrong = "it is not the recipe of the checkpoint"
    except ValueError as error:
        damage, wrong = error, one_line(error)
    for each in checkpoint.files(run):
        try:
            known = from_json(checkpoint.read(each)[1]["recipe"])
        except (ValueError, KeyError):  # damaged, or of an earlier version
            continue
        if not changed_fields(known, recipe, extended):
            say(f"run={str(run)!r}: recipe.json is written again from the checkpoint: {wrong}")
            file.unlink()
            return
    if damage is not None:
        raise ValueError(
            f"{wrong}; there is no checkpoint from which it could be written again, so restore the"
            " file, or start over with --fresh"
        )


def check(
    run: Path, state: dict[str, Any], recipe: Recipe, data: Data, extended: bool = False
) -> None:
    """Check that the checkpoint in a run directory belongs to a recipe and its data.

    A checkpoint of an earlier version has no recipe and relies on recipe.json, which `claim` and
    `note_session` have compared.

    Raises:
        ValueError: if it belongs to others, or to unknown ones.
    """
    if "recipe_sha256" not in state:
        if not (run / "recipe.json").exists():
            raise ValueError(
                f"run={str(run)!r}: recipe.json is missing, and the checkpoint of an earlier"
                " version does not contain its recipe; restore the file, or choose another --run"
            )
        return
    if state["recipe_sha256"] != digest(recipe):
        changes = changed_fields(from_json(state["recipe"]), recipe, extended)
        if changes:
            raise ValueError(
                f"run={str(run)!r}: its checkpoint belongs to another recipe ({changes}); choose"
                " another --run"
            )
    if (run / "recipe.json").exists():
        return  # `note_session` compares its classes and images
    for name, now in (("classes", list(data.classes)), ("images", data.images)):
        if state[name] != now:
            raise ValueError(
                f"data={recipe.data!r}: other {name} than those of the checkpoint in"
                f" run={str(run)!r}; restore them, or choose another --run"
            )
