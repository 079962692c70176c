"""Augmentation: pure, seeded operations on images.

An op is a frozen dataclass with one or more of these methods:

    op(image, seed)                  transform an image [H, W, C], uint8 or float32 in 0..255
    op.decode(data, seed, channels)  the same for encoded JPEG or PNG bytes, decoded as needed
    op.in_turn(image, seed, turn)    the same in training, with a seed that all epochs share and the
                                     number of times that the image was shown before
    op.batch(images, labels, seed)   transform images [B, H, W, C] and soft labels [B, classes]
    op.repeat(items, batch)          turn an epoch's dataset of items into one of (copy, item)
    op.images(batch)                 for op.repeat: return the number of different images of a batch

The seed, an int32 tensor of shape [2], is the only source of randomness. Integer images are
computed in float32, clipped to 0..255 and rounded once.
"""

from recipes.augment.auto import AugMix, AutoAugment, RandAugment, TrivialAugment
from recipes.augment.color import ColorJitter, Grayscale, Lighting
from recipes.augment.crops import PadCrop, RandomResizedCrop, ScaleJitter
from recipes.augment.decoding import decode_image
from recipes.augment.erasing import Cutout, RandomErasing
from recipes.augment.filters import GaussianBlur, Sharpness
from recipes.augment.geometry import Affine, AlternatingFlip, Flip, Rotate, Shear, Translate
from recipes.augment.mixing import CutMix, Mixup, MixupOrCutMix
from recipes.augment.pipeline import apply, apply_batch, repeat_of
from recipes.augment.registry import OPS, op, parse, parse_all
from recipes.augment.repeats import RepeatedAugmentation
from recipes.augment.sizes import CenterCrop, Resize, ResizeShort
from recipes.augment.tones import AutoContrast, Equalize, Invert, Posterize, Solarize

__all__ = [
    "OPS",
    "Affine",
    "AlternatingFlip",
    "AugMix",
    "AutoAugment",
    "AutoContrast",
    "CenterCrop",
    "ColorJitter",
    "CutMix",
    "Cutout",
    "Equalize",
    "Flip",
    "GaussianBlur",
    "Grayscale",
    "Invert",
    "Lighting",
    "Mixup",
    "MixupOrCutMix",
    "PadCrop",
    "Posterize",
    "RandAugment",
    "RandomErasing",
    "RandomResizedCrop",
    "RepeatedAugmentation",
    "Resize",
    "ResizeShort",
    "Rotate",
    "ScaleJitter",
    "Sharpness",
    "Shear",
    "Solarize",
    "Translate",
    "TrivialAugment",
    "apply",
    "apply_batch",
    "decode_image",
    "op",
    "parse",
    "parse_all",
    "repeat_of",
]
