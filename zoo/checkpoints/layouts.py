"""The layouts of each family, and the tensors of a network in one of them."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.checkpoints import branched_names, keras_names, torch_names
from zoo.checkpoints.naming import Layout, modules, weighted
from zoo.lazy import keras
from zoo.registry import find

# Of each family; the first that has a rule for all layers is what a network is written in.
_AUX = r"(aux[12]|AuxLogits)\..*"
LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "alexnet": (Layout("torchvision", "torch", torch_names.ALEXNET),),
    "vgg": (
        Layout("torchvision", "torch", torch_names.VGG),
        Layout("timm", "torch", torch_names.VGG_TIMM, convolutions=r"pre_logits\.fc\d"),
        Layout("keras", "keras", keras_names.VGG),
    ),
    "googlenet": (Layout("torchvision", "torch", branched_names.GOOGLENET, extras=_AUX),),
    "inception": (
        Layout("torchvision", "torch", branched_names.INCEPTION_V3, extras=_AUX),
        Layout("timm", "torch", branched_names.INCEPTION_V4),
        Layout("timm", "torch", branched_names.INCEPTION_RESNET_V2),
        Layout("keras", "keras", keras_names.INCEPTION_V3),
        Layout("keras", "keras", keras_names.INCEPTION_RESNET_V2),
    ),
    "resnet": (
        Layout("torchvision", "torch", torch_names.RESNET),
        Layout("timm legacy", "torch", torch_names.LEGACY_SENET),
        Layout("keras", "keras", keras_names.RESNET),
    ),
    "senet": (Layout("timm legacy", "torch", torch_names.LEGACY_SENET),),
    "preact_resnet": (
        Layout("timm", "torch", torch_names.PREACT_RESNET, convolutions=r"head\.fc"),
        Layout("keras", "keras", keras_names.PREACT_RESNET),
    ),
    "densenet": (
        Layout("torchvision", "torch", torch_names.DENSENET),
        Layout("keras", "keras", keras_names.DENSENET),
    ),
    "mobilenet": (
        Layout("torchvision", "torch", torch_names.MOBILENET_V2),
        Layout("torchvision", "torch", torch_names.MOBILENET_V3),
        Layout("timm", "torch", torch_names.MOBILE_TIMM),
        Layout("timm", "torch", torch_names.MOBILENET_V3_TIMM, convolutions="conv_head"),
        Layout("keras", "keras", keras_names.MOBILENET_V1, convolutions="conv_preds"),
        Layout("keras", "keras", keras_names.MOBILENET_V2),
        Layout("keras", "keras", keras_names.MOBILENET_V3, convolutions="conv_2|logits"),
    ),
    "efficientnet": (
        Layout("torchvision", "torch", torch_names.EFFICIENTNET),
        Layout("timm", "torch", torch_names.MOBILE_TIMM),
        Layout("keras", "keras", keras_names.EFFICIENTNET, extras=r"normalization(:1)?/.*"),
    ),
    "nasnet": (
        Layout("timm", "torch", branched_names.NASNET),
        Layout("keras", "keras", keras_names.NASNET),
    ),
}


@dataclass(frozen=True)
class Tensor:
    """A variable of ours and the tensor that is the same elsewhere.

    Ours is theirs by `reshape(view).transpose(order)`, up to axes of length 1.

    Attributes:
        label: "layer/weight" of ours.
        name: theirs.
        variable: the Keras variable.
        view, order: see above.
        shape: theirs.
        head: a kernel or bias of a classifier, whose last axis is the classes.
        first: the kernel that sees the image, whose axis -2 is the channels.
        norm: of a convolution's kernel, the moving mean that can take its bias.
    """

    label: str
    name: str
    variable: Any = field(repr=False)
    view: tuple[int, ...]
    order: tuple[int, ...]
    shape: tuple[int, ...]
    head: bool = False
    first: bool = False
    norm: Any = field(default=None, repr=False)

    def outward(self) -> np.ndarray:
        """The variable's value as theirs, to be saved."""
        value = np.asarray(keras.ops.convert_to_numpy(self.variable))
        return value.reshape(self.view).transpose(self.order).reshape(self.shape)

    def inward(self, array: np.ndarray) -> np.ndarray:
        """Theirs as the variable's value. The number of classes or of channels may differ."""
        view, ours = list(self.view), list(self.variable.shape)
        if self.head:
            view[-1] = ours[-1] = self._classes(array)
        elif self.first:
            view[-2] = ours[-2] = array.shape[self.order.index(2)]
        theirs = array.reshape([view[i] for i in self.order])
        return theirs.transpose(np.argsort(self.order)).reshape(ours)

    def _classes(self, array: np.ndarray) -> int:
        return array.shape[0 if self.order[0] == len(self.order) - 1 else -1]

    def fits(self, array: np.ndarray) -> bool:
        """Whether theirs has the variable's shape, up to axes of length 1, the number of classes
        or of the image's channels. A dense layer may have its inputs in one axis."""
        shape = [self.view[i] for i in self.order]
        if self.head and array.ndim:
            shape[self.order.index(len(self.view) - 1)] = self._classes(array)
        elif self.first and array.ndim == 4:
            shape[self.order.index(2)] = array.shape[self.order.index(2)]
        flat = [shape[0], math.prod(shape[1:])] if self.order[0] != 0 else shape
        given = _squeezed(array.shape)
        return given == _squeezed(shape) or (
            len(self.variable.shape) == 2 and given == _squeezed(flat)
        )


