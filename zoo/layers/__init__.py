"""The layers that Keras lacks or is slow at; every one of ours that a saved model can hold.

They are Keras layers in full: configs, saving, cloning, mixed precision, every backend.
What is written for TensorFlow alone stands in this folder, with a plain Keras path beside it.
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
from zoo.layers.initializers import DrawnInFloat32, RandomWalk
from zoo.layers.normalization import BatchNorm, LocalResponseNorm
from zoo.layers.recompute import Recompute
from zoo.layers.sizes import AdaptivePool2D, MaxPool2D, PadShortcut, SamePad

# Keras walks a functional graph recursively, when it builds a model and when it loads one:
# the 600 blocks of resnet1202 need more than Python's 1,000 frames.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 10_000))

__all__ = [
    "Activation",
    "AdaptivePool2D",
    "Affine",
    "BatchNorm",
    "Conv2D",
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
