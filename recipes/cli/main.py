"""The `recipes` command: its subcommands with their arguments, and errors in one line."""

import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from recipes.cli import commands, plot_command, study_command
from recipes.cli.names_command import KINDS, names
from recipes.diagnostics import CHECKS
from recipes.early_checks import SPLITS, TUNERS
from recipes.old_names import warnings_in_one_line
from zoo.files import one_line
from zoo.interrupts import exit_code, freed, remembered
from zoo.options import unknown
from zoo.terminal import escape_unencodable, installed_version, printable

RUN = {
    "metavar": "DIR",
    "help": "Run directory. (default: runs/RECIPE, with a subfolder named by the overrides)",
}
STRATEGY = {
    "default": "auto",
    "help": "Devices to use: one device, all GPUs, N GPUs, all workers of a cluster (train only),"
    " or a TPU (untested). auto chooses multiworker if TF_CONFIG or srun describes several workers,"
    " mirrored if there are several GPUs, and else one."
    " (auto, one, mirrored, mirrored:N, multiworker, tpu; default: auto)",
}
TTA = (
    "Test-time augmentation: views of each image whose probabilities are averaged. To give each"
    " run its own views, separate them by semicolons."
    " (one, flip, shifts, shifts:N, 10crop, 10crop:5scales, 10crop:SIDE,SIDE, augment:N,"
    " augment:N:OPS; default: one)"
)
RECIPE = {
    "metavar": "RECIPE",
    "help": "Recipe name from `recipes list`, path of a recipe file (.py), or run directory.",
}


def main(file: str | None = None, command: str = "train") -> NoReturn:
    """Run the command line in sys.argv and exit.

    Args:
        file: path of the recipe file that calls this function, to run `command` on it.
        command: the command for `file`.
    """
    argv = sys.argv[1:]
    if file is not None:
        # Python puts the script's folder first, where a recipe may have the name of a library.
        folder = os.path.dirname(os.path.abspath(file))
        sys.path[:] = [p for p in sys.path if os.path.abspath(p) != folder]
        argv = [command, file, *argv]
    sys.exit(run(argv))


def run(argv: Sequence[str]) -> int:
    """Run one command line; return 0, 1 if something failed, 2 for bad input, or another code."""
    # Several workers log the failure of one at length, before the error in one line.
    several = {"TF_CONFIG", "SLURM_STEP_NUM_TASKS"} & set(os.environ)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3" if several else "2")
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
        rest: dict[str, list[str]] = {}
        if command.passes_on:
            end = list(argv).index("--") if "--" in argv else len(argv)
            argv, rest = argv[:end], {"command": list(argv[end + 1 :])}
        from recipes.cli.flags import parse

        own, overrides = parse(
            f"recipes {name}", command.about, command.arguments, argv[1:], command.fields
        )
        with remembered(second_exits=True), warnings_in_one_line(f"recipes {name}"):
            fields = {"overrides": overrides} if command.fields else {}
            return command.function(**own, **fields, **rest)
    except KeyboardInterrupt as stop:
        freed(stop)
        how = ""
        if name in ("train", "tune", "compare"):
            how = str(stop) or "the same command continues from the last checkpoint"
        elif name == "study":
            how = "the same command continues with what is not measured yet"
        print(f"\n{name}: stopped" + (f"; {how}" if how else ""), file=sys.stderr)
        return exit_code(stop)
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has stopped.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        if os.environ.get("RECIPES_TRACEBACK"):
            raise
        print(f"{name}: {printable(one_line(error))}", file=sys.stderr)
        return getattr(error, "exit_code", 2)


def usage() -> str:
    """Return the text of `recipes --help`."""
    lines = [f"  {n:<12}{command.about}" for n, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: recipes COMMAND [ARGUMENT ...] [--FLAG=VALUE ...]",
            "",
            "Train, evaluate, diagnose and tune convolutional networks.",
            "",
            *lines,
            "",
            "`recipes COMMAND --help` describes the arguments and flags of a command.",
            "Flags override fields of a recipe: recipes train digits/resnet20 --epochs=3 --act=elu",
            "Set the environment variable RECIPES_TRACEBACK=1 to see where an error was raised.",
        ]
    )


class Command(NamedTuple):
    """A command.

    Attributes:
        function: the function that runs it and returns the exit code.
        about: its description in `--help`.
        arguments: argument -> settings for argparse's add_argument.
        fields: whether it also has a flag for each field of a recipe.
        passes_on: whether -- and another command follow.
    """

    function: Any
    about: str
    arguments: dict[str, dict[str, Any]]
    fields: bool = False
    passes_on: bool = False


