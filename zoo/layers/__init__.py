"""Layers that Keras does not have, or that are faster than its own.

They support all that Keras layers support: configs, saving, cloning, mixed precision and every
backend. All code of `zoo` for TensorFlow alone is in this folder, next to an alternative in plain
Keras.
"""

import sys

from zoo.layers.activations import (
    Activation,
    LeakyReLU,
    Unfused,
    activate,
    is_right_everywhere,
    open_ended,
    protect,
    reads_a_sum,
)
from zoo.layers.convolution import Conv2D
from zoo.layers.elementwise import Affine, Maxout, Scalar, SwishBeta
from zoo.layers.initializers import Dirac, DrawnInFloat32, RandomWalk
from zoo.layers.normalization import BatchNorm, LocalResponseNorm
from zoo.layers.recompute import Recompute
from zoo.layers.sizes import AdaptivePool2D, MaxPool2D, PadShortcut, SamePad

# Keras walks a functional graph recursively when it builds or loads a model. The 600 blocks of
# resnet1202 need more than Python's default limit of 1,000 frames.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 10_000))

__all__ = [
    "Activation",
    "AdaptivePool2D",
    "Affine",
    "BatchNorm",
    "Conv2D",
    "Dirac",
    "DrawnInFloat32",
    "LeakyReLU",
    "LocalResponseNorm",
    "MaxPool2D",
    "Maxout",
    "PadShortcut",
    "RandomWalk",
    "Recompute",
    "SamePad",
    "Scalar",
    "SwishBeta",
    "Unfused",
    "activate",
    "is_right_everywhere",
    "open_ended",
    "protect",
    "reads_a_sum",
]
