"""Images, seeds and samples of every op, for the tests of augmentation."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from recipes.augment import (
    Affine,
    AlternatingFlip,
    AugMix,
    AutoAugment,
    AutoContrast,
    CenterCrop,
    ColorJitter,
    CutMix,
    Cutout,
    Equalize,
    Flip,
    GaussianBlur,
    Grayscale,
    Invert,
    Lighting,
    Mixup,
    MixupOrCutMix,
    PadCrop,
    Posterize,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
    RepeatedAugmentation,
    Resize,
    ResizeShort,
    Rotate,
    ScaleJitter,
    Sharpness,
    Shear,
    Solarize,
    Translate,
    TrivialAugment,
)

# Every op, with its defaults and without.
SAMPLES = [
    Resize(11),
    Resize((7, 12), method="bicubic", antialias=False),
    Resize(20, method="nearest"),
    ResizeShort(10),
    CenterCrop(6),
    CenterCrop((30, 4)),
    PadCrop(),
    PadCrop(pad=0),
    AlternatingFlip(),
    Flip(),
    Flip(probability=1.0),
    RandomResizedCrop(9),
    RandomResizedCrop((5, 8), area=(0.5, 0.5), aspect=(1, 1), antialias=False),
    RandomResizedCrop(7, method="area"),
    ScaleJitter((9, 14), 8),
    ScaleJitter(short=(16, 16), size=(16, 12)),
    Rotate(),
    Rotate(180, fill=255, interpolation="nearest"),
    Translate(),
    Translate(1.0, fill=9.0),
    Shear(),
    Shear(30, interpolation="nearest"),
    Affine(),
    Affine(20, translate=(0.1, 0.3), scale=(0.7, 1.5), shear=10.0),
    ColorJitter(),
    ColorJitter(0.8, 0.8, 0.8, hue=0.2),
    ColorJitter(brightness=2.0, contrast=0.0, saturation=0.0),
    ColorJitter(0, 0, 0, 0),
    Grayscale(),
    Grayscale(1.0),
    Lighting(),
    Cutout(),
    Cutout(3, value=0.0),
    RandomErasing(),
    RandomErasing(1.0, area=(0.1, 0.2), aspect=(1, 1), value=7.0),
    GaussianBlur(),
    GaussianBlur((3.0, 3.0), probability=1.0),
    Solarize(),
    Solarize(0.5, 1.0),
    Posterize(),
    Posterize(1, 1.0),
    Equalize(),
    Equalize(1.0),
    AutoContrast(),
    AutoContrast(1.0),
    Sharpness(),
    Sharpness(3.0, 1.0),
    Invert(),
    Invert(1.0),
    AutoAugment(),
    AutoAugment("cifar10"),
    RandAugment(),
    RandAugment(3, magnitude=7, deviation=0.5, probability=0.5),
    TrivialAugment(),
    AugMix(),
    AugMix(10, width=2, depth=2, alpha=0.5),
    Mixup(),
    Mixup(alpha=1, probability=0.5),
    CutMix(),
    CutMix(0.3, probability=0.5),
    MixupOrCutMix(),
    MixupOrCutMix(1.0, 1.0, switch=0.3, probability=0.9),
    RepeatedAugmentation(),
    RepeatedAugmentation(times=2),
]
SEED = (3, 4)


def seeds(count):
    return np.stack([np.full(count, 5), np.arange(count)], 1).astype(np.int32)


def draws(function, count, threads=None):
    """Return function(seed) for many seeds, as one array or a tuple of arrays."""
    data = tf.data.Dataset.from_tensor_slices(seeds(count)).map(function, threads).batch(count)
    return next(data.as_numpy_iterator())


def photo(height, width, seed=0):
    """Return a smooth color image, uint8."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 6 + 2, width // 6 + 2, 3))
    smooth = Image.fromarray(noise.astype(np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return np.asarray(smooth)


def encoded(image, kind="JPEG", **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def uniforms(seed, shape):
    """Return the random numbers from 0 to 1 that an op uses with this seed, float64."""
    return tf.random.stateless_uniform(shape, seed).numpy().astype(float)


def distance(one, two):
    """Return the absolute differences of two images."""
    return np.abs(np.asarray(one, float) - np.asarray(two, float))
