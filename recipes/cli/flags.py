"""Parse the arguments of a command, and the flags for the fields of a recipe."""

import argparse
import ast
import contextlib
import dataclasses
import json
import re
import shlex
import sys
from collections.abc import Collection, Sequence
from typing import Any, get_args, get_origin

from jsonargparse import ArgumentParser

from recipes.old_names import both_names, current_name, note
from recipes.recipe import FIELDS, Recipe
from recipes.rules import NETWORK, TOPICS
from recipes.values import reject_half
from zoo.options import checked, field_types, literals, unknown

OPTION = "--options."
# Flags of other libraries and their names here
SYNONYMS = {
    "--learning_rate": "--lr", "--learning-rate": "--lr", "--batch-size": "--batch_size",
    "--bs": "--batch_size", "--wd": "--weight_decay",
    "--num_epochs": "--epochs", "--max_epochs": "--epochs", "--opt": "--optimizer",
    "--sched": "--schedule", "--output": "--run", "--out": "--run", "--name": "--run",
    "--arch": "--model", "--pretrained": "--weights", "--dataset": "--data",
    "--patience_epochs": "--early_stopping", "--precision": "--dtype",
}  # fmt: skip
METAVARS: dict[Any, str] = {int: "N", float: "X", float | None: "X", bool: "BOOL"}


