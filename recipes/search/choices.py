"""The choices of a comparison: their recipes, checked together before the first is trained."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from recipes.old_names import renamed
from recipes.recipe import FIELDS, Recipe, replace
from recipes.recipe_files import RecipeFile


class Choice(NamedTuple):
    """One of the recipes to compare.

    Attributes:
        recipe: the recipe with the overrides of the comparison and of this choice.
        own: names of the overrides that this choice replaces with its own values.
    """

    recipe: Recipe
    own: list[str]


def resolve_choices(
    file: RecipeFile,
    choices: Mapping[str, dict[str, Any]] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Choice]:
    """Return the choices of a recipe by name.

    Args:
        file: the recipe file.
        choices: name -> new values for the recipe's fields. Default: those of the file, or the
            recipe as it is.
        overrides: new values for the recipe's fields; those of a choice take precedence.

    Raises:
        ValueError: if there are no choices, a choice is invalid, has no validation set or sets
            the seed, two choices share a folder, or all choices replace an override.
    """
    if choices is None:
        choices = file.choices or {"recipe": {}}
    choices = {name: renamed(changes, FIELDS) for name, changes in choices.items()}
    overrides = renamed(overrides or {}, FIELDS)
    recipes = {n: _recipe(file.recipe, n, own, overrides) for n, own in choices.items()}
    folders(choices)
    replaced = _replaced(choices, overrides)
    return {name: Choice(recipe, replaced[name]) for name, recipe in recipes.items()}


def folders(names: Mapping[str, Any]) -> dict[str, Path]:
    """Return the name of the folder that holds the runs of each choice.

    Raises:
        ValueError: if there are no choices, or the names of two give the same folder.
    """
    if not names:
        raise ValueError("choices={}: there is nothing to compare; name at least one choice")
    found: dict[str, Path] = {}
    for name in names:
        path = Path(re.sub(r"[^\w.=,+-]+", "_", name))
        other = next((n for n, there in found.items() if there == path), None)
        if other is not None:
            raise ValueError(
                f"choices {other!r} and {name!r}: both would use the folder {path}; rename one"
            )
        found[name] = path
    return found


def _recipe(
    base: Recipe, name: str, changes: dict[str, Any], overrides: Mapping[str, Any]
) -> Recipe:
    if "seed" in changes:
        raise ValueError(f"choice {name!r}: must not set seed; use seeds=N to train several seeds")
    try:
        recipe = replace(base, **{**overrides, **changes})
    except ValueError as error:
        raise ValueError(f"choice {name!r}: {error}") from error
    if recipe.validation == 0.0:
        raise ValueError(
            f"choice {name!r}: needs a validation set, but validation=0.0; set a fraction"
        )
    return recipe


def _replaced(
    choices: Mapping[str, dict[str, Any]], overrides: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return for each choice the overrides that it replaces with its own values.

    Raises:
        ValueError: if all choices replace one, so that it would have no effect.
    """
    own = {
        name: [n for n in overrides if n in changes or n.partition(".")[0] in changes]
        for name, changes in choices.items()
    }
    for field, value in overrides.items():
        if all(field in fields for fields in own.values()):
            of_all = "every choice sets" if len(own) > 1 else f"choice {next(iter(own))!r} sets"
            raise ValueError(f"{field}={value!r}: would have no effect, because {of_all} {field}")
    return own
