"""Train a recipe, in one function that reads from top to bottom, and write a run directory."""

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

import zoo
from recipes import locking, optimize, provenance, report
from recipes.augment import Resize
from recipes.data import balance
from recipes.data.batches import evaluation_batches, open_for, training_batches, training_images
from recipes.data.pipelines import clear_errors
from recipes.distribution import strategies
from recipes.distribution.replicas import differ_by_replica, normalizes_parts
from recipes.distribution.team import Team
from recipes.evaluation import inference
from recipes.optimize.schedules import remarks
from recipes.recipe import Recipe, replace, style_of
from recipes.recipe_files import RecipeFile, read
from recipes.run import (
    Run,
    claim,
    default_path,
    empty,
    note_session,
    write_metrics,
    write_model,
)
from recipes.training import (
    checkpoint,
    finished,
    identity,
    outcome,
    requirements,
    resuming,
    stopping,
    testing,
)  # fmt: skip
from recipes.training.callbacks import BuildOnce, GradientStatsWriter, Record
from recipes.training.features import features
from recipes.training.network import (
    build_network,
    describe_size,
    dtype_policy,
    require_finite_result,
)
from recipes.training.progress import Progress
from recipes.training.repeatable import sums_in_fixed_order
from recipes.training.resuming import Resuming
from recipes.training.saver import Saver
from recipes.training.selection import best_epoch
from recipes.training.steps import StepLog
from zoo import saved_runs
from zoo.interrupts import postponed, remembered
from zoo.terminal import plural


def train(
    recipe: str | Path | Recipe,
    *,
    run: str | Path | None = None,
    strategy: str = "auto",
    fresh: bool = False,
    extend: int | None = None,
    test: bool = True,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: bool = True,
    **overrides: Any,
) -> Run:
    """Train a recipe and evaluate it on the test set, or resume an unfinished run.

    Args:
        recipe: recipe name, path of a recipe file, or a Recipe.
        run: run directory. Default: runs/NAME, with a subfolder named by the overrides.
        strategy: devices to use, such as "one", "mirrored:2" or "auto"; see
            recipes.distribution.strategies.
        fresh: whether to delete the run in the directory first, and start over.
        extend: number of epochs, more than the recipe has, to which a run is extended. The
            learning rate schedule is then that of all these epochs.
        test: whether to evaluate on the test set. With False, as in a search, the result is that
            of the validation set, until `train` is called again with True.
        callbacks: additional Keras callbacks, called last. Their state is not restored by a resume.
        verbose: whether to show progress.
        overrides: new values for the recipe's fields; see recipes.replace.

    Returns:
        The finished run.

    Raises:
        ValueError: if a name or value is unknown, the data is invalid, the run directory is in use
            or contains another recipe, or the loss diverges.
    """
    file = read(recipe)
    resolved = replace(file.recipe, **overrides)
    zoo.resolve(resolved.model, **style_of(resolved))
    return train_checked(
        file, resolved, run=run, strategy=strategy, fresh=fresh, extend=extend, test=test,
        callbacks=callbacks, verbose=verbose,
    )  # fmt: skip


