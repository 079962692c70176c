"""What the page shows of one run after a click: recipe, log and pictures."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recipes.recipe import from_json
from recipes.recipe_files import source
from recipes.watch.reading import Files, as_dict, tail

LOG_BYTES = 64 * 1024


def details(
    folder: Path, search: Path | None, trial: str, log_bytes: int = LOG_BYTES
) -> dict[str, Any]:
    """Return the recipe, the end of the log, and the names of the pictures of a run.

    Args:
        folder: the run directory.
        search: the directory of the search of which it is a trial, or None.
        trial: its ID in that search.
        log_bytes: largest size of the log's end.
    """
    found: dict[str, Any] = {"recipe": _recipe(folder), "log": None}
    if search is not None:
        trials = search / "trials"
        own = trials / f"{trial}.log"
        found["log"] = tail(own, log_bytes) if own.is_file() else None
        found["error"] = tail(trials / f"{trial}.error", log_bytes).strip() or None
        if not found["recipe"]:
            found["recipe"] = _recipe_in(trials / f"{trial}.json")
    return found


def pictures(folder: Path) -> list[tuple[str, Path]]:
    """Return the PNG files of a run, by their path in it. Links that lead out of it do not count.

    The curves come last, because the page draws them itself.
    """
    whole = folder.resolve()
    found = [
        (path.relative_to(folder).as_posix(), path)
        for path in _inside(folder)
        if path.is_file() and path.resolve().is_relative_to(whole)
    ]
    return sorted(found, key=lambda each: (each[0] == "curves.png", each[0]))


def _inside(folder: Path) -> Iterable[Path]:
    for pattern in ("*.png", "evaluation/*.png", "check/*.png"):
        yield from folder.glob(pattern)


def _recipe(folder: Path) -> str:
    return _recipe_in(folder / "recipe.json")


def _recipe_in(file: Path) -> str:
    about = Files().read(file, as_dict, {})
    recipe = about.get("recipe")
    if not isinstance(recipe, dict):
        return ""
    try:
        return source(from_json(recipe))
    except ValueError as error:
        return f"# This recipe cannot be read: {error}\n"