def _squeezed(shape) -> list[int]:
    return [n for n in shape if n != 1]


def layouts(model) -> list[tuple[Layout, list[Tensor]]]:
    """The layouts that have a name for every layer of a network of ours, and its tensors.

    Raises:
        ValueError: the network's name is not in the catalog.
    """
    family = find(model.name).family
    found = []
    for layout in LAYOUTS.get(family, ()):
        names = modules(model, layout)
        if names is not None:
            found.append((layout, tensors(model, layout, names)))
    return found


_TORCH = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def tensors(model, layout: Layout, names: dict[str, str]) -> list[Tensor]:
    """All weights of a network, under the names of modules: our layer -> theirs."""
    norms = {id(x.input): x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)}
    kernels = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    found = []
    for layer in weighted(model):
        module = names[layer.name]
        for variable in layer.weights:
            name = f"{module}.{_TORCH.get(variable.name, variable.name)}"
            if layout.kind == "keras":
                name = module if "/" in module else f"{module}/{variable.name}"
            view, order = _axes(layer, variable, layout.kind)
            norm = norms.get(id(layer.output)) if variable.name == "kernel" else None
            found.append(
                Tensor(
                    f"{layer.name}/{variable.name}",
                    name,
                    variable,
                    view,
                    order,
                    _shape(view, order, variable, re.fullmatch(layout.convolutions, module)),
                    head=layer.name.endswith("_dense")
                    and not (is_hidden(layer.name) or layer.name.endswith("_2_dense")),
                    first=bool(kernels) and layer is kernels[0] and variable.name == "kernel",
                    norm=norm.moving_mean if norm is not None else None,
                )
            )
    return found


def is_hidden(layer: str) -> bool:
    """Whether it is a dense layer between the last features and the classifier."""
    return layer.startswith("fc_") or layer == "head_hidden_dense"


def _axes(layer, variable, kind: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How a variable of ours is to be seen, and in which order its axes come elsewhere."""
    shape = tuple(variable.shape)
    own = tuple(range(len(shape)))
    if variable.name != "kernel":
        return shape, own
    if kind == "keras":
        # A depthwise kernel (h, w, 1, channels) is Keras's (h, w, channels, 1).
        depthwise = len(shape) == 4 and shape[2] == 1 and layer.groups == shape[3] > 1
        return shape, (0, 1, 3, 2) if depthwise else own
    if len(shape) == 4:
        return shape, (3, 2, 0, 1)
    maker = layer.input._keras_history.operation
    if isinstance(maker, keras.layers.Flatten):
        # Torch flattens channels first.
        return (*maker.input.shape[1:], shape[1]), (3, 2, 0, 1)
    return shape, (1, 0)


def _shape(view, order, variable, convolution) -> tuple[int, ...]:
    """The shape there, where a dense layer of ours may be a convolution."""
    shape = tuple(view[i] for i in order)
    if variable.name != "kernel" or len(variable.shape) != 2:
        return shape
    if not convolution:
        return (shape[0], math.prod(shape[1:]))
    ones = (1,) * (4 - len(shape))
    return shape + ones if order[0] != 0 else ones + shape