def parse(
    prog: str, about: str, own: dict[str, dict[str, Any]], argv: Sequence[str], fields: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parse the arguments of a command.

    Args:
        prog: the command, such as "recipes train".
        about: its description.
        own: its arguments and their settings for argparse's add_argument; with "several", a flag
            takes several terms NAME=VALUE.
        argv: the arguments to parse.
        fields: whether it also has a flag for each field of a recipe.

    Returns:
        The values of the arguments in `own`, and the overrides for recipes.replace.

    Raises:
        ValueError: if a flag is unknown, an argument is missing, or a value has the wrong type.
    """
    parser = ArgumentParser(
        prog=prog,
        usage=_usage(prog, own, fields),
        description=about,
        exit_on_error=False,
        allow_abbrev=False,
        formatter_class=_Help,
    )
    for name, settings in own.items():
        parser.add_argument(name, **{k: v for k, v in settings.items() if k != "several"})
    kinds = {n: _kind(t) for n, t in field_types(Recipe).items() if n != "options"}
    if fields:
        _add_fields(parser, kinds)
    valid = [name for name in own if name.startswith("--")]
    valid += [f"--{name}" for name in kinds] if fields else []
    switches = {f"--{n}" for n, kind in kinds.items() if kind is bool}
    switches |= {name for name, settings in own.items() if settings.get("type") is bool}
    several = {name for name, settings in own.items() if settings.get("several")}
    argv = _normal(prog, argv, valid, switches, fields, several)
    options = {}
    if fields:
        given = [a for a in argv if a.startswith(OPTION)]
        options = dict(_option(argument) for argument in given)
        argv = [argument for argument in argv if argument not in given]
    try:
        values = parser.parse_args(argv).as_dict()
    except argparse.ArgumentError as error:
        raise _in_one_line(str(error)) from None
    names = {name.removeprefix("--") for name in own}
    return {n: v for n, v in values.items() if n in names}, {
        **{n: v for n, v in values.items() if n not in names},
        **options,
    }


def _usage(prog: str, own: dict[str, dict[str, Any]], fields: bool) -> str:
    """Return the usage line, such as "recipes list [PATTERN]"."""
    forms = {None: "{0}", "?": "[{0}]", "+": "{0} [{0} ...]"}
    words = [
        forms[settings.get("nargs")].format(settings.get("metavar", name))
        for name, settings in own.items()
        if not name.startswith("-")
    ]
    if fields or any(name.startswith("-") for name in own):
        words.append("[--FLAG=VALUE ...]")
    return " ".join([prog, *words])


class _Help(argparse.HelpFormatter):
    """Argparse's layout with a narrower column of names."""

    def __init__(self, prog: str, **settings: Any):
        super().__init__(prog, max_help_position=26, **settings)


def _add_fields(parser: ArgumentParser, kinds: dict[str, Any]) -> None:
    """Add a flag for each field of a recipe, grouped by topic."""
    parser.epilog = (
        "Flags for fields of the recipe override the values in its file, which `recipes show`"
        " prints. The defaults above are those of fields that the file does not set. Write null,"
        " none or None for None, except for --norm=none, which means no normalization."
    )
    of_topic: dict[str, list[dataclasses.Field]] = {topic: [] for topic in TOPICS}
    for each in dataclasses.fields(Recipe):
        of_topic[each.metadata["topic"]].append(each)
    for topic, members in of_topic.items():
        group = parser.add_argument_group(f"{topic} (fields of the recipe)")
        for each in members:
            options = each.name == "options"
            group.add_argument(
                f"{OPTION}NAME" if options else f"--{each.name}",
                default=argparse.SUPPRESS,
                metavar=METAVARS.get(kinds.get(each.name), "VALUE"),
                help=described(each).replace("%", "%%"),
                **({} if options else {"type": kinds[each.name]}),
            )


def described(each: dataclasses.Field) -> str:
    """Return one sentence about a field of Recipe, with its valid values and its default."""
    kind = field_types(Recipe)[each.name]
    within = each.metadata["within"]
    valid = each.metadata["valid"] or literals(kind) or (within.text if within else "")
    if not valid and kind is bool:
        valid = ("true", "false")
    notes = [valid if isinstance(valid, str) else ", ".join(valid)] if valid else []
    if each.default is not dataclasses.MISSING:
        as_published = each.default is None and each.metadata["topic"] == NETWORK
        paper = ", as in the network's paper" if as_published else ""
        notes.append(f"default: {_as_flag(each.default)}{paper}")
    return each.metadata["help"] + (f" ({'; '.join(notes)})" if notes else "")


def _as_flag(value: Any) -> str:
    """Return a default as it is written on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _kind(hint: Any) -> Any:
    if get_origin(hint) is dict:
        return dict[str, Any]  # Recipe checks the values, with clearer errors
    if hint in (tuple[Any, ...], tuple[int | str, ...]):
        return str  # recipes.replace parses ops and classes
    if str in get_args(hint) and len(get_args(hint)) > 2:
        return str | None  # Recipe parses class_weight
    return hint


def _normal(
    prog: str,
    argv: Sequence[str],
    valid: list[str],
    switches: set[str],
    fields: bool,
    several: set[str],
) -> list[str]:
    """Rewrite arguments for jsonargparse.

    `--name value` becomes `--name=value`, and a switch `--name=true`. The terms `a=1 b=2` after a
    flag in `several` are joined. Tuples such as `1,2` and
    `(1, 2)` become `[1, 2]`. Old names of flags become current ones.
    """
    rest, normal = list(argv), []
    spellings: dict[str, str] = {}
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("-") or argument in ("-h", "--help"):
            normal.append(argument)
            continue
        spelling, equals, value = argument.partition("=")
        name = _current_flag(spelling, valid)
        if spellings.setdefault(name, spelling) != spelling:
            (old,) = {spelling, spellings[name]} - {name}
            raise both_names(old, old, name)
        if name not in valid and not (fields and name.startswith(OPTION)):
            if SYNONYMS.get(name) in valid:
                raise ValueError(
                    f"unknown flag {name!r}: the flag is called {SYNONYMS[name]} here;"
                    f" `{prog} --help` lists all flags"
                )
            hint = [*valid, f"{OPTION}NAME"] if fields else valid
            raise unknown("flag", name, hint, f"`{prog} --help`")
        if not equals:
            if name in switches and not (rest and rest[0].lower() in ("true", "false")):
                value = "true"
            elif not rest or rest[0].startswith("--"):
                raise ValueError(f"{name}: the value is missing; write {name}=VALUE")
            else:
                value = rest.pop(0)
            if name in several:
                words = [value]
                while rest and "=" in rest[0] and not rest[0].startswith("-"):
                    words.append(rest.pop(0))
                value = shlex.join(words) if len(words) > 1 else value
            if value == "=":
                raise ValueError(f"{name} = ...: has spaces around =; write {name}=VALUE")
        elif not value and name == "--run":
            raise ValueError("--run=: the path is empty; pass a directory, or omit --run")
        kind = field_types(Recipe).get(name[2:]) if fields else None
        if type(None) in get_args(kind) and value.lower() in ("none", "null"):
            value = _null(name[2:], value)
        if get_origin(kind) is tuple and get_origin(get_args(kind)[0]) is tuple:
            with contextlib.suppress(ValueError, SyntaxError):
                value = json.dumps(ast.literal_eval(value))
        elif get_origin(kind) is tuple and _kind(kind) is not str and value[:1] != "[":
            value = f"[{value[1:-1] if value[:1] == '(' else value}]"
        normal.append(f"{name}={value}")
    if old_flags := {old: name for name, old in spellings.items() if old != name}:
        print(f"{prog}: {note(old_flags)}", file=sys.stderr)
    return normal


def _current_flag(flag: str, valid: Collection[str]) -> str:
    """Return the current name of a flag that may be given by its old name."""
    return f"--{current_name(flag[2:], {name[2:] for name in valid})}" if flag[:2] == "--" else flag


def _null(name: str, value: str) -> str:
    """Return the text that jsonargparse reads as None, or "none" for --norm=none.

    Raises:
        ValueError: if it is ambiguous: None means the paper's choice, not no activation or norm.
    """
    instead = {"act": "linear", "norm": "none"}.get(name)
    if value == "null" or instead is None:
        return "null"
    if value == instead:
        return value
    raise ValueError(
        f"{name}={value!r}: is ambiguous; write null for the choice of the network's paper, or"
        f" {instead} for no {'activation' if name == 'act' else 'normalization'}"
    )


def _option(argument: str) -> tuple[str, Any]:
    """Return name and value of an argument such as "--options.hidden=(512,)"."""
    name, _, text = argument.partition("=")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        value = {"null": None, "true": True, "false": False}.get(text.lower(), text)
    return name[2:], value


def _in_one_line(message: str) -> ValueError:
    """Return an error of jsonargparse in one line, for a field worded as by Recipe."""
    match = re.search(r'key "(\w+)".*(?:Got|Given) value: (.*)', message, re.DOTALL)
    if match and match[1] in FIELDS:
        try:
            if match[1] == "dtype":
                reject_half(match[2])
            checked(Recipe, match[1], match[2])
        except ValueError as error:
            return error
    return ValueError(" ".join(message.split()))
