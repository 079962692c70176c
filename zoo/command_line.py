"""Parse a `zoo` command: help in topics, and one line for an error."""

import argparse
import ast
import dataclasses
import textwrap
from collections.abc import Iterable
from typing import NoReturn

from zoo import registry
from zoo.options import field_types, unknown
from zoo.style import Style
from zoo.vocabulary import ACTS, INITS, NORMS

# What zoo.build takes, apart from the fields of Style and of a family's spec.
BUILD = {
    "act": f"activation: {', '.join(ACTS)}",
    "norm": f"normalization: {', '.join(NORMS)}",
    "init": f"initializer: {', '.join(INITS)}",
    "num_classes": "number of classes; 0 for a network without its last dense layer",
    "input_shape": "height,width,channels of the images; None for sizes that vary",
    "dropout": "probability of dropping a unit in training",
    "drop_path": "probability of dropping the last residual branch in training; smaller before it",
    "recompute": "True to save memory in training: the backward pass computes blocks again",
    "preprocess": "put the preprocessing of this source of weights in front, or False for none",
    "seed": "random seed of the initial weights",
}


class Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are ValueErrors, and whose commands are checked by us."""

    def __init__(self, **settings):
        super().__init__(**{"formatter_class": _Help, "allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; `{self.prog} --help` describes the arguments")


class _Help(argparse.HelpFormatter):
    def __init__(self, prog: str, **settings):
        super().__init__(prog, max_help_position=26, **settings)


def describe_build_flags(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of zoo.build to a command's help; `build_options` reads them."""
    lines = [
        "\n".join(textwrap.wrap(f"--{name:<14}{about}", 92, subsequent_indent=" " * 16))
        for name, about in BUILD.items()
    ]
    parser.formatter_class = _Raw
    parser.description = "\n".join(textwrap.wrap(parser.description or "", 78))
    parser.add_argument_group(
        "arguments of zoo.build for a named network, as --NAME=VALUE (default: as in its paper)",
        "\n".join(
            [*lines, "`zoo show NAME` prints further arguments, which depend on the network."]
        ),
    )


class _Raw(_Help, argparse.RawDescriptionHelpFormatter):
    """A layout that keeps the lines of descriptions."""


def build_options(flags: list[str], command: str, own: Iterable[str]) -> dict[str, object]:
    """Return ["--act=elu", "--depths=(1,1)"] as keyword arguments of zoo.build.

    Args:
        flags: the flags that the command does not take itself.
        command: the command, for its error.
        own: the flags that the command takes.

    Raises:
        ValueError: an argument is not a flag with a value, or no network has such an option.
    """
    options: dict[str, object] = {}
    for flag in flags:
        name, equals, text = flag.removeprefix("--").partition("=")
        if not (flag.startswith("--") and name and equals):
            raise ValueError(f"{flag!r}: not an option; write --name=value, such as --act=elu")
        if name not in (known := build_names()):
            valid = [*own, *(f"--{each}" for each in known)]
            raise unknown("flag", f"--{name}", valid, f"`zoo {command} --help`")
        try:
            options[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            options[name] = text
    return options


def build_names() -> set[str]:
    """Return the names of all arguments and options of zoo.build, of every family."""
    families = [registry.family(name) for name in registry.families()]
    specs = {type(spec) for of in families for spec in (*of.specs.values(), *of.toys.values())}
    fields = {field.name for spec in specs for field in dataclasses.fields(spec)}
    return {*BUILD, "name", "weights", *field_types(Style), *fields}
