"""Write ONNX files with tf2onnx, without passing the large weights through it.

tf2onnx would hold about 70 copies of each weight: 7 GB for a ResNet-50, and more memory than most
machines have for a VGG. The large weights are therefore inputs of the graph that it converts, and
become constants afterwards.
"""

import math
from pathlib import Path

import keras
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

LARGE = 4_096  # elements; tf2onnx can simplify more if it knows the small weights


class _Weightless(keras.Model):
    """A network as a function of an image and some of its weights."""

    def __init__(self, network: keras.Model, held: list):
        super().__init__(name=network.name)
        self.network, self.held = network, held
        self.built = True

    def call(self, inputs):
        image, *values = inputs
        with keras.StatelessScope(state_mapping=list(zip(self.held, values, strict=True))):
            return self.network(image, training=False)


def write(model: keras.Model, path: Path, image: keras.InputSpec) -> None:
    """Write a network with one input, whose shape, dtype and name are those of `image`."""
    held = [w for w in model.weights if math.prod(w.shape) >= LARGE]
    inputs = [
        keras.InputSpec(shape=tuple(w.shape), dtype=w.dtype, name=f"weight_{i}")
        for i, w in enumerate(held)
    ]
    _Weightless(model, held).export(
        path, format="onnx", verbose=False, input_signature=[[image, *inputs]]
    )
    proto = onnx.load(path)
    graph = proto.graph
    first, *others = graph.input
    values = {
        given.name: keras.ops.convert_to_numpy(weight)
        for given, weight in zip(others, held, strict=True)
    }
    del graph.input[:]
    graph.input.append(first)
    _fold(graph, values, {each.domain: each.version for each in proto.opset_import})
    _keep_zeros(graph)
    onnx.save(proto, path)
    # tf2onnx copies operations that ONNX does not have without an error.
    onnx.checker.check_model(str(path))


def _fold(graph: onnx.GraphProto, values: dict, opsets: dict[str, int]) -> None:
    """Add `values` to the graph as constants, and evaluate nodes that only depend on constants."""
    values |= {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    for node in list(graph.node):
        if node.input and all(name in values for name in node.input):
            inputs = {name: values[name] for name in node.input}
            outputs = ReferenceEvaluator(node, opsets=opsets).run(None, inputs)
            values |= dict(zip(node.output, outputs, strict=True))
            graph.node.remove(node)
    del graph.initializer[:]
    for name in dict.fromkeys(name for node in graph.node for name in node.input):
        if name in values:
            graph.initializer.append(numpy_helper.from_array(values[name], name))


def _keep_zeros(graph: onnx.GraphProto) -> None:
    """Add an operation without effect between each padding with zeros and max pooling.

    onnxruntime (1.31) turns the two into max pooling with padding, which pads with minus infinity.
    """
    lowest = {
        each.name for each in graph.initializer if (numpy_helper.to_array(each) == -math.inf).all()
    }
    for node in list(graph.node):
        if node.op_type != "Pad" or lowest & {*node.input[2:]}:
            continue
        padded, at = node.output[0], list(graph.node).index(node)
        readers = [n for n in graph.node if padded in n.input]
        if any(reader.op_type == "MaxPool" for reader in readers):
            for reader in readers:
                reader.input[list(reader.input).index(padded)] = f"{padded}_kept"
            both = onnx.helper.make_node("Max", [padded, padded], [f"{padded}_kept"])
            graph.node.insert(at + 1, both)
