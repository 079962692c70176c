"""Run the remaining epochs of a training, also from the middle of one, with Keras's fit."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from recipes.training import checkpoint
from recipes.training.progress import Progress

# A function from (first epoch, first step in it, epoch to end before) to batches
Batches = Callable[[int, int, int], tf.data.Dataset]


def fit(
    model: keras.Model,
    batches: Batches,
    validation: tf.data.Dataset | None,
    *,
    steps: int,
    epochs: int,
    changes: Collection[int] = (),
    progress: Progress,
    metrics: dict[str, np.ndarray],
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: Any,
) -> None:
    """Train a compiled model from `progress` to the end.

    Args:
        model: compiled model.
        batches: the training data.
        validation: the validation data, or None.
        steps: number of steps of an epoch.
        epochs: number of epochs of the whole training.
        changes: epochs, counted from 0, whose batches have another shape than those before.
        progress: progress of the training, which the callbacks update.
        metrics: the metrics' variables in the middle of an epoch, from a checkpoint.
        callbacks: Keras callbacks. They may set model.stop_training.
        verbose: as in Keras.
    """
    epoch = progress.epoch
    model.stop_training = False
    if progress.step == steps:
        _finish_epoch(model, validation, epochs, progress, callbacks, verbose)
    elif progress.step:
        pause = _Pause(epoch + 1)
        model.fit(
            batches(epoch, progress.step, epoch + 1), shuffle=False,
            steps_per_epoch=steps - progress.step, validation_data=validation,
            initial_epoch=epoch, epochs=epochs, verbose=verbose,
            callbacks=[_Continue(metrics), *callbacks, pause],
        )  # fmt: skip
        model.stop_training = pause.stopped
    while progress.epoch < epochs and not model.stop_training:
        end = min((each for each in changes if progress.epoch < each < epochs), default=epochs)
        pause = _Pause(end)
        model.fit(
            batches(progress.epoch, 0, end), shuffle=False, steps_per_epoch=steps,
            validation_data=validation, initial_epoch=progress.epoch, epochs=epochs,
            verbose=verbose, callbacks=[*callbacks, pause],
        )  # fmt: skip
        model.stop_training = pause.stopped


class _Continue(keras.callbacks.Callback):
    """Continue the metrics of an epoch, which Keras has just reset."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        super().__init__()
        self.arrays = arrays

    def on_epoch_begin(self, epoch, logs=None):
        compiled = self.model._compile_metrics
        if not compiled.built:  # Keras creates their variables in the first step
            labels = tf.zeros([1, self.model.outputs[0].shape[-1]])
            compiled.build(labels, labels)
        checkpoint.assign(checkpoint.metrics(self.model), self.arrays, of="the metrics")


class _Pause(keras.callbacks.Callback):
    """End `fit` after a number of epochs, and note whether another callback has ended it."""

    def __init__(self, end: int):
        super().__init__()
        self.end, self.stopped = end, False

    def on_epoch_end(self, epoch, logs=None):
        self.stopped = self.model.stop_training
        if epoch + 1 == self.end:
            self.model.stop_training = True


def _finish_epoch(
    model: keras.Model,
    validation: tf.data.Dataset | None,
    epochs: int,
    progress: Progress,
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: Any,
) -> None:
    """Validate and end an epoch whose training steps are all done, as Keras's fit does."""
    called = keras.callbacks.CallbackList(
        [*callbacks], add_history=True, epochs=epochs, steps=progress.step, model=model
    )
    called.on_train_begin()
    called.on_epoch_begin(progress.epoch)
    logs = dict(progress.logs)
    if validation is not None:
        found = model.evaluate(validation, callbacks=called, return_dict=True, verbose=verbose)
        logs |= {f"val_{name}": value for name, value in found.items()}
    called.on_epoch_end(progress.epoch, logs)
    called.on_train_end(logs)
