"""Command-line flags: those of a command, and one for each of Recipe's fields."""

import argparse
import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_origin

from jsonargparse import ArgumentParser

from recipes.recipe import FIELDS, Recipe
from zoo.options import checked, field_types, unknown

OPTION = "--options."


def parse(
    prog: str, about: str, own: dict[str, dict[str, Any]], argv: Sequence[str], fields: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a command's arguments.

    Args:
        prog: how the command is called.
        about: what it does.
        own: its own arguments and their settings for add_argument.
        argv: what was given.
        fields: whether it takes flags for the Recipe's fields too.

    Returns:
        The command's own values, and the overrides of the recipe, for recipes.replace.

    Raises:
        ValueError: an unknown flag, a missing argument, or a value of the wrong type.
    """
    parser = ArgumentParser(
        prog=prog, description=about, exit_on_error=False, allow_abbrev=False,
        formatter_class=argparse.HelpFormatter,
    )  # fmt: skip
    for name, settings in own.items():
        parser.add_argument(name, **settings)
    kinds = {n: _kind(t) for n, t in field_types(Recipe).items() if n != "options"}
    if fields:
        group = parser.add_argument_group("fields of the recipe (null for None)")
        notes = comments()
        for name, kind in kinds.items():
            group.add_argument(
                f"--{name}", type=kind, default=argparse.SUPPRESS, help=notes.get(name)
            )
        group.add_argument(
            f"{OPTION}NAME", default=argparse.SUPPRESS, help="an option of the network's family"
        )
    valid = [name for name in own if name.startswith("--")]
    valid += [f"--{name}" for name in kinds] if fields else []
    switches = {f"--{n}" for n, kind in kinds.items() if kind is bool}
    switches |= {name for name, settings in own.items() if settings.get("type") is bool}
    argv = _normal(argv, valid, switches, fields)
    options = {}
    if fields:
        given = [a for a in argv if a.startswith(OPTION)]
        options = dict(_option(argument) for argument in given)
        argv = [argument for argument in argv if argument not in given]
    try:
        values = parser.parse_args(argv).as_dict()
    except argparse.ArgumentError as error:
        raise _in_one_line(str(error)) from None
    names = {name.removeprefix("--") for name in own}  # of which some are fields' too
    return {n: v for n, v in values.items() if n in names}, {
        **{n: v for n, v in values.items() if n not in names},
        **options,
    }


def comments() -> dict[str, str]:
    """The comment beside each of Recipe's fields, for the help."""
    text = (Path(__file__).parent / "recipe.py").read_text("utf-8")
    found = re.findall(r"^    (\w+): .*?  # (.*)$", text, re.MULTILINE)
    return {name: note.replace("%", "%%") for name, note in found if name in FIELDS}


def _kind(hint: Any) -> Any:
    if get_origin(hint) is dict:
        return dict[str, Any]  # Recipe says better what is wrong in it
    return str if hint == tuple[Any, ...] else hint  # ops are parsed by recipes.augment


def _normal(argv: Sequence[str], valid: list[str], switches: set[str], fields: bool) -> list[str]:
    """`--name value` as `--name=value`, a switch as `--name=true`, `1,2` and (1, 2) as [1, 2]."""
    rest, normal = list(argv), []
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("-") or argument in ("-h", "--help"):
            normal.append(argument)
            continue
        name, equals, value = argument.partition("=")
        if name not in valid and not (fields and name.startswith(OPTION)):
            hint = [*valid, f"{OPTION}NAME"] if fields else valid
            raise unknown("flag", name, hint)
        if not equals:
            if name in switches and not (rest and rest[0].lower() in ("true", "false")):
                value = "true"
            elif not rest or rest[0].startswith("--"):
                raise ValueError(f"{name} needs a value: {name}=...")
            else:
                value = rest.pop(0)
        kind = field_types(Recipe).get(name[2:])
        if get_origin(kind) is tuple and _kind(kind) is not str and value[:1] != "[":
            value = f"[{value[1:-1] if value[:1] == '(' else value}]"
        normal.append(f"{name}={value}")
    return normal


def _option(argument: str) -> tuple[str, Any]:
    name, _, text = argument.partition("=")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        value = None if text == "null" else text
    return name[2:], value


def _in_one_line(message: str) -> ValueError:
    """jsonargparse's message, in the words that Recipe uses itself."""
    match = re.search(r'key "(\w+)".*(?:Got|Given) value: (.*)', message, re.DOTALL)
    if match and match[1] in FIELDS:
        try:
            checked(Recipe, match[1], match[2])
        except ValueError as error:
            return ValueError(f"{error}; None is null") if match[2] == "None" else error
    return ValueError(" ".join(message.split()))