PATTERN = {
    "nargs": "?",
    "default": "*",
    "metavar": "PATTERN",
    "help": "Shell pattern of names, such as 'digits/res*'. (default: all recipes)",
}
PATHS = {
    "nargs": "+",
    "metavar": "DIR",
    "help": "Directory of a search, a run or a comparison; or a folder of them.",
}
COMMANDS = {
    "list": Command(
        commands.list_recipes, "List the recipes and their titles, one per line.",
        {"pattern": PATTERN},
    ),
    "names": Command(
        names, "Print the valid names of one kind, such as operations or data sets.",
        {"kind": {"metavar": "KIND", "help": f"One of {', '.join(KINDS)}."}},
    ),
    "show": Command(
        commands.show, "Print a recipe with its overrides, as a recipe file.",
        {"recipe": RECIPE}, True,
    ),
    "look": Command(
        commands.look, "Draw training images before and after augmentation or preprocessing.",
        {
            "recipe": RECIPE,
            "--to": {"default": "look.png", "metavar": "FILE",
                     "help": "PNG file to write. (default: look.png)"},
            "--show": {"default": "augment", "metavar": "WHAT",
                       "help": "augment: images before and after augmentation, with their labels; "
                       "preprocess: raw, centered, scaled, decorrelated and whitened images, and "
                       "scatter plots of two pixels. (augment, preprocess; default: augment)"},
        },
        True,
    ),
    "check": Command(
        commands.check, "Run sanity checks on a recipe before a long training.",
        {
            "recipe": RECIPE,
            "--run": {"metavar": "DIR",
                      "help": "Directory for the results and pictures. (default: the subfolder "
                      "`check` of the run directory that `train` would use)"},
            "--only": {"default": "", "metavar": "NAME,NAME",
                       "help": "Checks to run, separated by commas. "
                       f"({', '.join(CHECKS)}; default: all)"},
            "--seconds": {"type": float, "default": 60.0, "metavar": "X",
                          "help": "Time limit of each short training in a check, in seconds. "
                          "(default: 60)"},
        },
        True,
    ),
    "check-data": Command(
        commands.check_data, "Read all images of a folder, and list those that cannot be read.",
        {
            "folder": {"metavar": "FOLDER",
                       "help": "Folder of images, PATH or folder:PATH, as in --data."},
            "--channels": {"type": int, "default": 3, "metavar": "N",
                           "help": "Channels with which the images will be read. "
                           "(1, 3, 4; default: 3)"},
        },
    ),
    "train": Command(
        commands.train, "Train a recipe, or resume a training that was interrupted.",
        {
            "recipe": RECIPE,
            "--run": RUN,
            "--strategy": STRATEGY,
            "--fresh": {"type": bool, "default": False, "metavar": "BOOL",
                        "help": "Delete the run in the directory first, and start over. "
                        "(true, false; default: false)"},
            "--extend": {"metavar": "epochs=N",
                         "help": "Train a run for more epochs than its recipe has; the schedule "
                         "becomes that of all N epochs. (default: as long as the recipe says)"},
        },
        True,
    ),
    "launch": Command(
        commands.launch,
        "Train on several processes of this machine: recipes launch --workers=2 -- train RECIPE",
        {
            "--workers": {"type": int, "default": 2, "metavar": "N",
                          "help": "Number of processes, which share the work. (default: 2)"},
            "--logs": {"metavar": "DIR",
                       "help": "Folder for a log file of each process. (default: a temporary "
                       "folder, which is kept if a process fails)"},
        },
        passes_on=True,
    ),
    "compare": Command(
        commands.compare, "Train all choices that a recipe defines, and report the best one.",
        {
            "recipe": RECIPE,
            "--run": RUN,
            "--seeds": {"type": int, "default": 1, "metavar": "N",
                        "help": "Number of seeds to train each choice with. (default: 1)"},
            "--strategy": STRATEGY,
        },
        True,
    ),
    "tune": Command(
        commands.tune, "Search for the best hyperparameters of a recipe.",
        {
            "recipe": RECIPE,
            "--space": {"several": True, "metavar": "NAME=VALUES ...",
                        "help": "What to search: fields of the recipe, or options.NAME, with their "
                        "values or ranges: act=relu,elu lr=log:1e-4:1 dropout=0:0.5. "
                        "(default: the space of the recipe, or else one over all that applies)"},
            "--trials": {"type": int | None, "default": None, "metavar": "N",
                         "help": "Largest number of trials. (default: 8, hyperband: one round)"},
            "--tuner": {"default": "random", "metavar": "NAME",
                        "help": f"Search algorithm. ({', '.join(TUNERS)}; default: random)"},
            "--stages": {"metavar": "TRIALSxEPOCHS,...",
                         "help": "Coarse-to-fine search: 30x2,10x10 tries 30 recipes for 2 epochs, "
                         "then 10 for 10 epochs in ranges around the best quarter. (default: all "
                         "trials have the epochs of the recipe)"},
            "--run": {"metavar": "DIR", "help": "Directory of the search. (required)"},
            "--workers": {"type": int, "default": 1, "metavar": "N",
                          "help": "Processes of this machine that train trials at the same time. "
                          "(default: 1)"},
            "--stop_early": {"type": bool, "default": True, "metavar": "BOOL",
                             "help": "Stop trials whose scores are below the median of the others. "
                             "(true, false; default: true)"},
            "--strategy": STRATEGY,
        },
        True,
    ),
    "watch": Command(
        commands.watch, "Show searches and runs on a local web page while they train.",
        {
            "paths": PATHS,
            "--port": {"type": int, "default": 8750, "metavar": "N",
                       "help": "Port of the page on 127.0.0.1. (default: 8750)"},
        },
    ),
    "report": Command(
        commands.report, "Write what `watch` shows as one HTML file that needs no server.",
        {
            "paths": PATHS,
            "--to": {"metavar": "FILE",
                     "help": "HTML file to write. (default: report.html in the first directory)"},
        },
    ),
    "plot": Command(
        plot_command.plot, "Draw the curves of any number of runs in one picture.",
        {"paths": PATHS, **plot_command.OPTIONS},
    ),
    "evaluate": Command(
        commands.evaluate, "Evaluate runs or networks with published weights, or several combined.",
        {
            "runs": {"nargs": "+", "metavar": "RUN",
                     "help": "Run directory, or name of a network with --weights. Several are "
                     "combined as chosen by --average."},
            "--split": {"default": "test", "metavar": "NAME",
                        "help": f"Images to evaluate on. ({', '.join(SPLITS)}; default: test)"},
            "--tta": {"default": "one", "help": TTA},
            "--mc_dropout": {"type": int | None, "default": None, "metavar": "N",
                          "help": "Number of dropout masks to average. (default: no dropout)"},
            "--weight_noise": {"default": "0", "metavar": "[LAYERS:]X",
                               "help": "Standard deviation of Gaussian noise that is added to each "
                               "kernel, divided by that of the kernel; LAYERS:X changes only "
                               "layers with these names, such as stem_*:0.1. (default: 0)"},
            "--input_noise": {"type": float, "default": 0.0, "metavar": "X",
                              "help": "Standard deviation of Gaussian noise that is added to the "
                              "preprocessed images, divided by theirs. (default: 0)"},
            "--noise_repeats": {"type": int, "default": 1, "metavar": "N",
                                "help": "Number of evaluations with different noise, whose mean "
                                "and standard deviation are reported, too. (default: 1)"},
            "--average": {"default": "ensemble", "metavar": "NAME",
                          "help": "How several runs are combined: ensemble averages their "
                          "probabilities, soup their weights. "
                          "(ensemble, soup; default: ensemble)"},
            "--data": {"metavar": "DATA",
                       "help": "Another data set with the same classes. In a folder of classes, "
                       "all images are evaluated; in a folder with splits, those of --split. "
                       "(default: the data set of the run)"},
            "--weights": {"metavar": "SOURCE",
                          "help": "Pretrained weights of the named networks: a source or the path "
                          "of a file; with ; between them, one for each. (see `zoo names weights "
                          "NAME`; default: none)"},
            "--preprocess": {"metavar": "SOURCE",
                             "help": "Source whose preprocessing a file of --weights needs. "
                             "(default: none, pixels from 0 to 255)"},
            "--seed": {"type": int, "default": 0, "metavar": "N",
                       "help": "Random seed of augmentation, dropout and noise. (default: 0)"},
            "--to": {"metavar": "DIR", "help": "Directory for evaluation.json and the pictures. "
                     "(default: RUN/evaluation for one run, runs/NAME/evaluation for one "
                     "network, none for several)"},
            "--json": {"type": bool, "default": False, "metavar": "BOOL",
                       "help": "Print the result as JSON. (true, false; default: false)"},
            "--strategy": STRATEGY,
        },
    ),
    "diagnose": Command(
        commands.diagnose, "Explain what the curves of a run show about its training.",
        {"run": {"metavar": "RUN", "help": "Run directory, also of an unfinished run."}},
    ),
    "study": Command(
        study_command.study,
        "Run a study: an experiment with the lectures' claims, a figure and verdicts.",
        {
            "name": {"metavar": "NAME", "help": "Name of a study, or `all`, or `list`."},
            "--quick": {"type": bool, "default": False, "metavar": "BOOL",
                        "help": "Test in seconds that everything runs, without verdicts. "
                        "(true, false; default: false)"},
            "--to": {"metavar": "DIR",
                     "help": "Directory of the results; for `all`, with a subdirectory for each "
                     "study. (default: runs/studies/NAME, or NAME-quick)"},
            "--data": {"metavar": "DATA",
                       "help": "CIFAR-10, for the studies that use it, such as folder:PATH. "
                       "(default: cifar10, from TFDS)"},
            "--seeds": {"type": int, "metavar": "N",
                        "help": "Least number of seeds, for claims that are undecided; finished "
                        "trainings are kept. (default: the study's own numbers)"},
        },
    ),
    "smoke": Command(
        commands.smoke, "Test each recipe: train it for two steps on random images.",
        {"pattern": PATTERN},
    ),
}  # fmt: skip
