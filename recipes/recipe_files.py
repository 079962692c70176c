"""Recipe files: found by name, read, and written."""

import ast
import fnmatch
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from recipes.recipe import FIELDS, Recipe
from zoo.options import unknown

HERE = Path(__file__).parent


def source(recipe: Recipe, doc: str = "") -> str:
    """A recipe file's text, all fields written out: running it trains the recipe."""
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
    """What a recipe file holds. `name` is that of its runs: "digits/resnet20"."""

    name: str
    recipe: Recipe
    doc: str
    space: Callable[[Any], dict[str, Any]] | None
    choices: dict[str, dict[str, Any]] | None = None  # for recipes.compare


def names(pattern: str = "*") -> list[str]:
    """The names of this package's recipes that match a shell pattern, sorted."""
    files = (path for path in HERE.glob("*/*.py") if "\nrecipe = " in path.read_text("utf-8"))
    found = sorted(path.relative_to(HERE).with_suffix("").as_posix() for path in files)
    return [name for name in found if fnmatch.fnmatchcase(name, pattern)]


def title(name: str) -> str:
    """The first line of a recipe's docstring, read without running the file."""
    doc = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text("utf-8"))) or ""
    return doc.split("\n")[0]


def load(recipe: str | Path | Recipe) -> Recipe:
    """A recipe by its name ("digits/resnet20") or its file's path; a Recipe is itself.

    Raises:
        ValueError: there is none of that name, or the file holds no recipe.
    """
    return recipe if isinstance(recipe, Recipe) else read(recipe).recipe


def read(name: str | Path) -> RecipeFile:
    """The recipe file of a name or a path; the path of one of ours gives its name.

    Raises:
        ValueError: there is none, or it holds no recipe, or running it failed, or its space or
            its choices are none.
    """
    path = Path(name)
    if str(name) in names():
        path = HERE / f"{name}.py"
    elif path.suffix != ".py" and not path.is_file():
        raise unknown("recipe", str(name), names(), "`recipes list`")
    elif not path.is_file():
        raise ValueError(f"no recipe file {str(name)!r}")
    path = path.resolve()
    try:
        found = runpy.run_path(str(path), run_name="recipe_file")
    except SyntaxError as error:
        # It may be in a module that the file imports.
        where = error.filename or path
        raise ValueError(f"{where}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"{path}: {kind}{error}".removesuffix(": ")) from error
    recipe = found.get("recipe")
    if not isinstance(recipe, Recipe):
        raise ValueError(f"{path} holds no `recipe = Recipe(...)`")
    ours = HERE in path.parents
    label = path.relative_to(HERE).with_suffix("").as_posix() if ours else path.stem
    doc, space, choices = found.get("__doc__") or "", found.get("space"), found.get("choices")
    if space is not None and not callable(space):
        raise ValueError(f"{path}: space is not a function of hp, but {space!r}")
    if choices is not None and not (
        isinstance(choices, dict)
        and all(isinstance(n, str) and isinstance(v, dict) for n, v in choices.items())
    ):
        raise ValueError(f"{path}: choices is not a dict of names to dicts of fields")
    return RecipeFile(label, recipe, doc, space, choices)
