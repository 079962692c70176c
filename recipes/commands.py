"""The commands of `python -m recipes`. TensorFlow is imported by those that need it."""

import os
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from recipes import recipe as recipes_of
from zoo.options import unknown
from zoo.quiet import import_keras

TUNERS = ("random", "bayesian", "hyperband", "grid")

RUN = {"help": "the run directory (default: runs/RECIPE and what was overridden)"}
STRATEGY = {"default": "auto", "help": "one, mirrored, mirrored:N or auto (default: auto)"}
RECIPE = {"help": "a name that `list` gives, or the path of a recipe file"}


def main(file: str | None = None) -> NoReturn:
    """Run the command that sys.argv names and exit; in a recipe file, train that file."""
    argv = sys.argv[1:]
    if file is not None:
        # Python puts a script's folder first, where a recipe may be called as a library is.
        folder = os.path.dirname(os.path.abspath(file))
        sys.path[:] = [p for p in sys.path if os.path.abspath(p) != folder]
        argv = ["train", file, *argv]
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
        return command.function(**own, **({"overrides": overrides} if command.fields else {}))
    except KeyboardInterrupt:
        print(
            f"\n{name} was stopped; the same command goes on from the last finished epoch"
            if name in ("train", "tune") else f"\n{name} was stopped",
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


def list_recipes(pattern: str) -> int:
    """Print the names of the recipes and what they are."""
    found = recipes_of.names(pattern)
    if not found:
        raise unknown("recipe", pattern, recipes_of.names())
    for name in found:
        print(f"{name:<24}{recipes_of.title(name)}")
    return 0


def show(recipe: str, overrides: dict[str, Any]) -> int:
    """Print the resolved recipe, as a file that trains it."""
    file = recipes_of.read(recipe)
    resolved = recipes_of.replace(file.recipe, **overrides)
    _check_network(resolved)
    print(recipes_of.source(resolved, file.doc), end="")
    return 0


def look(recipe: str, to: str, overrides: dict[str, Any]) -> int:
    """Draw what training sees of a recipe's images."""
    resolved = recipes_of.replace(recipes_of.load(recipe), **overrides)
    import_keras()
    from recipes.look import contact_sheet

    print(contact_sheet(resolved, to))
    return 0


def train(recipe: str, run: str | None, strategy: str, overrides: dict[str, Any]) -> int:
    """Train a recipe and print how good it is."""
    checked = recipes_of.replace(recipes_of.load(recipe), **overrides)
    _check_network(checked)
    import_keras()
    from recipes.training import train as train_recipe

    train_recipe(recipe, run=run, strategy=strategy, **overrides)
    return 0


def evaluate(run: str, strategy: str) -> int:
    """Judge a run's network on the test set and print the figures."""
    from recipes.run import open as open_run

    found = open_run(run)
    import_keras()
    from recipes.evaluation import evaluate as judge

    for name, value in judge(found, strategy=strategy).items():
        print(f"{name:<10}{value:.4f}" if isinstance(value, float) else f"{name:<10}{value}")
    return 0


def smoke(pattern: str) -> int:
    """Run every recipe for two steps on made-up data."""
    found = recipes_of.names(pattern)
    if not found:
        raise unknown("recipe", pattern, recipes_of.names())
    import_keras()
    from recipes.smoke import two_steps

    failed = 0
    for name in found:
        try:
            print(f"{name:<24}{two_steps(name)}", flush=True)
        except Exception as error:
            failed += 1
            text = textwrap.shorten(f"{type(error).__name__}: {error}", 400)
            print(f"{name:<24}FAILED: {text}", flush=True)
    return 1 if failed else 0


def tune(
    recipe: str, trials: int | None, tuner: str, run: str, strategy: str,
    overrides: dict[str, Any],
) -> int:  # fmt: skip
    """Search the recipe's space."""
    if run is None:
        raise ValueError("tune needs --run=DIR, the search's directory")
    file = recipes_of.read(recipe)
    _check_network(recipes_of.replace(file.recipe, **overrides))
    import_keras()
    from recipes.tuning import tune as search

    search(recipe, run=run, trials=trials, tuner=tuner, strategy=strategy, **overrides)
    return 0


def _check_network(recipe: recipes_of.Recipe) -> None:
    """Let zoo refuse what it does not know before the seconds that TensorFlow takes."""
    import zoo

    zoo.resolve(recipe.model, **recipes_of.style_of(recipe))


class Command(NamedTuple):
    """A function, what it does, its arguments, and whether it takes the recipe's fields."""

    function: Any
    about: str
    arguments: dict[str, dict[str, Any]]
    fields: bool = False


PATTERN = {"nargs": "?", "default": "*", "help": "a shell pattern, such as 'digits/res*'"}
COMMANDS = {
    "list": Command(list_recipes, "the recipes and what they are", {"pattern": PATTERN}),
    "show": Command(show, "a resolved recipe, as a file that trains it", {"recipe": RECIPE}, True),
    "look": Command(
        look, "a picture of images as training sees them, augmented, with labels",
        {
            "recipe": RECIPE,
            "--to": {"default": "look.png", "help": "the picture's place (default: look.png)"},
        },
        True,
    ),
    "train": Command(
        train, "train a recipe; the same command goes on after an interruption",
        {"recipe": RECIPE, "--run": RUN, "--strategy": STRATEGY}, True,
    ),
    "evaluate": Command(
        evaluate, "judge a finished run on the test set",
        {"run": {"help": "a run directory"}, "--strategy": STRATEGY},
    ),
    "tune": Command(
        tune, "search a recipe's space of hyperparameters, judged on validation",
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
    "smoke": Command(smoke, "two steps of every recipe on made-up data", {"pattern": PATTERN}),
}  # fmt: skip
