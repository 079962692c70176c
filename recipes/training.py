"""From a recipe to a run directory, in one function to be read from top to bottom."""

import hashlib
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

import zoo
from recipes import checkpoint, distribute, inference, optimize, provenance, report
from recipes import data as data_sets
from recipes import network as network_of
from recipes.evaluation import judge_split
from recipes.files import read
from recipes.monitoring import Monitoring
from recipes.optimize.schedules import remarks
from recipes.recipe import Recipe, replace, style_of, to_json
from recipes.recording import Record, best_epoch
from recipes.run import Run, claim, default_path, locked, note_session, write_json, write_model
from zoo.graph import layers_of
from zoo.interrupts import remembered


def train(
    recipe: str | Path | Recipe,
    *,
    run: str | Path | None = None,
    strategy: str = "auto",
    test: bool = True,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: bool = True,
    **overrides: Any,
) -> Run:
    """Train a recipe to its end and judge it on the test set; an unfinished run goes on.

    Args:
        recipe: its name, its file's path, or a Recipe.
        run: the run directory; by default runs/NAME and a folder named by the overrides.
        strategy: "one", "mirrored", "mirrored:N" or "auto"; see recipes.distribute.
        test: False leaves the test set unread, as a search must; the result is then the
            validation set's, until the run is trained again with True.
        callbacks: Keras's or yours, called after ours; a resume does not restore their state.
        verbose: whether to show progress.
        overrides: other values for the recipe's fields; see recipes.replace.

    Raises:
        ValueError: an unknown name or value, bad data, a run directory that is in use or
            holds another recipe, or a loss that is no longer finite.
    """
    say = print if verbose else (lambda *_: None)

    # The recipe: all that can be checked is checked before anything starts.
    name, base = _named(recipe)
    recipe = replace(base, **overrides)
    zoo.resolve(recipe.model, **style_of(recipe))
    path = Path(run) if run is not None else default_path(name, base, recipe)

    with locked(path), network_of.precision(recipe.dtype), remembered() as check:
        claim(path, recipe)
        if Run(path).finished:
            if test and Run(path).result["split"] != "test":
                _open_test(Run(path), strategy)
            checkpoint.clear(path)
            say(verdict(Run(path)))
            return Run(path)

        # The data
        scope = distribute.strategy(strategy)
        replicas = scope.num_replicas_in_sync
        data = data_sets.open_for(recipe)
        classes = len(data.classes)
        _check(recipe, data, replicas, test)
        validation = data.validation and data_sets.evaluation_batches(
            data.validation, classes=classes, batch=recipe.batch, ops=recipe.eval_ops
        )
        seen = validation or data_sets.evaluation_batches(
            data.train, classes=classes, batch=recipe.batch, ops=recipe.eval_ops
        )
        input_shape = tuple(seen.element_spec[0].shape[1:])
        resumed = checkpoint.newest(path, say)
        rows: list[dict[str, Any]] = resumed[1]["rows"] if resumed else []
        images, steps = data_sets.training_batches(
            data.train, classes=classes, batch=recipe.batch, ops=recipe.augment,
            seed=recipe.seed, first_epoch=len(rows), epochs=recipe.epochs,
        )  # fmt: skip

        # The network and its optimizer
        keras.utils.set_random_seed(recipe.seed)
        with scope.scope():
            model = network_of.make(recipe, data, input_shape, say)
            # What is kept in the end: without auxiliary heads
            network = keras.Model(model.input, model.outputs[0], name=model.name)
            rate = optimize.schedule(recipe, steps)
            model = optimize.trainee(recipe, model)
            optimizer = optimize.optimizer(recipe, rate, model)
            gauges = optimizer.gauges
            model.compile(
                optimizer=optimizer,
                loss=optimize.loss(recipe),
                metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            )
            model.optimizer.build(model.trainable_variables)
            averages = optimize.Averages(model, recipe.average) if recipe.average else None

            # Go on from the last finished epoch
            plateau = None
            if recipe.schedule == "plateau":
                plateau = optimize.Plateau(rate, recipe.patience, recipe.gamma)
            if resumed:
                arrays, state = resumed
                targets = checkpoint.variables(model, averages)
                checkpoint.assign(targets, arrays, of=f"the checkpoint in {path}")
                if plateau:
                    plateau.set_state(state["plateau"])
            session = provenance.session(scope)
            session |= {"first_epoch": len(rows) + 1, "images": data.images}
            note_session(path, name, recipe, tuple(data.classes), session)
            say(
                f"{name}: {recipe.model}, {_sizes(network)}, {data.train.count:,} images, "
                f"{_epochs(len(rows), recipe.epochs)}; run: {path}"
            )
            for remark in remarks(recipe, steps):
                say(remark)

            # Train
            if len(rows) < recipe.epochs:
                monitoring = Monitoring(gauges, recipe.monitor, steps, path / "tensorboard")
                first_loss = resumed[1]["first_loss"] if resumed else None
                record = Record(path, recipe, rows, rate, plateau, monitoring.row, first_loss)
                model.fit(
                    images, shuffle=False, steps_per_epoch=steps, validation_data=validation,
                    initial_epoch=len(rows), epochs=recipe.epochs,
                    verbose=(1 if sys.stdout.isatty() else 2) if verbose else 0,
                    callbacks=[
                        keras.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: check()),
                        *([averages] if averages else []),
                        monitoring,
                        record,
                        checkpoint.Checkpoint(
                            path, record.state, recipe.select == "best", averages
                        ),
                        keras.callbacks.TensorBoard(path / "tensorboard", write_graph=False),
                        *callbacks,
                    ],
                )  # fmt: skip

            # Keep the chosen epoch's weights
            if averages:
                averages.swap()
            epoch = best_epoch(rows) if recipe.select == "best" else len(rows)
            if recipe.select == "best":
                arrays, _ = checkpoint.read(checkpoint.best_file(path, epoch))
                checkpoint.assign(checkpoint.weights(model), arrays, of=f"epoch {epoch}'s file")
            model = network
            if (recipe.average or "").startswith("swa"):
                optimize.refresh_norms(model, optimize.training_images(recipe))
            row = rows[epoch - 1]

            # Judge: the one place that opens the test set
            if test:
                judged = judge_split(model, data.open_test(), classes, recipe)
                judged["split"] = "test"
            else:
                judged = {"top1": row.get("val_accuracy"), "loss": row.get("val_loss")}
                judged |= {"samples": getattr(data.validation, "count", 0), "split": "validation"}

            # Save; result.json comes last, because it says that the run is finished
            report.curves(rows, path / "curves.png", f"{name}: {recipe.model}")
            inference.write(path, recipe, tuple(data.classes), input_shape)
            write_model(path / "model.keras", model)
        judged |= {
            "val_accuracy": row.get("val_accuracy"),
            "val_samples": getattr(data.validation, "count", 0),
            "epoch": epoch,
            "epochs": len(rows),
            "seconds": round(sum(r["seconds"] for r in rows), 1),
            "parameters": _parameters(network),
            "model": recipe.model,
            "recipe": name,
        }
        write_json(path / "result.json", judged)
        checkpoint.clear(path)
    say(verdict(Run(path)))
    return Run(path)


