"""`python -m recipes`: its commands, their arguments, and one line for what goes wrong."""

import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from recipes import commands
from zoo.interrupts import freed, remembered
from zoo.options import unknown

TUNERS = ("random", "bayesian", "hyperband", "grid")

RUN = {"help": "the run directory (default: runs/RECIPE and what was overridden)"}
STRATEGY = {"default": "auto", "help": "one, mirrored, mirrored:N or auto (default: auto)"}
VIEWS = (
    "of each image, whose probabilities are averaged: one (default), flip, 10crop, "
    "10crop:5scales, 10crop:SIDE,SIDE, augment:N or augment:N:OPS; with ; between them, of each run"
)
RECIPE = {"help": "a name that `list` gives, or the path of a recipe file"}


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
    name = argv[0] if argv else "--help"
    try:
        if name in ("-h", "--help"):
            print(usage())
            return 0
        if name not in COMMANDS:
            raise unknown("command", name, COMMANDS)
        command = COMMANDS[name]
        from recipes.flags import parse

        own, overrides = parse(
            f"python -m recipes {name}", command.about, command.arguments, argv[1:], command.fields
        )
        with remembered():
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
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def usage() -> str:
    """What there is to run."""
    lines = [f"  {n:<10}{command.about}" for n, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: python -m recipes COMMAND ... ; COMMAND --help tells its arguments",
            "",
            *lines,
            "",
            "Any field of a recipe is a flag: python -m recipes train digits/resnet20 --epochs=3",
            "--act=elu --options.stem=cifar. RECIPES_TRACEBACK=1 shows where an error arose.",
        ]
    )


class Command(NamedTuple):
    """A function, what it does, its arguments, and whether it takes the recipe's fields."""

    function: Any
    about: str
    arguments: dict[str, dict[str, Any]]
    fields: bool = False


PATTERN = {"nargs": "?", "default": "*", "help": "a shell pattern, such as 'digits/res*'"}
COMMANDS = {
    "list": Command(commands.list_recipes, "the recipes and what they are", {"pattern": PATTERN}),
    "show": Command(
        commands.show, "a resolved recipe, as a file that trains it", {"recipe": RECIPE}, True
    ),
    "look": Command(
        commands.look, "a picture of images as training sees them, augmented, with labels",
        {
            "recipe": RECIPE,
            "--to": {"default": "look.png", "help": "the picture's place (default: look.png)"},
        },
        True,
    ),
    "train": Command(
        commands.train, "train a recipe; the same command goes on after an interruption",
        {"recipe": RECIPE, "--run": RUN, "--strategy": STRATEGY}, True,
    ),
    "compare": Command(
        commands.compare, "train a recipe's choices side by side, and say which won",
        {
            "recipe": RECIPE,
            "--run": RUN,
            "--seeds": {"type": int, "default": 1, "help": "trainings of each (default: 1)"},
            "--strategy": STRATEGY,
        },
        True,
    ),
    "evaluate": Command(
        commands.evaluate, "judge a finished run, an ensemble of runs or their soup",
        {
            "runs": {"nargs": "+", "metavar": "RUN", "help": "run directories; several: as one"},
            "--split": {"default": "test", "help": "test, validation or train (default: test)"},
            "--views": {"default": "one", "help": VIEWS},
            "--samples": {"type": int | None, "default": None,
                          "help": "dropout masks to average (default: no dropout)"},
            "--average": {"default": "ensemble", "help": "of runs: ensemble, the mean of their "
                          "probabilities (default), or soup, of their weights"},
            "--data": {"help": "another data set of the same classes"},
            "--seed": {"type": int, "default": 0, "help": "of augmentation and masks (default: 0)"},
            "--to": {"help": "the directory for the figures and pictures (default: of one run, "
                     "RUN/evaluation)"},
            "--json": {"type": bool, "default": False, "help": "print all as JSON"},
            "--strategy": STRATEGY,
        },
    ),
    "tune": Command(
        commands.tune, "search a recipe's space of hyperparameters, judged on validation",
        {
            "recipe": RECIPE,
            "--trials": {"type": int | None, "default": None,
                         "help": "how many (default: 8; hyperband: a whole round)"},
            "--tuner": {"default": "random", "help": f"{', '.join(TUNERS)} (default: random)"},
            "--run": {"help": "the search's directory"},
            "--strategy": STRATEGY,
        },
        True,
    ),
    "smoke": Command(
        commands.smoke, "two steps of every recipe on made-up data", {"pattern": PATTERN}
    ),
    "check": Command(
        commands.check, "the lectures' checks of a recipe before it is trained, with pictures",
        {
            "recipe": RECIPE,
            "--run": {"help": "the directory of its pictures (default: check in train's)"},
            "--only": {"default": "", "help": "names of checks, with commas (default: all)"},
            "--seconds": {"type": float, "default": 60.0,
                          "help": "the most for a training of a check (default: 60)"},
        },
        True,
    ),
    "diagnose": Command(
        commands.diagnose, "what the lectures read off a run's curves",
        {"run": {"help": "a run directory"}},
    ),
}  # fmt: skip
