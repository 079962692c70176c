"""Add blocks to a trained network that are the identity at first."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from zoo import graph
from zoo.graph import Call
from zoo.lazy import keras, layers
from zoo.options import unknown


def deepen(model, **blocks: int):
    """Return a network with more blocks at the end of stages, and the same outputs in inference.

        deeper = zoo.deepen(model, stage3=2, stage4=1)

    This is the "solution by construction" of the lectures: a deeper network that copies a shallower
    one, and whose other blocks are the identity, is at least as good. In a new residual block, the
    branch is zero: its last scale is, or its last kernel if no norm follows. In a new plain block,
    each kernel is a Dirac (Zagoruyko & Komodakis 2017, DiracNets), and each batch norm is the
    identity until training changes its statistics.

    Args:
        model: a network of stages of blocks. It is not changed, and shares nothing with the result.
        blocks: number of blocks to add at the end of each stage, by the stage's name.

    Returns:
        A model with the weights of `model`. The new blocks continue the numbers of their stages.

    Raises:
        ValueError: the model has no such stage, a number is less than 1, or no block of a stage
            can be the identity. The message gives the reason.
    """
    flat = graph.unwrapped(model)
    chain = graph.calls(flat)
    stages = {name.split("_")[0] for call in chain if (name := graph.block_of(call.layer))}
    for stage, n in blocks.items():
        if stage not in stages:
            kind = f"stage of blocks of {model.name}"
            raise unknown(kind, stage, stages, "zoo.stages(model)")
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"{stage}={n!r}: must be a whole number of at least 1")
    templates = [_template(flat, chain, stage) for stage in blocks]
    ends = {t.calls[-1].layer.name: t for t in templates}
    added: list[tuple[_Template, dict]] = []

    def call(layer, *args, **kwargs):
        y = layer(*args, **kwargs)
        template = ends.get(layer.name)
        if template is None:
            return y
        for i in range(blocks[template.stage]):
            name = f"{template.stage}_block{template.number + 1 + i}"
            new = {c.layer.name: _named_anew(c.layer, template.name, name) for c in template.calls}
            values = {id(template.input): y}
            graph.run(template.calls, values, new)
            y = values[id(template.calls[-1].output)]
            added.append((template, new))
        return y

    deeper = keras.models.clone_model(flat, call_function=call)
    graph.copy_weights(flat, deeper)
    for template, new in added:
        for old in template.zeros:
            _zero(new[old])
        for old in template.diracs:
            _make_dirac(new[old])
    return graph.wrapped(deeper) if flat is not model else deeper


@dataclass(frozen=True)
class _Template:
    """A block to copy.

    Attributes:
        stage: name of its stage.
        name: name of the block.
        number: number of the last block in the stage.
        calls: the calls of the block's layers.
        input: the tensor that the block reads.
        zeros: names of the layers whose scale or kernel is set to zero, in a residual block.
        diracs: names of the layers whose kernel or norm becomes the identity, in a plain block.
    """

    stage: str
    name: str
    number: int
    calls: list[Call]
    input: object
    zeros: list[str]
    diracs: list[str]


def _template(model, chain: list[Call], stage: str) -> _Template:
    """Return the last block of a stage that can be the identity.

    Raises:
        ValueError: no block can. The message gives the reason for the last one.
    """
    found: dict[str, list[Call]] = {}
    for call in chain:
        block = graph.block_of(call.layer)
        if block and block.split("_")[0] == stage:
            found.setdefault(block, []).append(call)
    reason = ""
    number = max(int(name.rpartition("block")[2]) for name in found)
    for name, inside in reversed(found.items()):
        try:
            x, zeros, diracs = _identity(model, chain, inside)
            return _Template(stage, name, number, inside, x, zeros, diracs)
        except ValueError as error:
            reason = reason or f"{name} {error}"
    raise ValueError(
        f"{stage}: cannot be deepened in {model.name}, because {reason}; choose another stage"
    )


def _identity(model, chain: list[Call], inside: list[Call]):
    """Return (input, zeros, diracs) of a block that can be the identity.

    Raises:
        ValueError: it cannot; the message continues a sentence that starts with the block's name.
    """
    made = {id(call.output): call for call in inside}
    outside = {id(x): x for call in inside for x in call.reads if id(x) not in made}
    left = {id(x) for call in chain if call not in inside for x in call.reads}
    left |= {id(x) for x in model.outputs}
    if len(outside) != 1 or [id(c.output) for c in inside if id(c.output) in left] != [
        id(inside[-1].output)
    ]:
        raise ValueError("has more than one input or output")
    (x,) = outside.values()
    if tuple(x.shape) != tuple(inside[-1].output.shape):
        raise ValueError("changes the shape of its feature maps")
    sums = [call for call in inside if isinstance(call.layer, keras.layers.Add)]
    if not sums:
        if any(len(call.reads) > 1 for call in inside):
            raise ValueError("has branches that are not added")
        return x, [], list(_plain_kernels(inside))
    end = sums[-1]
    branches = [y for y in end.reads if id(y) != id(x)]
    if len(branches) != 1:
        raise ValueError("has a shortcut that is not the identity")
    for call in inside[inside.index(end) + 1 :]:
        _check_keeps(call.layer)
    return x, [_what_ends(branches[0], made)], []


def _what_ends(y, made: dict[int, Call]) -> str:
    """Return the name of the last layer before y that makes y zero if its weights are zero."""
    while id(y) in made:
        layer = made[id(y)].layer
        if getattr(layer, "gamma", None) is not None or hasattr(layer, "kernel"):
            return layer.name
        y = made[id(y)].reads[0]  # the first input of a product with gates is the feature maps
    raise ValueError("has a branch without weights")


def _plain_kernels(inside: list[Call]) -> Iterator[str]:
    """Yield the names of the kernels and batch norms of a chain that can be the identity."""
    for call in inside:
        layer = call.layer
        if hasattr(layer, "kernel"):
            channels, filters = call.input.shape[-1], call.output.shape[-1]
            if channels != filters or any(k % 2 == 0 for k in layer.kernel_size):
                raise ValueError(f"has a kernel that cannot be a Dirac: {layer.name}")
            yield layer.name
        elif isinstance(layer, keras.layers.BatchNormalization):
            if layer.gamma is None:
                raise ValueError(f"has a norm without a scale: {layer.name}")
            yield layer.name
        elif not isinstance(layer, keras.layers.Dropout):
            _check_keeps(layer)


def _check_keeps(layer) -> None:
    """Check that an activation does not change its own outputs, as ReLU, but not ELU.

    Raises:
        ValueError: it does, or the layer is not an activation.
    """
    if isinstance(layer, (keras.layers.GroupNormalization, layers.Maxout)) or layer.weights:
        raise ValueError(f"has a layer that changes activated values: {layer.name}")
    y = layer(np.linspace(-8, 8, 101, dtype="float32").reshape(1, 1, 1, -1))
    if not np.allclose(keras.ops.convert_to_numpy(layer(y)), keras.ops.convert_to_numpy(y)):
        raise ValueError(f"has an activation that changes activated values: {layer.name}")


def _named_anew(layer, old: str, new: str):
    """Return a copy of a layer of block `old` for block `new`, with its own seeds."""

    def renamed(value):
        if isinstance(value, dict):
            return {
                key: _other_seed(x, layer.name, new) if key == "seed" else renamed(x)
                for key, x in value.items()
            }
        return value

    config = renamed(layer.get_config())
    config["name"] = re.sub(rf"^{old}(?=_|$)", new, layer.name)
    return type(layer).from_config(config)


def _other_seed(seed, *names: str):
    if not isinstance(seed, int):
        return seed
    digest = hashlib.sha256("/".join([str(seed), *names]).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _zero(layer) -> None:
    """Make a layer return zero, by the scale of a norm or by a kernel."""
    weight = getattr(layer, "gamma", None)
    weight = layer.kernel if weight is None else weight
    weight.assign(np.zeros(weight.shape, "float32"))


def _make_dirac(layer) -> None:
    """Make a convolution or a batch norm the identity."""
    if isinstance(layer, keras.layers.BatchNormalization):
        layer.gamma.assign(keras.ops.sqrt(layer.moving_variance + layer.epsilon))
        return
    height, width, depth, filters = layer.kernel.shape
    kernel = np.zeros((height, width, depth, filters), "float32")
    out = np.arange(filters)
    kernel[height // 2, width // 2, out % depth, out] = 1
    layer.kernel.assign(kernel)
