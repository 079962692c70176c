"""Small images and networks to predict with, and the expected probabilities."""

import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

import zoo

CLASSES = ["zero", "one", "[bold]two", *map(str, range(3, 10))]


def photograph(path: Path, seed: int, size=(50, 40), **options) -> Path:
    """Write an image whose neighboring pixels are similar."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype="uint8")
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(path, **options)
    return path


def write_files(root: Path) -> None:
    """Write a run directory, a saved model, weights, three images and a broken one."""
    before = keras.layers.Rescaling(1 / 127.5, -1, name="input_rescaling")
    model = zoo.build("toy_vgg", seed=0, preprocess=before)
    (root / "run").mkdir()
    model.save(root / "run" / "model.keras")
    model.save(root / "alone.keras")
    about = {"name": "x", "recipe": {"eval_ops": []}, "classes": CLASSES, "sessions": []}
    (root / "run" / "recipe.json").write_text(json.dumps(about))
    zoo.build("toy_vgg", seed=0).save_weights(root / "toy.weights.h5")
    (root / "images" / "deeper").mkdir(parents=True)
    (root / "empty").mkdir()
    for i, name in enumerate(("a.png", "b.JPG", "deeper/a.png")):
        photograph(root / "images" / name, i)
    (root / "images" / "broken.jpg").write_bytes((root / "images/b.JPG").read_bytes()[:700])
    (root / "images" / "notes.txt").write_text("not an image")


def by_pillow(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB").resize((40, 32), Image.Resampling.BILINEAR))


def by_tensorflow(path: Path, height: int = 32, width: int = 40) -> np.ndarray:
    pixels = np.asarray(Image.open(path).convert("RGB"), "float32")
    return np.rint(tf.image.resize(pixels, (height, width), antialias=True))


def expected(model, path: Path, resized=by_tensorflow) -> np.ndarray:
    """Return the probabilities of the central 32x32 pixels of the image resized to 32x40."""
    pixels = resized(path)[None, :, 4:36].astype("float32")
    logits = np.asarray(model(pixels), "float64")[0]
    return np.exp(logits) / np.exp(logits).sum()
