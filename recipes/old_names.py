"""Earlier names of recipe fields and of arguments of `evaluate`, which still work."""

import functools
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

OLD_NAMES = {
    # fields of a recipe
    "batch": "batch_size",
    "rates": "lr_multipliers",
    "lowest_momentum": "min_momentum",
    "steps": "milestones",
    "every": "step_size",
    "unit": "schedule_unit",
    "monitor": "stats_every",
    # arguments of evaluate
    "views": "tta",
    "samples": "mc_dropout",
}

_noted: set[tuple[str, str]] = set()  # old names and the files that use them


class OldNameWarning(FutureWarning):
    """A recipe or a call uses an old name."""


def current_name(name: str, valid: Collection[str]) -> str:
    """Return the current name if `name` is the old name of one of `valid`, else `name`."""
    new = OLD_NAMES.get(name, name)
    return new if name not in valid and new in valid else name


def renamed(
    values: Mapping[str, Any],
    valid: Collection[str],
    *,
    quiet: bool = False,
    file: str | None = None,
) -> dict[str, Any]:
    """Return `values` with current names instead of old ones, and warn of the old ones.

    Args:
        values: values by name. Names that are neither valid nor old are kept.
        valid: the current names.
        quiet: whether to omit the warning, for files that an earlier version wrote.
        file: the file that contains the values, if that is not the caller.

    Raises:
        ValueError: if a value is given under its old and its current name.
    """
    old = {name: new for name in values if (new := current_name(name, valid)) != name}
    for name, new in old.items():
        if new in values:
            raise both_names(f"{name}={values[name]!r}", name, new)
    if old and not quiet:
        _warn(old, file)
    return {old.get(name, name): value for name, value in values.items()}


def with_old_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with old names, as an earlier version would have written them."""
    names = {new: old for old, new in OLD_NAMES.items()}
    return {names.get(name, name): value for name, value in values.items()}


def both_names(given: str, old: str, new: str) -> ValueError:
    """Return the error for a value that is given under its old and its current name."""
    return ValueError(f"{given}: {old} is the old name of {new}, which is also given; remove {old}")


def note(old: Mapping[str, str]) -> str:
    """Return one line about the old names in use, given as old -> current name."""
    changes = ", ".join(f"{name} is now called {new}" for name, new in old.items())
    return f"{changes} (old names still work)"


def accept_old_names(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function accept the old names of its arguments."""
    valid = frozenset(inspect.signature(function).parameters)

    @functools.wraps(function)
    def accepting(*args: P.args, **values: P.kwargs) -> T:
        return function(*args, **renamed(values, valid))

    return accepting


@contextmanager
def warnings_in_one_line(command: str) -> Iterator[None]:
    """Print each OldNameWarning as one line on stderr: the file or the command, and the text."""
    usual = warnings.showwarning

    def show(message, category, filename, lineno, file=None, line=None):
        if issubclass(category, OldNameWarning):
            place = filename if filename.endswith(".py") else command
            print(f"{place}: {message}", file=sys.stderr)
        else:
            usual(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual


def _warn(old: Mapping[str, str], file: str | None) -> None:
    """Warn once of each old name in a file, by default the nearest one outside of this package."""
    frame: Any = sys._getframe(1)
    package = os.path.dirname(os.path.abspath(__file__)) + os.sep
    while frame.f_back and frame.f_code.co_filename.startswith(package):
        frame = frame.f_back
    place, line = (file, 1) if file else (frame.f_code.co_filename, frame.f_lineno)
    new = {name: current for name, current in old.items() if (name, place) not in _noted}
    _noted.update((name, place) for name in new)
    if new:
        warnings.warn_explicit(note(new), OldNameWarning, place, line)
