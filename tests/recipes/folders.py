"""Folders of small images, for the tests of data sets in folders."""

import numpy as np
from PIL import Image


def pixels(seed, height=10, width=12):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def write(path, seed=0, height=10, width=12, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed, height, width)).save(path, **options)
    return path


def make_folder(root, splits=("train", "test"), classes=("cat", "dog"), count=6, size=(10, 12)):
    """Write different PNG files PATH/SPLIT/CLASS/N.png; for split "", PATH/CLASS/N.png."""
    seed = 0
    for part in splits:
        for name in classes:
            for number in range(count):
                write(root / part / name / f"{number}.png", seed, *size)
                seed += 1
    return f"folder:{root}"


def spoil(path, how="cut"):
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"no"}[how])
    return path