@clear_errors()
def train_checked(
    file: RecipeFile,
    recipe: Recipe,
    *,
    run: str | Path | None = None,
    strategy: str = "auto",
    fresh: bool = False,
    extend: int | None = None,
    test: bool = True,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: bool = True,
) -> Run:
    """Train a recipe whose network has been checked; otherwise like `train`.

    Args:
        file: the recipe's file; it gives the run its name.
        recipe: the file's recipe with all overrides.
    """
    name = file.name
    home = Path(run) if run is not None else default_path(file.home, file.recipe, recipe)
    recipe = _extended(recipe, extend)
    team = Team(strategy)
    verbose = verbose and team.chief
    say = print if verbose else (lambda *_: None)

    with dtype_policy(recipe.dtype), remembered() as check, team.directory(home) as path:
        if path is None:
            return Run(home)  # the chief has found that the run is finished
        longer = extend is not None
        wrong = []
        if not fresh:
            identity.recover(path, recipe, say, longer)
            claim(path, recipe, longer)
            if Run(path).finished:
                wrong = saved_runs.problems(path)
                if not wrong and Run(path).recipe.epochs >= recipe.epochs:
                    finished.reopen(Run(path), strategy, test, say)
                    return Run(path)

        # The data
        scope = team.strategy
        replicas = scope.num_replicas_in_sync
        data = open_for(recipe)
        classes = len(data.classes)
        requirements.check(recipe, data, replicas, test)
        seen = evaluation_batches(
            data.validation or data.train, classes=classes, batch=recipe.batch_size,
            ops=recipe.eval_ops,
        )  # fmt: skip
        input_shape = tuple(seen.element_spec[0].shape[1:])
        weights = None
        if recipe.class_weight is not None:
            weights = balance.class_weights(recipe.class_weight, data.classes, data.train)
        if fresh:
            empty(path)
        resumed = resuming.found(path, recipe, data, wrong, say, longer)
        team.begin()
        progress = Progress()
        if resumed:
            progress.restore(resumed[1])
        begun = progress.epoch

        # The network and its optimizer
        check()
        keras.utils.set_random_seed(recipe.seed)
        with scope.scope():
            shape = (None, None, input_shape[-1]) if recipe.sizes else input_shape
            model = build_network(recipe, data, shape, say)
            differ_by_replica(model)
            # The network that is saved, without auxiliary heads
            network = keras.Model(model.input, model.outputs[0], name=model.name)
            # Where the frozen layers are computed once, only the others are trained, on features.
            once = features(recipe, model, data, replicas, say)
            used, own = once.inputs(data, recipe) if once else (data, recipe)
            validation = used.validation and team.distributed(
                evaluation_batches(
                    used.validation, classes=classes, batch=recipe.batch_size, ops=own.eval_ops,
                    part=team.part,
                )
            )  # fmt: skip
            steps = used.train.count // recipe.batch_size
            batches = functools.partial(
                training_batches, used.train, classes=classes, batch=recipe.batch_size,
                seed=recipe.seed, part=team.part,
            )  # fmt: skip

            def epochs_of(first: int, step: int, end: int):
                resize = tuple(Resize(side) for epoch, side in recipe.sizes if epoch <= first)[-1:]
                images, _ = batches(
                    ops=own.augment + resize, first_epoch=first, first_step=step, epochs=end
                )
                if weights is not None:
                    images = balance.weighted(images, weights)
                return team.distributed(images, endless=True)

            rate = optimize.schedule(recipe, steps)
            model = optimize.training_model(recipe, model)
            optimizer = optimize.optimizer(recipe, rate, model)
            stats = optimizer.gradient_stats
            _compile(model, optimizer, recipe, classes)
            model.optimizer.build(model.trainable_variables)
            trained = model
            if once:
                trained = optimize.training_model(recipe, once.rest)
                _compile(trained, model.optimizer, recipe, classes)
            averages = (
                optimize.Averages(model, recipe.average, recipe.epochs * steps)
                if recipe.average
                else None
            )

            # Continue where the checkpoint was written
            plateau = None
            if recipe.schedule == "plateau":
                plateau = optimize.Plateau(rate, recipe.patience, recipe.gamma)
            state = Resuming(path, recipe, progress, model, averages, rate, plateau, team)
            if resumed:
                state.restore(*resumed)
            team.compare(model, {"epoch": progress.epoch + 1, "step": progress.step})
            session = provenance.session(scope)
            session |= {"first_epoch": begun + 1, "first_step": progress.step + 1}
            session["images"] = data.images
            if resumed and (changed := outcome.changed_versions(Run(path), session)):
                say(changed)
            note_session(path, name, recipe, tuple(data.classes), session)
            say(
                f"{name}: {recipe.model}, {describe_size(network)}, "
                f"{plural(data.train.count, 'image')}, {progress.remaining(recipe.epochs, steps)};"
                f" run: {path}" + (f"; {team.count} workers" if team.count > 1 else "")
            )
            if weights is not None:
                say(outcome.weights_report(weights, data.classes))
            for remark in remarks(recipe, steps):
                say(remark)
            if replicas > 1 and normalizes_parts(model):
                say(f"{replicas} replicas: {strategies.ON_REPLICAS}")

            # Train
            check()
            if longer and progress.epoch < recipe.epochs:
                (path / "result.json").unlink(missing_ok=True)
            writer = GradientStatsWriter(
                stats, progress, recipe.stats_every, steps, path / "tensorboard"
            )
            log = StepLog(path, recipe.loss_every, steps, recipe.batch_size)
            record = Record(path, recipe, progress, log, rate, plateau)
            saver = Saver(
                path, recipe, record, steps, validation is not None, identity.of(recipe, data),
                model, averages, team, check,
                again="the same command without --fresh" if fresh else "the same command",
            )  # fmt: skip
            if progress.epoch < recipe.epochs and not record.stopped_early:
                if recipe.rollbacks and not resumed:
                    saver.save()  # to return to
                with stopping.noted(path, progress), postponed(), sums_in_fixed_order():
                    state.fit(
                        trained, epochs_of, validation, steps=steps, say=say,
                        changes=[epoch for epoch, _ in recipe.sizes],
                        verbose=(1 if sys.stdout.isatty() else 2) if verbose else 0,
                        callbacks=[
                            *([BuildOnce()] if replicas > 1 else []),
                            *([averages] if averages else []),
                            writer,
                            record,
                            saver,
                            keras.callbacks.TensorBoard(path / "tensorboard", write_graph=False),
                            *callbacks,
                        ],
                    )  # fmt: skip
            if not team.chief:
                return Run(home)  # which the chief finishes alone
            stopping.clear(path)
            rows = progress.rows
            stopped_early = len(rows) < recipe.epochs and record.stopped_early
            if stopped_early:
                say(outcome.stop_report(recipe, rows))

            # Keep the chosen epoch's weights
            if averages:
                averages.swap()
            best = best_epoch(rows, recipe.select_by)
            epoch = len(rows)
            if recipe.select == "best":
                epoch = best = checkpoint.kept_best(path, best)
                arrays, _ = checkpoint.read(checkpoint.best_file(path, epoch))
                checkpoint.assign(checkpoint.weights(model), arrays, of=f"epoch {epoch}'s file")

        network = team.alone(network)
        with scope.scope() if team.count == 1 else contextlib.nullcontext():
            model = network
            if (recipe.average or "").startswith("swa"):
                optimize.update_batch_norm(model, training_images(recipe))
            if recipe.stop_on_nan:
                require_finite_result(model)

            # Save the network before the test set is opened, which may fail
            locking.require_held(path)
            write_metrics(path, rows)
            report.curves(rows, path / "curves.png", f"{name}: {recipe.model}", log.curve())
            inference.write(path, recipe, tuple(data.classes), input_shape)
            write_model(path / "model.keras", model)

            # Evaluate: the only place that opens the test set
            check()
            measured = Run(path).known_result if wrong and not longer else None
            if measured is None and test:
                measured = testing.evaluate(once.rest if once else model, used, own, say)
        finished.write_result(
            path, name, recipe, data, progress, network, epoch=epoch, best=best,
            stopped_early=stopped_early, measured=measured,
        )  # fmt: skip
    say(outcome.verdict(Run(path)))
    return Run(path)


def _extended(recipe: Recipe, epochs: int | None) -> Recipe:
    if epochs is None:
        return recipe
    if epochs <= recipe.epochs:
        raise ValueError(
            f"extend={epochs}: must be more than epochs={recipe.epochs}, which it extends"
        )
    return dataclasses.replace(recipe, epochs=epochs)


def _compile(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, recipe: Recipe, classes: int
) -> None:
    loss, metrics = optimize.loss(recipe), optimize.metrics(recipe, classes)
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics)
