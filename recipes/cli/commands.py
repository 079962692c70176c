"""The commands of `recipes`. Only those that need TensorFlow import it."""

import os
import textwrap
from pathlib import Path
from typing import Any

import recipes
import zoo
from recipes import recipe_files
from recipes.distribution.strategies import ON_REPLICAS
from recipes.early_checks import check_backend, check_evaluation, check_recipe, check_search
from recipes.recipe import replace, style_of
from recipes.values import epochs_of
from zoo.options import unknown
from zoo.quiet import import_keras

SHOWN = ("augment", "preprocess")  # what `look` draws


def list_recipes(pattern: str) -> int:
    """Print the names of the recipes and their titles."""
    found = recipe_files.names(pattern)
    if not found:
        raise unknown("recipe", pattern, recipe_files.names(), "`recipes list`")
    for name in found:
        print(f"{name:<32}{recipe_files.title(name)}")
    return 0


def show(recipe: str, overrides: dict[str, Any]) -> int:
    """Print the resolved recipe, as a file that trains it."""
    file = recipe_files.read(recipe)
    resolved = replace(file.recipe, **overrides)
    plan = zoo.resolve(resolved.model, **style_of(resolved))
    print(recipe_files.source(resolved, file.doc), end="")
    if plan.style.norm == "batch":
        print(f"\n# On several replicas: {ON_REPLICAS}.")
    return 0


def look(recipe: str, to: str, show: str, overrides: dict[str, Any]) -> int:
    """Draw a recipe's training images after augmentation, or after steps of preprocessing."""
    resolved = replace(recipe_files.load(recipe), **overrides)
    from recipes.data.preview import contact_sheet, png

    if show not in SHOWN:
        raise unknown("show", show, SHOWN)
    path = png(to)
    check_recipe(resolved)
    import_keras()
    if show == "preprocess":
        from recipes.data.preprocess_sheet import preprocess_sheet

        print(preprocess_sheet(resolved, path))
        return 0
    print(contact_sheet(resolved, path))
    return 0


def check_data(folder: str, channels: int) -> int:
    """Read all images of a folder; return 1 if some cannot be read."""
    if channels not in (1, 3, 4):
        raise ValueError(f"channels={channels}: must be 1 (gray), 3 (RGB) or 4 (RGB and alpha)")
    check_backend()
    import_keras()
    from recipes.data.check_data import check_data

    lines, bad = check_data(folder, channels)
    for line in lines:
        print(line)
    return 1 if bad else 0


def train(
    recipe: str, run: str | None, strategy: str, fresh: bool, extend: str | None,
    overrides: dict[str, Any],
) -> int:  # fmt: skip
    """Train a recipe and print its test accuracy."""
    epochs = None if extend is None else epochs_of(extend)
    file = recipe_files.read(recipe)
    resolved = replace(file.recipe, **overrides)
    check_recipe(resolved, strategy, hosts=True)
    import_keras()
    from recipes.training.loop import train_checked

    train_checked(file, resolved, run=run, strategy=strategy, fresh=fresh, extend=epochs)
    return 0


def launch(workers: int, logs: str | None, command: list[str]) -> int:
    """Run a command on several processes of this machine that form a cluster."""
    from recipes.distribution.launch import launch as start

    return start(command, workers, None if logs is None else Path(logs))


def compare(
    recipe: str, run: str | None, seeds: int, strategy: str, overrides: dict[str, Any]
) -> int:
    """Train a recipe's choices and print the best one."""
    from recipes.search.choices import resolve_choices

    file = recipe_files.read(recipe)
    base = replace(file.recipe, **overrides)
    choices = resolve_choices(file, overrides=overrides)
    for each in choices.values():
        check_recipe(each.recipe, strategy)
    import_keras()
    from recipes.search.compare import compare_checked

    compare_checked(file, base, choices, seeds=seeds, run=run, strategy=strategy)
    return 0


