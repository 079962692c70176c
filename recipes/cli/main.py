"""The `recipes` command: its commands, their arguments, and one line for an error."""

import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from recipes.cli import commands
from recipes.cli.names_command import KINDS, names
from recipes.diagnostics import CHECKS
from recipes.early_checks import SPLITS, TUNERS
from recipes.old_names import warnings_in_one_line
from zoo.files import one_line
from zoo.interrupts import freed, remembered
from zoo.options import unknown
from zoo.terminal import escape_unencodable, installed_version, printable

RUN = {
    "metavar": "DIR",
    "help": "Run directory. (default: a folder of runs/ with the recipe's name and overrides)",
}
STRATEGY = {
    "default": "auto",
    "help": "Devices to use. (one, mirrored, mirrored:N, auto; default: auto)",
}
TTA = (
    "Views of each image whose probabilities are averaged; with ; between them, one for each run."
    " (one, flip, 10crop, 10crop:5scales, 10crop:SIDE,SIDE, augment:N, augment:N:OPS; default: one)"
)
RECIPE = {"metavar": "RECIPE", "help": "Name from `recipes list`, or path of a recipe file."}


def main(file: str | None = None, command: str = "train") -> NoReturn:
    """Run the command that sys.argv names and exit; in a recipe file, train that file."""
    argv = sys.argv[1:]
    if file is not None:
        # Python puts a script's folder first, where a recipe may be called as a library is.
        folder = os.path.dirname(os.path.abspath(file))
        sys.path[:] = [p for p in sys.path if os.path.abspath(p) != folder]
        argv = [command, file, *argv]
    sys.exit(run(argv))


def run(argv: Sequence[str]) -> int:
    """Run one command line; the exit code: 0, 1 if something failed, 2 for bad input."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    escape_unencodable()
    name = argv[0] if argv else "--help"
    try:
        if name == "help" and argv[1:]:
            name, argv = argv[1], [argv[1], "--help"]
        if name in ("-h", "--help", "help"):
            print(usage())
            return 0
        if name == "--version":
            print(installed_version())
            return 0
        if name not in COMMANDS:
            raise unknown("command", name, COMMANDS, "`recipes --help`")
        command = COMMANDS[name]
        from recipes.cli.flags import parse

        own, overrides = parse(
            f"recipes {name}", command.about, command.arguments, argv[1:], command.fields
        )
        with remembered(), warnings_in_one_line(f"recipes {name}"):
            return command.function(**own, **({"overrides": overrides} if command.fields else {}))
    except KeyboardInterrupt as stop:
        freed(stop)
        print(
            f"\n{name} was stopped; the same command goes on from the last finished epoch"
            if name in ("train", "tune", "compare") else f"\n{name} was stopped",
            file=sys.stderr,
        )  # fmt: skip
        return 130
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        if os.environ.get("RECIPES_TRACEBACK"):
            raise
        print(f"{name}: {printable(one_line(error))}", file=sys.stderr)
        return 2


def usage() -> str:
    """Return the help of `recipes`, with its commands."""
    lines = [f"  {n:<10}{command.about}" for n, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: recipes COMMAND [ARGUMENT ...] [--FLAG=VALUE ...]",
            "",
            "Train, search, check and evaluate convolutional networks by recipes.",
            "",
            *lines,
            "",
            "`recipes COMMAND --help` describes the arguments and flags of a command.",
            "Each field of a recipe is a flag: recipes train digits/resnet20 --epochs=3 --act=elu",
            "Set RECIPES_TRACEBACK=1 to see where an error was raised.",
        ]
    )


class Command(NamedTuple):
    """A function, what it does, its arguments, and whether it takes the recipe's fields."""

    function: Any
    about: str
    arguments: dict[str, dict[str, Any]]
    fields: bool = False


