"""`recipes names`: print the valid names of a kind, one per line."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from zoo.options import unknown


def _ops() -> Iterable[tuple[str, str]]:
    from recipes.augment import OPS

    for name, op in sorted(OPS.items()):
        fields = ", ".join(field.name for field in dataclasses.fields(op))
        yield f"{name}({fields})", _first_line(op)


def _preprocess() -> Iterable[tuple[str, str]]:
    from recipes.data.preprocess import KINDS

    yield from KINDS.items()
    yield "SOURCE", "as a source of pretrained weights needs it: `zoo names weights MODEL`"


def _fields() -> Iterable[tuple[str, str]]:
    from recipes.recipe import Recipe

    for field in dataclasses.fields(Recipe):
        yield field.name, field.metadata["help"]


def _checks() -> Iterable[tuple[str, str]]:
    from recipes.diagnostics import CHECKS

    yield from CHECKS.items()


def _datasets() -> Iterable[tuple[str, str]]:
    from recipes.data.from_tfds import known_names

    yield "folder:PATH", "a folder of images: PATH/train/CLASS/*, PATH/test/CLASS/* or PATH/CLASS/*"
    yield "made_up:HxWxC:CLASSES", "random images"
    for name in known_names():
        yield name, "8x8 handwritten digits, part of scikit-learn" if name == "digits" else ""


def _recipes() -> Iterable[tuple[str, str]]:
    from recipes import recipe_files

    for name in recipe_files.names():
        yield name, recipe_files.title(name)


KINDS: dict[str, Callable[[], Iterable[tuple[str, str]]]] = {
    "checks": _checks,
    "datasets": _datasets,
    "fields": _fields,
    "ops": _ops,
    "preprocess": _preprocess,
    "recipes": _recipes,
}


def names(kind: str) -> int:
    """Print the valid names of a kind, each with what it is."""
    if kind not in KINDS:
        raise unknown("kind of names", kind, KINDS)
    rows = list(KINDS[kind]())
    width = min(40, max(len(name) for name, _ in rows))
    for name, about in rows:
        print(f"{name:<{width}}  {about}".rstrip())
    return 0


def _first_line(thing: Any) -> str:
    return (thing.__doc__ or "").strip().split("\n")[0]