def evaluate(
    runs: list[str], split: str, tta: str, mc_dropout: int | None, weight_noise: str,
    input_noise: float, noise_repeats: int, average: str, data: str | None,
    weights: str | None, preprocess: str | None, seed: int, to: str | None, json: bool,
    strategy: str,
) -> int:  # fmt: skip
    """Evaluate runs or named networks, and print the metrics."""
    from recipes.evaluation.noise import check_repeats
    from recipes.evaluation.noise import parse as parse_noise
    from recipes.evaluation.published import is_network
    from recipes.evaluation.tta import parse_all_of

    found = check_evaluation(runs, split, average, data, strategy, weights, preprocess)
    parse_all_of(tta, len(runs))
    check_repeats(noise_repeats, parse_noise(weight_noise, input_noise))
    import_keras()
    from recipes.evaluation import report

    if to is None and len(runs) == 1:
        base = os.path.join("runs", runs[0]) if is_network(runs[0]) else runs[0]
        if not os.path.isdir(base) or os.access(base, os.W_OK):
            to = os.path.join(base, "evaluation")
    recipes.evaluate(
        found, split=split, tta=tta, mc_dropout=mc_dropout, weight_noise=weight_noise,
        input_noise=input_noise, noise_repeats=noise_repeats, average=average, data=data, seed=seed,
        to=to, strategy=strategy,
        report=(lambda result: print(report.as_json(result), flush=True)) if json else report.show,
    )  # fmt: skip
    if json:
        return 0
    print(f"pictures and evaluation.json: {to}" if to else "--to=DIR keeps this, with pictures")
    return 0


def smoke(pattern: str) -> int:
    """Run every recipe for two steps on made-up data."""
    found = recipe_files.names(pattern)
    if not found:
        raise unknown("recipe", pattern, recipe_files.names(), "`recipes list`")
    check_backend()
    import_keras()
    from recipes.training.smoke import two_steps

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
    recipe: str, space: str | None, trials: int | None, tuner: str, stages: str | None, run: str,
    strategy: str, workers: int, stop_early: bool, overrides: dict[str, Any],
) -> int:  # fmt: skip
    """Search the recipe's space, or the given one."""
    if run is None:
        raise ValueError("--run: tune needs a directory for the search; use --run=DIR")
    file = recipe_files.read(recipe)
    check_search(tuner, trials, stages, workers)
    base = replace(file.recipe, **overrides)
    check_recipe(base, strategy)
    from recipes.search.spaces.axes import space_of

    searched = space_of(file, base, space)
    import_keras()
    from recipes.search.tune import tune_checked

    tune_checked(
        file, base, searched, run=run, trials=trials, tuner=tuner, strategy=strategy,
        stages=stages, workers=workers, stop_early=stop_early,
    )  # fmt: skip
    return 0


def check(
    recipe: str, run: str | None, only: str, seconds: float, overrides: dict[str, Any]
) -> int:
    """Run sanity checks on a recipe; return 1 if a check fails."""
    from recipes import diagnostics

    names = diagnostics.selected(only.replace(",", " ").split())
    file = recipe_files.read(recipe)
    check_recipe(replace(file.recipe, **overrides))
    import_keras()
    report = diagnostics.check(file, run=run, only=names, seconds=seconds, **overrides)
    return 0 if report.passed else 1


def diagnose(run: str) -> int:
    """Print what a run's curves tell about its training."""
    from recipes.diagnostics import curves, results

    results.show(run, curves.diagnose(run), ("seen",))
    return 0


def watch(paths: list[str], port: int) -> int:
    """Serve a page about searches and runs until Ctrl-C."""
    from recipes.watch.server import serve

    serve(paths, port)
    return 0


def report(paths: list[str], to: str | None) -> int:
    """Write the page about searches and runs as one HTML file."""
    from recipes.watch.report import report as write

    path, what = write(paths, to)
    print(f"{path}: {what}")
    return 0