PATTERN = {
    "nargs": "?",
    "default": "*",
    "metavar": "PATTERN",
    "help": "Shell pattern of names, such as 'digits/res*'. (default: all recipes)",
}
COMMANDS = {
    "list": Command(
        commands.list_recipes, "List the recipes, one per line.", {"pattern": PATTERN}
    ),
    "names": Command(
        names, "Print the valid names of operations, data sets, fields, ...",
        {"kind": {"metavar": "KIND", "help": f"One of {', '.join(KINDS)}."}},
    ),
    "show": Command(
        commands.show, "Print a recipe with its overrides, as a file to run.",
        {"recipe": RECIPE}, True,
    ),
    "look": Command(
        commands.look, "Draw training images after augmentation, with their labels.",
        {
            "recipe": RECIPE,
            "--to": {"default": "look.png", "metavar": "FILE",
                     "help": "Picture to write, as .png. (default: look.png)"},
        },
        True,
    ),
    "check": Command(
        commands.check, "Check a recipe before training, as taught in the lectures.",
        {
            "recipe": RECIPE,
            "--run": {"metavar": "DIR",
                      "help": "Directory of the pictures. (default: check in train's directory)"},
            "--only": {"default": "", "metavar": "NAME,NAME",
                       "help": f"Checks to run. ({', '.join(CHECKS)}; default: all)"},
            "--seconds": {"type": float, "default": 60.0, "metavar": "X",
                          "help": "Time limit of each training in a check, in s. (default: 60)"},
        },
        True,
    ),
    "train": Command(
        commands.train, "Train a recipe. The same command resumes after an interruption.",
        {"recipe": RECIPE, "--run": RUN, "--strategy": STRATEGY}, True,
    ),
    "compare": Command(
        commands.compare, "Train the choices of a recipe side by side and name the winner.",
        {
            "recipe": RECIPE,
            "--run": RUN,
            "--seeds": {"type": int, "default": 1, "metavar": "N",
                        "help": "Number of trainings of each choice. (default: 1)"},
            "--strategy": STRATEGY,
        },
        True,
    ),
    "tune": Command(
        commands.tune, "Search a recipe's hyperparameters by its select_by.",
        {
            "recipe": RECIPE,
            "--trials": {"type": int | None, "default": None, "metavar": "N",
                         "help": "Number of trials. (default: 8; hyperband: a whole round)"},
            "--tuner": {"default": "random", "metavar": "NAME",
                        "help": f"Search algorithm. ({', '.join(TUNERS)}; default: random)"},
            "--run": {"metavar": "DIR", "help": "Directory of the search; required."},
            "--strategy": STRATEGY,
        },
        True,
    ),
    "evaluate": Command(
        commands.evaluate, "Evaluate a finished run, an ensemble of runs or their soup.",
        {
            "runs": {"nargs": "+", "metavar": "RUN",
                     "help": "Run directories; several are evaluated together."},
            "--split": {"default": "test", "metavar": "NAME",
                        "help": f"Part of the data. ({', '.join(SPLITS)}; default: test)"},
            "--tta": {"default": "one", "help": TTA},
            "--mc_dropout": {"type": int | None, "default": None, "metavar": "N",
                          "help": "Number of dropout masks to average. (default: no dropout)"},
            "--average": {"default": "ensemble", "metavar": "NAME",
                          "help": "Average of the runs' probabilities or of their weights. "
                          "(ensemble, soup; default: ensemble)"},
            "--data": {"metavar": "DATA",
                       "help": "Another data set of the same classes. Of a folder of classes all "
                       "images are evaluated, of a folder of splits those of --split. (default: "
                       "the run's own)"},
            "--seed": {"type": int, "default": 0, "metavar": "N",
                       "help": "Seed of augmentation and dropout masks. (default: 0)"},
            "--to": {"metavar": "DIR", "help": "Directory for figures and pictures. "
                     "(default: RUN/evaluation for one run)"},
            "--json": {"type": bool, "default": False, "metavar": "BOOL",
                       "help": "Print the result as JSON. (true, false; default: false)"},
            "--strategy": STRATEGY,
        },
    ),
    "diagnose": Command(
        commands.diagnose, "Explain the curves of a run, as taught in the lectures.",
        {"run": {"metavar": "RUN", "help": "Run directory."}},
    ),
    "smoke": Command(
        commands.smoke, "Train every recipe for two steps on random images.", {"pattern": PATTERN}
    ),
}  # fmt: skip
