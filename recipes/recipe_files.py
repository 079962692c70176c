"""Find recipe files by name, read and write them."""

import ast
import fnmatch
import hashlib
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from recipes.old_names import renamed, with_old_names
from recipes.recipe import CHECKPOINTING, DEFAULTS, FIELDS, Recipe, to_json
from zoo.options import unknown

HERE = Path(__file__).parent
# Fields that earlier versions did not have, which do not change the names of runs at their defaults
_ADDED = ("classes", "images", "per_class", "sizes")


def source(recipe: Recipe, doc: str = "") -> str:
    """Return the text of a recipe file with all fields; running the file trains the recipe."""
    ops = sorted({type(op).__name__ for op in (*recipe.augment, *recipe.eval_ops)})
    fields = "".join(f"    {name}={getattr(recipe, name)!r},\n" for name in FIELDS)
    doc = doc.strip().replace("\\", "\\\\").replace('"""', r"\"\"\"")
    end = "\n" if "\n" in doc or doc.endswith('"') else ""
    return (
        (f'"""{doc}{end}"""\n\n' if doc else "")
        + "from recipes import Recipe, main\n"
        + (f"from recipes.augment import {', '.join(ops)}\n" if ops else "")
        + f"\nrecipe = Recipe(\n{fields})\n"
        + '\nif __name__ == "__main__":\n    main(__file__)\n'
    )


class RecipeFile(NamedTuple):
    """The contents of a recipe file.

    Attributes:
        name: name of its runs, such as "digits/resnet20".
        recipe: the recipe, without overrides.
        doc: docstring of the file.
        space: search space for recipes.tune, a function or text, or None.
        choices: choice -> overrides, for recipes.compare, or None.
        run: the run directory whose recipe.json this is, or None for a recipe file.
        path: the recipe file, or None.
    """

    name: str
    recipe: Recipe
    doc: str = ""
    space: Callable[[Any], dict[str, Any]] | str | None = None
    choices: dict[str, dict[str, Any]] | None = None
    run: Path | None = None
    path: Path | None = None

    @property
    def home(self) -> str | Path:
        """What `default_path` needs: the run directory, or the name of the recipe."""
        return self.run or self.name


def names(pattern: str = "*") -> list[str]:
    """Return the sorted names of this package's recipes that match a shell pattern."""
    files = (path for path in HERE.glob("*/*.py") if "\nrecipe = " in path.read_text("utf-8"))
    found = sorted(path.relative_to(HERE).with_suffix("").as_posix() for path in files)
    return [name for name in found if fnmatch.fnmatchcase(name, pattern)]


def title(name: str) -> str:
    """Return the first line of a recipe's docstring without running the file."""
    doc = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text("utf-8"))) or ""
    return doc.split("\n")[0]


def load(recipe: str | Path | Recipe) -> Recipe:
    """Load a recipe by its name ("digits/resnet20") or file path; return a Recipe unchanged.

    Raises:
        ValueError: if the recipe does not exist, or its file does not define a recipe.
    """
    return recipe if isinstance(recipe, Recipe) else read(recipe).recipe


def read(name: str | Path | Recipe | RecipeFile) -> RecipeFile:
    """Read the recipe with a name, a file or a run directory; return a RecipeFile unchanged.

    Only .py files are executed, because they are code. A file that runs as a script is not
    executed a second time. The recipe of a run directory is read from its recipe.json, as data.
    For a Recipe, the name is that of its network with a hash of its fields.

    Raises:
        ValueError: if the file does not exist or is not a .py file, raises an error, defines no
            recipe, or has an invalid space or choices.
    """
    if isinstance(name, RecipeFile):
        return name
    if isinstance(name, Recipe):
        # Old names keep the hash, and with it the run directory, that earlier versions used. They
        # had none of these fields, some of which may change when a run is resumed.
        unset = [field for field in _ADDED if getattr(name, field) == DEFAULTS[field]]
        values = with_old_names(to_json(name))
        for field in ("loss_every", "cache_features", *CHECKPOINTING, *unset):
            del values[field]
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
        return RecipeFile(f"{name.model}-{digest[:8]}", name)
    path = Path(name)
    if str(name) in names():
        path = HERE / f"{name}.py"
    elif (path / "recipe.json").is_file():
        return _of_run(path)
    elif path.suffix != ".py" and not path.is_file():
        raise unknown("recipe", str(name), names(), "`recipes list`")
    elif not path.is_file():
        raise ValueError(f"recipe={str(name)!r}: there is no such file")
    given, path = path, path.resolve()
    found = _running(path)
    if found is None and given.suffix != ".py":
        inside = given.name == "recipe.json"
        raise ValueError(
            f"recipe={str(name)!r}: not a recipe file (.py); "
            + (f"use the run directory {str(given.parent)!r}" if inside else "rename it if it is")
        )
    found = found or _executed(path)
    recipe = found.get("recipe")
    if not isinstance(recipe, Recipe):
        raise ValueError(f"{path}: defines no recipe; add `recipe = Recipe(...)`")
    ours = HERE in path.parents
    label = path.relative_to(HERE).with_suffix("").as_posix() if ours else path.stem
    doc, space, choices = found.get("__doc__") or "", found.get("space"), found.get("choices")
    if space is not None and not callable(space) and not isinstance(space, str):
        raise ValueError(
            f"{path}: space={space!r}: must be text such as 'act=relu,elu lr=log:1e-3:1', or a "
            "function of hp that returns a dict of fields"
        )
    if choices is not None and not (
        isinstance(choices, dict)
        and all(isinstance(n, str) and isinstance(v, dict) for n, v in choices.items())
    ):
        raise ValueError(
            f"{path}: choices={choices!r}: must be a dict of names and dicts of fields"
        )
    if choices is not None:
        choices = {n: renamed(v, FIELDS, file=str(path)) for n, v in choices.items()}
    return RecipeFile(label, recipe, doc, space, choices, path=path)


def _of_run(path: Path) -> RecipeFile:
    from recipes.run import open_run

    run = open_run(path)
    return RecipeFile(str(run.about.get("name") or path.name), run.recipe, run=path)


def _executed(path: Path) -> dict[str, Any]:
    """Execute a recipe file and return its variables."""
    try:
        return runpy.run_path(str(path), run_name="recipe_file")
    except SyntaxError as error:
        # The error may be in a module that the file imports.
        where = error.filename or path
        raise ValueError(f"{where}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"{path}: {kind}{error}".removesuffix(": ")) from error


def _running(path: Path) -> dict[str, Any] | None:
    """Return the variables of a recipe file that runs as a script; None if it does not."""
    script = sys.modules["__main__"]
    file = getattr(script, "__file__", None)
    return vars(script) if file is not None and Path(file).resolve() == path else None
