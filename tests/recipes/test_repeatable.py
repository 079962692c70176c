"""No sum in a training step is computed in an order that depends on the timing of threads.

Grappler rewrites large sums so that they are; a training on the CPU switches Grappler off. Apart
from that, TensorFlow's AddN starts with the first input whose memory it can reuse. With three or
more inputs, the result then depends on which other operations have finished. This is impossible if
nothing else reads the first input, or only operations that finish before AddN starts.
"""

import contextlib

import keras
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

import zoo
from recipes import Recipe, optimize
from recipes.training.repeatable import sums_in_fixed_order

SUMS = ("AddN", "_MklAddN")
OFF = "disable_meta_optimizer"
OPTIMIZERS = [
    {"optimizer": "sgd", "weight_decay": 1e-3},
    {"optimizer": "sgd", "weight_decay": 1e-3, "nesterov": True, "clip_norm": 1.0},
    {"optimizer": "sgd", "weight_decay": 1e-3, "accumulate": 4},
    {"optimizer": "rmsprop", "weight_decay": 1e-3},
    {"optimizer": "adam"},
    {"optimizer": "adamw", "weight_decay": 1e-3},
    {"optimizer": "lamb", "weight_decay": 1e-3},
    {"optimizer": "adagrad", "weight_decay": 1e-3},
    {"optimizer": "muon", "weight_decay": 1e-3, "nesterov": True},
]


def timed_sums(model, size=32, **fields):
    """Train a model for a step, and return the sums whose order may vary."""
    recipe = Recipe(**{"model": "mlp", "data": "digits", **fields})
    model = optimize.training_model(recipe, model)
    rate = optimize.schedule(recipe, 10)
    model.compile(
        optimizer=optimize.optimizer(recipe, rate, model), loss=optimize.loss(recipe),
        metrics=optimize.metrics(recipe, 4),
    )  # fmt: skip
    images = tf.random.normal((4, *(side or size for side in model.input_shape[1:])))
    context.enable_run_metadata()
    model.train_on_batch(images, tf.one_hot([0, 1, 2, 3], 4))
    metadata = context.export_run_metadata()
    context.disable_run_metadata()
    found: list[str] = []
    for graph in (each.post_optimization_graph for each in metadata.function_graphs):
        bodies = [list(graph.node), *(list(f.node_def) for f in graph.library.function)]
        for nodes in bodies:
            found += [node.name for node in nodes if node.op in SUMS and _may_vary(node, nodes)]
    return found


def _may_vary(node, nodes):
    inputs = [name for name in node.input if not name.startswith("^")]
    if len(inputs) < 3:
        return False
    readers = [n for n in nodes if n is not node and inputs[0] in n.input]
    before = _ancestors(inputs[1:], {n.name: n for n in nodes})
    return inputs.count(inputs[0]) > 1 or any(reader.name not in before for reader in readers)


def _ancestors(names, by_name):
    found, waiting = set(), [_node_of(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in found:
            found.add(name)
            waiting += [_node_of(each) for each in by_name[name].input]
    return found


def _node_of(name):
    return name.lstrip("^").split(":")[0]


@pytest.mark.quick
@pytest.mark.parametrize("fixed", [False, True])
def test_additions_are_merged_to_a_sum_whose_order_varies_only_by_grappler(fixed):
    w = tf.Variable(tf.ones(3))

    @tf.function
    def step(x):
        g = tf.sin(x)
        w.assign(0.9 * w + (g + 0.1 * x))
        return tf.reduce_sum(tf.square(g))

    with sums_in_fixed_order() if fixed else contextlib.nullcontext():
        context.enable_run_metadata()
        step(tf.ones(3))
        graphs = context.export_run_metadata().function_graphs
        context.disable_run_metadata()
    nodes = [n for g in graphs for n in (*g.post_optimization_graph.node, *_inlined(g))]
    assert any(node.op == "Sin" for node in nodes)
    assert any(_may_vary(node, nodes) for node in nodes if node.op in SUMS) != fixed
    assert tf.config.optimizer.get_experimental_options().get(OFF, False) is False


def _inlined(graph):
    for function in graph.post_optimization_graph.library.function:
        yield from function.node_def


def test_a_training_computes_sums_in_a_fixed_order(tiny, train):
    def note(batch=None, logs=None):
        seen.append(tf.config.optimizer.get_experimental_options()[OFF])

    seen: list[bool] = []
    train(tiny, epochs=1, callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=note)])
    note()
    assert seen == [True] * 6 + [False]


@pytest.mark.quick
@pytest.mark.parametrize(
    "fields", OPTIMIZERS, ids=lambda fields: "-".join(map(str, fields.values()))
)
def test_optimizers_add_in_a_fixed_order(fields):
    model = zoo.build("toy_mlp", num_classes=4, input_shape=(4, 4, 1), norm="batch", dropout=0.1)
    assert not timed_sums(model, **fields)


@pytest.mark.parametrize(
    "name",
    [
        "toy_basic",
        *(
            pytest.param(name, marks=pytest.mark.full)
            for name in (
                "toy_airbench", "toy_densenet", "toy_efficientnet", "toy_googlenet",
                "toy_inception", "toy_inception_resnet", "toy_inception_v4", "toy_mobilenet_v3",
                "toy_nasnet", "toy_preact_resnet", "toy_resnet", "toy_senet", "toy_wide_resnet",
            )
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("norm", [None, pytest.param("none", marks=pytest.mark.full)])
def test_networks_add_in_a_fixed_order(name, norm):
    model = zoo.build(name, num_classes=4, seed=0, **({} if norm is None else {"norm": norm}))
    assert not timed_sums(model, aux_weight=0.3)
    keras.utils.clear_session()
