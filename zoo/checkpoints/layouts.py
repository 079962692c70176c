"""The layouts of each family, and the tensors of a network under the names of a layout."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.checkpoints import branched_names, keras_names, torch_names
from zoo.checkpoints.naming import Layout, modules, weighted
from zoo.lazy import keras
from zoo.registry import find

_AUX = r"(aux[12]|AuxLogits)\..*"
# family -> its layouts. A network is exported in the first one that has rules for all its layers.
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
        Layout(
            "efficientnet_pytorch",
            "torch",
            torch_names.EFFICIENTNET_PYTORCH,
            options={"padding": "tf", "norm_epsilon": 1e-3},
        ),
        Layout("keras", "keras", keras_names.EFFICIENTNET, extras=r"normalization(:1)?/.*"),
    ),
    "nasnet": (
        Layout("timm", "torch", branched_names.NASNET),
        Layout("keras", "keras", keras_names.NASNET),
    ),
}


@dataclass(frozen=True)
class Tensor:
    """A variable of our network and the corresponding tensor of another library.

    `ours.reshape(view).transpose(order)` is theirs, up to axes of length 1.

    Attributes:
        label: our name, "layer/weight".
        name: their name.
        variable: our Keras variable.
        view, order: the shape and the permutation of axes in the formula above.
        shape: their shape.
        head: whether it is a kernel or bias of the classifier. Its last axis has the classes.
        first: whether it is the kernel applied to the image. Its axis -2 has the channels.
        norm: for the kernel of a convolution, the moving mean of the batch norm that follows, from
            which a bias of the convolution can be subtracted; else None.
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
        """Return the variable's value in their shape and order of axes, for saving."""
        value = np.asarray(keras.ops.convert_to_numpy(self.variable))
        return value.reshape(self.view).transpose(self.order).reshape(self.shape)

    def inward(self, array: np.ndarray) -> np.ndarray:
        """Return their array as a value for the variable.

        The number of classes of a head, or of channels of the first kernel, may still differ.
        """
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
        """Return whether the array fits the variable.

        Axes of length 1, the number of classes of a head and the number of channels of the first
        kernel are ignored. The inputs of a dense layer may be flattened into one axis.
        """
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
    """Return each layout that names every layer of a network of ours, with the tensors under it.

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
    """Return all weights of a network under their names.

    Args:
        names: our layer -> their module, as `naming.modules` returns it.
    """
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
    """Return whether this is a dense layer between the last features and the classifier."""
    return layer.startswith("fc_") or layer == "head_hidden_dense"


def _axes(layer, variable, kind: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return Tensor's view and order for a variable of ours."""
    shape = tuple(variable.shape)
    own = tuple(range(len(shape)))
    if variable.name != "kernel":
        return shape, own
    if kind == "keras":
        # Our depthwise kernel is (h, w, 1, channels); that of Keras is (h, w, channels, 1).
        depthwise = len(shape) == 4 and shape[2] == 1 and layer.groups == shape[3] > 1
        return shape, (0, 1, 3, 2) if depthwise else own
    if len(shape) == 4:
        return shape, (3, 2, 0, 1)
    previous = layer.input._keras_history.operation
    if isinstance(previous, keras.layers.Flatten):
        # PyTorch flattens (channels, height, width), Keras (height, width, channels).
        return (*previous.input.shape[1:], shape[1]), (3, 2, 0, 1)
    return shape, (1, 0)


def _shape(view, order, variable, convolution) -> tuple[int, ...]:
    """Return their shape. A dense layer of ours may be a convolution in their network."""
    shape = tuple(view[i] for i in order)
    if variable.name != "kernel" or len(variable.shape) != 2:
        return shape
    if not convolution:
        return (shape[0], math.prod(shape[1:]))
    ones = (1,) * (4 - len(shape))
    return shape + ones if order[0] != 0 else ones + shape
