"""The networks that tools/bench models compares, built equally on both sides, and their timers.

A training step is forward, cross-entropy, backward and SGD with momentum. It is the same plain
tf.function for our network and that of keras.applications, because Model.fit would add the same
work to both. Both are trained with one batch of noise that stays in memory.
"""

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

# number of steps -> seconds of wall time, and of CPU time on all cores
Timer = Callable[[int], tuple[float, float]]

MEASURES = ("build", "build_uniform", "train", "predict")
AGAINST = ("keras.applications", "keras_groups", "unfolded", "torchvision")


@dataclass(frozen=True)
class Pair:
    """A network of ours, and the same network in other libraries.

    Attributes:
        keras: the name in keras.applications; None if it is not there.
        options: the options of zoo.build that make ours equal to that of keras.applications.
            Functions are called with the image size.
        torch: whether torchvision has it under our name, equal to ours without options.
        groups: whether it is compared with the same network of keras.layers.Conv2D(groups=...).
        aims: the goals, (measure, against) -> ratio.
    """

    keras: str | None
    options: dict[str, Any] = field(default_factory=dict)
    torch: bool = True
    groups: bool = False
    aims: dict[tuple[str, str], float] = field(default_factory=dict)

    def rows(self, torch: bool) -> list[tuple[str, str]]:
        """Return the (measure, against) that can be compared."""
        rows = []
        if self.keras:
            rows += [(measure, "keras.applications") for measure in MEASURES]
            rows += [("predict", "unfolded")]
        if self.groups:
            rows += [("train", "keras_groups")]
        if self.torch and torch:
            rows += [(m, "torchvision") for m in ("build", "train", "predict")]
        return rows


_BUILD = {("build", "keras.applications"): 1.0, ("build_uniform", "keras.applications"): 1.0}
_TRAIN = {("train", "keras.applications"): 1.1}
_PREDICT = {("predict", "keras.applications"): 1.05, ("predict", "unfolded"): 1.05}
_AIMS = _BUILD | _TRAIN | _PREDICT
_RESNET = {("train", "keras.applications"): 1.2, ("train", "torchvision"): 1.1}
_SOURCE = {"padding": "tf", "norm_epsilon": 1e-3}

PAIRS = {
    "resnet50": Pair(
        "ResNet50",
        {"stride_first": True, "norm_bias": True, "norm_epsilon": 1.001e-5},
        aims=_AIMS | _RESNET,
    ),
    # Without norms there is nothing to fold, so there is no goal for prediction.
    "vgg16": Pair("VGG16", {"dropout": 0.0, "grid": lambda n: n // 32}, aims=_BUILD | _TRAIN),
    "densenet121": Pair("DenseNet121", {"norm_epsilon": 1.001e-5}, aims=_AIMS),
    "mobilenet_v2": Pair("MobileNetV2", {**_SOURCE, "dropout": 0.0}, aims=_AIMS),
    "efficientnet_b0": Pair("EfficientNetB0", _SOURCE, aims=_AIMS),
    "resnext50_32x4d": Pair(None, groups=True, aims={("train", "keras_groups"): 50.0}),
}
# The networks of --quick: small ones, and one for each kind of comparison.
QUICK = {
    "mobilenet_v1": Pair("MobileNet", torch=False, aims=_AIMS),
    "toy_resnet": Pair(None, torch=False, groups=True),
}


class Side(Protocol):
    """The network of one side."""

    parameters: int

    def timer(self, measure: str) -> Timer: ...


class Network:
    """A network in Keras.

    Args:
        make: a function that builds the network.
        noise: the images and labels.
        changed: a function that returns the network used for prediction, such as a folded one.
    """

    def __init__(self, make: Callable[[], Any], noise, changed: Callable = lambda model: model):
        self.make, self.noise, self.changed = make, noise, changed
        self.model = make()
        # Count only trainable weights: some networks of keras.applications have preprocessing
        # constants as weights.
        self.parameters = sum(math.prod(w.shape) for w in self.model.trainable_weights)

    def timer(self, measure: str) -> Timer:
        model = self.model
        if measure.startswith("build"):
            self.model = None
            return timer(self.make, forget)
        images, labels = self.noise
        if measure == "predict":
            predict = prediction(self.changed(model))
            return timer(lambda: predict(images).numpy())
        step = training(model)
        return timer(lambda: step(images, labels).numpy())


def timer(run: Callable[[], object], before: Callable[[], object] = lambda: None) -> Timer:
    """Return a timer of run(). `before` is called before each run and is not timed."""

    def timed(steps: int) -> tuple[float, float]:
        wall = cpu = 0.0
        for _ in range(steps):
            before()
            start = time.perf_counter(), time.process_time()
            run()
            wall += time.perf_counter() - start[0]
            cpu += time.process_time() - start[1]
        return wall, cpu

    return timed


def forget() -> None:
    """Free the memory of previous models."""
    import keras

    keras.utils.clear_session()
    gc.collect()


def sides(
    name: str, pair: Pair, measure: str, against: str, batch: int, size: int, torch
) -> tuple[Side, Side]:
    """Return our network and theirs, for batches of `batch` images of `size` x `size` pixels.

    Raises:
        ValueError: their numbers of parameters differ, so they are different architectures.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    import zoo

    shape = (size, size, 3)
    options = pair.options if against in ("keras.applications", "unfolded") else {}
    options = {key: v(size) if callable(v) else v for key, v in options.items()}
    if measure == "build_uniform":
        options |= {"init": "glorot_uniform", "head_init": "glorot_uniform"}
    images = np.random.default_rng(0).normal(size=(batch, *shape)).astype("float32")
    noise = tf.constant(images), tf.constant(np.arange(batch) % 10)

    def build():
        return zoo.build(name, seed=0, input_shape=shape, **options)

    def application():
        make = getattr(keras.applications, pair.keras or "")
        return make(weights=None, input_shape=shape, classifier_activation=None)

    ours = Network(build, noise, zoo.fold_batchnorm)
    theirs: Side
    if against == "torchvision":
        theirs = torch.network(name, batch, size)
    else:
        make = {
            "keras.applications": application,
            "unfolded": build,
            "keras_groups": lambda: in_keras_layers(ours.model),
        }[against]
        theirs = Network(make, noise)
    if ours.parameters != theirs.parameters:
        raise ValueError(
            f"{name}: has {ours.parameters:,} parameters here and "
            f"{theirs.parameters:,} in {against}; they are not the same network"
        )
    return ours, theirs


def prediction(model):
    """Return a compiled function from images to logits."""
    import tensorflow as tf

    return tf.function(lambda images: model(images, training=False), jit_compile=False)


def training(model):
    """Return a compiled training step with SGD and momentum, from (images, labels) to the loss."""
    import keras
    import tensorflow as tf

    optimizer = keras.optimizers.SGD(0.001, momentum=0.9)
    optimizer.build(model.trainable_variables)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(jit_compile=False)
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = cross_entropy(labels, model(images, training=True))
        weights = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [w.value for w in weights]), weights)
        return loss

    return step


def in_keras_layers(model):
    """Return the network with Keras's own Conv2D and BatchNormalization instead of ours."""
    import keras

    from zoo import layers

    def plain(layer):
        config = layer.get_config()
        if isinstance(layer, layers.Conv2D):
            return keras.layers.Conv2D.from_config(config | {"padding": "same"})
        if isinstance(layer, layers.BatchNorm):
            return keras.layers.BatchNormalization.from_config(config)
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=plain)
