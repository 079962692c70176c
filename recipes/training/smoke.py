"""Train a recipe for two steps on random images with the shape of its data, as a test."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recipes import worker
from recipes.recipe import replace
from recipes.recipe_files import load

BATCH = 4


def two_steps(name: str) -> str:
    """Train a recipe for two steps, evaluate and save it in a separate process.

    Pretrained weights are not loaded. A frozen body then has random weights and the loss may be
    large, so a large loss does not stop the training. The learning rate is reduced in proportion
    to the batch. Each recipe has its own process, because memory grows from network to network.

    Returns:
        One line with the number of parameters and the duration.

    Raises:
        RuntimeError: if it failed; the message is the last line of the process's stderr.
    """
    done = subprocess.run(
        worker.command("recipes.training.smoke", name), capture_output=True, text=True
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise RuntimeError(
            lines[-1] if lines else f"its process ended with exit code {done.returncode}"
        )
    return done.stdout.splitlines()[-1]


def two_steps_here(name: str) -> str:
    """Train a recipe for two steps like `two_steps`, but in this process."""
    from recipes.training.loop import train

    recipe = load(name)
    once = {} if recipe.freeze is None else {"cache_features": "never"}
    small = replace(
        recipe, data=made_up_like(recipe.data), lr=recipe.lr * BATCH / recipe.batch_size,
        batch_size=BATCH, epochs=1, warmup=0.0, validation=0.25, accumulate=1, weights=None,
        classes=(), images=None, per_class=None,
        milestones=(1.0,) if recipe.milestones else (), stop_at_loss=None, **once,
    )  # fmt: skip
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = train(small, run=Path(folder) / "run", strategy="one", verbose=False).result
    seconds = time.monotonic() - started
    return f"ok, {result['parameters']:,} parameters, {seconds:.0f} s"


def made_up_like(data: str) -> str:
    """Return the name of random data with the shape and classes of a data set."""
    height, width, channels, classes = 64, 64, 3, 10
    if data.startswith("made_up:"):
        _, shape, count, *_ = data.split(":")
        return f"made_up:{shape}:{count}:{2 * BATCH}"
    if not data.startswith("folder:"):
        from recipes.data.from_tfds import _builder, _keys

        info = _builder(data).info
        image, label = _keys(info)
        given = info.features[image].shape
        height, width = (side or 256 for side in given[:2])
        channels, classes = given[2], info.features[label].num_classes
    return f"made_up:{height}x{width}x{channels}:{classes}:{2 * BATCH}"


if __name__ == "__main__":
    print(two_steps_here(sys.argv[1]))
