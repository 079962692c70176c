"""The hidden convolutions and dense layers of a network, each with the activation that follows."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import keras

from recipes.evaluation.predict import DROPOUTS
from zoo.graph import calls
from zoo.layers import Maxout
from zoo.surgery import is_auxiliary

KERNELS = (keras.layers.Conv2D, keras.layers.Dense, keras.layers.DepthwiseConv2D)
ACTIVATIONS = (
    keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU,
    keras.layers.ELU,
)  # fmt: skip


@dataclass(frozen=True)
class Hidden:
    """A hidden layer with a kernel.

    Attributes:
        layer: the convolution or dense layer.
        act: the activation layer that follows; None if there is none before the next kernel.
        input: the symbolic pre-activation.
        output: the symbolic activation.
        start: the first channel of the pre-activation that comes from the layer.
        channels: the number of these channels.
    """

    layer: Any
    act: Any
    input: Any
    output: Any
    start: int
    channels: int

    @property
    def pieces(self) -> int:
        """The number of channels of the pre-activation from which one of the activation comes."""
        return self.act.pieces if isinstance(self.act, Maxout) else 1

    @property
    def function(self) -> str:
        """The name of a Keras activation function, or ""."""
        return getattr(getattr(self.act, "activation", None), "__name__", "")

    def before(self, x):
        """Return the layer's own channels of the pre-activation."""
        return x[..., self.start : self.start + self.channels]

    def own(self, y):
        """Return the layer's own channels of the activation."""
        k = self.pieces
        return y[..., self.start // k : (self.start + self.channels) // k]


def dropped(layer) -> bool:
    """Return whether a layer drops units or branches."""
    return isinstance(layer, DROPOUTS)


def is_activation(layer) -> bool:
    """Return whether a layer is an activation, by its class or by the names used in zoo."""
    return layer.name.endswith("_act") or isinstance(layer, ACTIVATIONS)


def hidden_kernels(model: keras.Model) -> list[Hidden]:
    """Return the hidden layers with kernels of a flat model, in the order of its graph."""
    chain = calls(model)
    ends = {id(x) for x in model.outputs}
    readers = defaultdict(list)
    for place, call in enumerate(chain):
        for x in call.reads:
            readers[id(x)].append(place)
    return [
        _followed(call, chain, readers)
        for call in chain
        if isinstance(call.layer, KERNELS)
        and id(call.output) not in ends
        and not is_auxiliary(call.layer)
    ]


def _followed(call, chain: list, readers: dict) -> Hidden:
    """Return a layer with the first activation that its output reaches, in the graph's order."""
    channels = call.output.shape[-1]
    end = call.output  # of the layer and its norm
    starts = {id(call.output): 0}  # tensors that hold the layer's channels, and where
    waiting = {place: call.output for place in readers[id(call.output)]}
    while waiting:
        place = min(waiting)
        x = waiting.pop(place)
        after = chain[place]
        start = starts[id(x)]
        if is_activation(after.layer):
            return Hidden(call.layer, after.layer, x, after.output, start, channels)
        passed = _start_behind(after, x, start)
        if passed is None:
            continue
        if x is end and len(after.reads) == 1 and len(readers[id(x)]) == 1:
            end = after.output
        starts.setdefault(id(after.output), passed)
        for following in readers[id(after.output)]:
            waiting.setdefault(following, after.output)
    return Hidden(call.layer, None, end, end, 0, channels)


def _start_behind(call, x, start: int) -> int | None:
    """Return where the channels that start at `start` of x are in the output of a call, or None."""
    if isinstance(call.layer, KERNELS) or len(call.output.shape) != len(x.shape):
        return None
    if isinstance(call.layer, keras.layers.Concatenate):
        before = next(i for i, y in enumerate(call.reads) if y is x)
        return start + sum(y.shape[-1] for y in call.reads[:before])
    return start if call.output.shape[-1] == x.shape[-1] else None
