"""The lab of a study: it trains, keeps what was measured, and resumes after an interruption."""

import ast
import hashlib
import inspect
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from recipes import provenance
from zoo.files import write

_MADE_UP = "made_up:32x32x3:10:512"
T = TypeVar("T")


class Lab:
    """What a study measures with.

    Attributes:
        directory: directory of the study's results.
        quick: whether the study only tests that everything runs.
        at_least: least number of seeds, if it was given.
        cells: cell -> its result, in the order in which they were measured.
        records: cell -> what its file holds: settings, result, seconds, commit, code, and CIFAR-10
            if it was used.
    """

    def __init__(
        self, directory: Path, code: str, *, quick: bool = False, data: str = "cifar10",
        seeds: int | None = None, note: Callable[[str], object] = print,
    ):  # fmt: skip
        self.directory = directory
        self.quick = quick
        self.at_least = seeds
        self.cells: dict[str, Any] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.note = note
        self._code = code
        self._data = _MADE_UP if quick else data
        self._used: set[str] = set()
        self._commit = provenance.commit()

    @property
    def cifar10(self) -> str:
        """Return CIFAR-10 as a value of a recipe's field `data`; if quick, random images."""
        self._used.add(self._data)
        return self._data

    def choose(self, full: T, *, quick: T) -> T:
        """Return a setting, or the one of a quick run."""
        return quick if self.quick else full

    def seeds(self, count: int) -> range:
        """Return the seeds 0 to count - 1, or more if so many were asked for.

        A quick run has a single one.
        """
        return range(1 if self.quick else max(count, self.at_least or 0))

    def cell(self, name: str, function: Callable[..., T], **settings: Any) -> T:
        """Return function(**settings), which is called only if it is not on disk yet.

        The result is written to cells/NAME.json. It is computed again if the settings or the code
        of the study that measures have changed since.

        Args:
            name: name of the cell, such as "tanh/seed0"; it may have folders.
            function: a function of the settings that returns numbers, texts, and lists and dicts of
                them. If it has a parameter `lab`, it is called with this lab, too.
            settings: values that JSON can hold.

        Raises:
            ValueError: if another cell of this study has the name.
        """
        if name in self.cells:
            raise ValueError(f"cell={name!r}: another cell of this study has this name")
        path = self.directory / "cells" / f"{name}.json"
        kept = json.loads(json.dumps(settings))
        record = _read(path)
        if record is None or (record["settings"], record["code"]) != (kept, self._code):
            if "lab" in inspect.signature(function).parameters:
                settings = settings | {"lab": self}
            self._used.clear()
            start = time.perf_counter()
            result = function(**settings)
            record = {
                "settings": kept,
                "result": json.loads(json.dumps(result, default=_plain)),
                "seconds": time.perf_counter() - start,
                "commit": self._commit,
                "code": self._code,
                "data": sorted(self._used),
            }
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, lambda file: json.dump(record, file))
            self.note(f"{name}: {record['seconds']:.1f} s")
        self.cells[name], self.records[name] = record["result"], record
        return record["result"]

    def group(self, start: str) -> list[Any]:
        """Return the results of the cells whose names start like this, in their order."""
        return [result for name, result in self.cells.items() if name.startswith(start)]

    def train(self, recipe: str, name: str, **changes: Any) -> dict[str, Any]:
        """Train a recipe in the study's directory, or find the finished run.

        Call it in the function of a cell, so that what the study needs of the run stays in the
        cell.

        Args:
            recipe: name of the recipe.
            name: name of the run, unique in the study.
            changes: new values for the recipe's fields.

        Returns:
            run: the run directory, a string.
            result: result.json of the run.
            metrics: column of metrics.csv -> list of its values, one for each epoch.

        Raises:
            ValueError: if the run was begun with another version of the recipe.
        """
        import recipes
        from recipes.run import OtherRecipeError

        path = self.directory / "runs" / self._code / name
        try:
            done = recipes.train(recipe, run=path, verbose=False, **changes)
        except OtherRecipeError as error:
            raise ValueError(
                f"to={str(self.directory)!r}: was begun with another version of the recipe"
                f" {recipe!r}; choose another --to, or delete this directory to start over"
            ) from error
        return {
            "run": str(path), "result": done.result, "metrics": done.metrics.to_dict("list"),
        }  # fmt: skip


def code_of(source: str) -> str:
    """Return a digest of the code of a study that measures: `measure`, and what it uses.

    Comments, docstrings, the layout, and code that only shows or judges what was measured do not
    count.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            del node.body[0]
    defined = {name: node for node in tree.body for name in _names(node)}
    found: dict[str, ast.stmt] = {}
    waiting = ["measure"]
    while waiting:
        name = waiting.pop()
        if name in defined and name not in found and name != "CLAIMS":
            found[name] = defined[name]
            waiting += [n.id for n in ast.walk(defined[name]) if isinstance(n, ast.Name)]
    text = "\n".join(ast.dump(node) for _, node in sorted(found.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _names(node: ast.stmt) -> set[str]:
    """Return the names that a statement of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.AnnAssign):
        return {ast.unparse(node.target)}
    if isinstance(node, ast.Assign):
        return {n.id for each in node.targets for n in ast.walk(each) if isinstance(n, ast.Name)}
    return set()


def _read(path: Path) -> dict[str, Any] | None:
    """Return a cell's record, or None if it does not exist or cannot be read."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    keys = {"settings", "result", "seconds", "commit", "code", "data"}
    return record if isinstance(record, dict) and keys <= set(record) else None


def _plain(value: Any) -> Any:
    """Convert numbers and arrays of NumPy for JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__}: a cell's result must consist of numbers and texts")