def _open_test(run: Run, strategy: str) -> None:
    """Judge a run that was finished with test=False on the test set."""
    data = data_sets.open_for(run.recipe)
    if tuple(data.classes) != run.classes:
        raise ValueError(f"{run.recipe.data} has other classes than when {str(run.path)!r} began")
    with distribute.strategy(strategy).scope():
        judged = judge_split(run.model, data.open_test(), len(run.classes), run.recipe)
    write_json(run.path / "result.json", run.result | judged | {"split": "test"})


def verdict(run: Run) -> str:
    """A finished run's result in one line."""
    result = run.result
    right = round(result["top1"] * result["samples"])
    return (
        f"{result['split']} accuracy {result['top1']:.4f} ({right} of {result['samples']}), "
        f"loss {result['loss']:.4f}, epoch {result['epoch']} of {result['epochs']}, "
        f"{result['seconds']:.0f} s; run: {run.path}"
    )


def _named(recipe: str | Path | Recipe) -> tuple[str, Recipe]:
    """A recipe and the name of its runs."""
    if not isinstance(recipe, Recipe):
        file = read(recipe)
        return file.name, file.recipe
    digest = hashlib.sha256(json.dumps(to_json(recipe), sort_keys=True).encode()).hexdigest()
    return f"{recipe.model}-{digest[:8]}", recipe


def _check(recipe: Recipe, data: Any, replicas: int, test: bool) -> None:
    """Whether recipe, data and machine go together."""
    if recipe.batch > data.train.count:
        raise ValueError(f"batch={recipe.batch} is more than the {data.train.count} images")
    if recipe.batch % replicas:
        raise ValueError(f"batch={recipe.batch} does not divide among {replicas} replicas")
    if recipe.batch % (replicas * recipe.accumulate):
        raise ValueError(
            f"batch={recipe.batch} does not divide among {replicas} replicas in "
            f"{recipe.accumulate} parts: accumulate"
        )
    if recipe.dtype == "mixed_float16" and replicas > 1:
        # Keras's loss scaling looks at one replica's gradients only.
        raise ValueError(f"mixed_float16 runs on one device, not {replicas}: use mixed_bfloat16")
    wants = {
        "schedule='plateau'": recipe.schedule == "plateau",
        "select='best'": recipe.select == "best",
        "test=False": not test,
    }
    for what, wanted in wants.items():
        if wanted and data.validation is None:
            raise ValueError(f"{what} needs a validation set, and {data.name} has none here")


def _epochs(done: int, of: int) -> str:
    return f"epochs {done + 1} to {of}" if done < of else f"all {of} epochs done before"


def _parameters(network: keras.Model) -> int:
    """All that can be trained, though some may be frozen."""
    fixed = ("moving_mean", "moving_variance", "seed_generator_state")
    return sum(
        math.prod(weight.shape)
        for layer in layers_of(network)
        if not layer.name.startswith("input_")
        for weight in layer.weights
        if weight.name not in fixed
    )


def _sizes(network: keras.Model) -> str:
    every = _parameters(network)
    trained = sum(math.prod(v.shape) for v in network.trainable_variables)
    return f"{every:,} parameters" + (f" ({trained:,} trained)" if trained != every else "")
