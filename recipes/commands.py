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
        return command.function(**own, **({"overrides": overrides} if command.fields else {}))
    except KeyboardInterrupt:
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


def list_recipes(pattern: str) -> int:
    """Print the names of the recipes and what they are."""
    found = recipes_of.names(pattern)
    if not found:
        raise unknown("recipe", pattern, recipes_of.names())
    for name in found:
        print(f"{name:<32}{recipes_of.title(name)}")
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


def compare(
    recipe: str, run: str | None, seeds: int, strategy: str, overrides: dict[str, Any]
) -> int:
    """Train a recipe's choices and print which won."""
    file = recipes_of.read(recipe)
    for changes in (file.choices or {"": {}}).values():
        _check_network(recipes_of.replace(file.recipe, **{**overrides, **changes}))
    import_keras()
    from recipes.comparing import compare as compare_choices

    compare_choices(recipe, run=run, seeds=seeds, strategy=strategy, **overrides)
    return 0


def evaluate(
    runs: list[str], split: str, views: str, samples: int | None, average: str,
    data: str | None, seed: int, to: str | None, json: bool, strategy: str,
) -> int:  # fmt: skip
    """Judge runs, each or as one, and print the figures."""
    from recipes.judging.views import parse_all_of
    from recipes.run import open as open_run

    found = [open_run(each) for each in runs]
    parse_all_of(views, len(runs))
    import_keras()
    from recipes.evaluation import evaluate as judge
    from recipes.judging.writing import as_json, show

    if to is None and len(runs) == 1:
        to = os.path.join(runs[0], "evaluation")
    judged = judge(
        found, split=split, views=views, samples=samples, average=average, data=data, seed=seed,
        to=to, strategy=strategy,
    )  # fmt: skip
    if json:
        print(as_json(judged))
        return 0
    show(judged)
    print(f"pictures and evaluation.json: {to}" if to else "--to=DIR keeps this, with pictures")
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
            print(f"{name:<32}{two_steps(name)}", flush=True)
        except Exception as error:
            failed += 1
            text = textwrap.shorten(f"{type(error).__name__}: {error}", 400)
            print(f"{name:<32}FAILED: {text}", flush=True)
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


def check(
    recipe: str, run: str | None, only: str, seconds: float, overrides: dict[str, Any]
) -> int:
    """Check a recipe's network, data and rate as the lectures do; 1 if a check fails."""
    from recipes.checking import check as check_recipe
    from recipes.checking import selected

    _check_network(recipes_of.replace(recipes_of.load(recipe), **overrides))
    names = selected(only.replace(",", " ").split())
    import_keras()
    report = check_recipe(recipe, run=run, only=names, seconds=seconds, **overrides)
    return 0 if report.passed else 1


def diagnose(run: str) -> int:
    """Print what the lectures read off a run's curves."""
    from recipes.diagnosing import diagnose as read_curves
    from recipes.findings import show as print_findings

    print_findings(run, read_curves(run), ("seen",))
    return 0


def _check_network(recipe: recipes_of.Recipe) -> None:
    """Let zoo refuse what it does not know before the seconds that TensorFlow takes."""
    import zoo

    zoo.resolve(recipe.model, **recipes_of.style_of(recipe))
    if recipe.weights is not None and not os.path.isdir(recipe.weights):
        zoo.source(recipe.model, recipe.weights)


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
    "compare": Command(
        compare, "train a recipe's choices side by side, and say which won",
        {
            "recipe": RECIPE,
            "--run": RUN,
            "--seeds": {"type": int, "default": 1, "help": "trainings of each (default: 1)"},
            "--strategy": STRATEGY,
        },
        True,
    ),
    "evaluate": Command(
        evaluate, "judge a finished run, an ensemble of runs or their soup",
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
    "check": Command(
        check, "the lectures' checks of a recipe before it is trained, with pictures",
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
        diagnose, "what the lectures read off a run's curves", {"run": {"help": "a run directory"}}
    ),
}  # fmt: skip
