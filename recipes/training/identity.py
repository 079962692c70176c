"""The experiment that a checkpoint belongs to, so that no other one continues from it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from recipes.data.types import Data
from recipes.recipe import Recipe, from_json, to_json
from recipes.run import changed_fields


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
