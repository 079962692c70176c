"""Optimizers against the formulas of their papers in NumPy: 20 steps, changing learning rates."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from recipes import Recipe, optimize
from recipes.optimize.per_variable import variable_multipliers

pytestmark = pytest.mark.quick

RATES = np.repeat([0.1, 0.1, 0.02, 0.5, 0.003], 4)
RNG = np.random.default_rng(0)
KERNEL, BIAS = RNG.normal(size=(3, 2)), RNG.normal(size=2)
GRADIENTS = [(RNG.normal(size=(3, 2)), RNG.normal(size=2)) for _ in RATES]


def ours(name, rates=RATES, gradients=GRADIENTS, **fields):
    """Return a kernel and a bias after the recipe's optimizer has applied the gradients."""
    recipe = Recipe(model="mlp", data="digits", optimizer=name, **fields)
    rate = keras.Variable(rates[0])
    made = optimize.optimizer(recipe, lambda: rate.value)
    variables = [keras.Variable(KERNEL, name="kernel"), keras.Variable(BIAS, name="bias")]
    made.build(variables)
    for now, pair in zip(rates, gradients, strict=True):
        rate.assign(now)
        made.apply([tf.constant(g, tf.float32) for g in pair], variables)
    return [v.numpy() for v in variables]


def sgd(w, gradients, decay):
    v = 0.0
    for rate, g in zip(RATES, gradients, strict=True):
        v = 0.9 * v + g + decay * w
        w = w - rate * v
    return w


def adamw(w, gradients, decay):
    m, v = 0.0, 0.0
    for t, (rate, g) in enumerate(zip(RATES / 20, gradients, strict=True), 1):
        w = w - rate * decay * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        root = np.sqrt(v / (1 - 0.999**t))
        # Keras adds epsilon to the uncorrected root, as at the end of section 2 of the paper.
        w = w - rate * m / (1 - 0.9**t) / (root + 1e-7 / np.sqrt(1 - 0.999**t))
    return w


def rmsprop(w, gradients, decay):
    """Compute updates of tf.compat.v1.train.RMSPropOptimizer."""
    square, v = np.ones_like(w), 0.0
    for rate, g in zip(RATES, gradients, strict=True):
        g = g + decay * w
        square = 0.9 * square + 0.1 * g**2
        v = 0.9 * v + rate * g / np.sqrt(square + 0.001)
        w = w - v
    return w


def lamb(w, gradients, decay, adapt=True):
    m, v = 0.0, 0.0
    for t, (rate, g) in enumerate(zip(RATES, gradients, strict=True), 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        u = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-6) + decay * w
        ratio = np.linalg.norm(w) / np.linalg.norm(u) if adapt else 1.0
        w = w - rate * ratio * u
    return w


def adagrad(w, gradients, decay):
    total = 0.0
    for rate, g in zip(RATES, gradients, strict=True):
        g = g + decay * w
        total = total + g**2
        w = w - rate * g / (np.sqrt(total) + 1e-10)
    return w


def muon(w, gradients, decay):
    """Compute updates from singular value decompositions, which Muon avoids."""
    if w.ndim == 1:
        return sgd(w, gradients, 0.0)
    v = 0.0
    for rate, g in zip(RATES, gradients, strict=True):
        v = 0.9 * v + g
        left, values, right = np.linalg.svd(v, full_matrices=False)
        values = values / np.sqrt((values**2).sum())
        for _ in range(5):
            values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
        w = w - rate * (left @ np.diag(values) @ right + decay * w)
    return w


PAPERS = {"sgd": sgd, "adamw": adamw, "rmsprop": rmsprop, "lamb": lamb, "adagrad": adagrad}
PAPERS["muon"] = muon


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("decay_norms", [True, False])
def test_an_optimizer_follows_its_paper(name, decay, decay_norms):
    # Keras rounds 1 - 0.999**t to float32's 5 digits: Adam's usual rates keep that below 1e-6.
    rates = RATES / 20 if name == "adamw" else RATES
    decay_norms = decay_norms or name == "muon"  # never decays them
    kernel, bias = ours(name, rates, weight_decay=decay, decay_norms=decay_norms)
    kernels, biases = zip(*GRADIENTS, strict=True)
    # Orthogonalization enlarges errors of small singular values.
    close = 1e-5 if name == "muon" else 1e-6
    np.testing.assert_allclose(kernel, PAPERS[name](KERNEL, kernels, decay), atol=close, rtol=close)
    settings = {"adapt": False} if name == "lamb" and not decay_norms else {}
    theirs = PAPERS[name](BIAS, biases, decay if decay_norms else 0.0, **settings)
    np.testing.assert_allclose(bias, theirs, atol=1e-6, rtol=1e-6)


def test_muon_orthogonalizes_hidden_kernels_only():
    model = zoo.build("toy_airbench", input_shape=(16, 16, 1), num_classes=3, seed=0)
    recipe = Recipe(model="mlp", data="digits", optimizer="muon", lr=0.5, momentum=0.0)
    made = optimize.optimizer(recipe, optimize.schedule(recipe, 5), model)
    before = {v.path: v.numpy() for v in model.trainable_variables}
    rng = np.random.default_rng(0)
    gradients = [rng.normal(size=v.shape).astype("float32") for v in model.trainable_variables]
    made.apply([tf.constant(g) for g in gradients], model.trainable_variables)
    for v, g in zip(model.trainable_variables, gradients, strict=True):
        step = (before[v.path] - v.numpy()) / 0.5
        if not v.path.endswith("kernel") or v.path.startswith("head"):
            np.testing.assert_allclose(step, g, atol=1e-5, err_msg=v.path)
            continue
        matrix = step.reshape(-1, v.shape[-1])
        values = np.linalg.svd(matrix, compute_uv=False)
        scale = max(1, matrix.shape[1] / matrix.shape[0]) ** 0.5
        assert 0.6 * scale < values.min() < values.max() < 1.3 * scale, v.path


def test_rmsprop_equals_that_of_tensorflow_1():
    with tf.Graph().as_default() as graph:
        variable = tf.compat.v1.get_variable("w", initializer=KERNEL.astype(np.float32))
        rate = tf.compat.v1.placeholder(tf.float32, [])
        gradient = tf.compat.v1.placeholder(tf.float32, KERNEL.shape)
        tf1 = tf.compat.v1.train.RMSPropOptimizer(rate, 0.9, 0.9, 0.001)
        step = tf1.apply_gradients([(gradient, variable)])
        with tf.compat.v1.Session(graph=graph) as session:
            session.run(tf.compat.v1.global_variables_initializer())
            for now, (g, _) in zip(RATES, GRADIENTS, strict=True):
                session.run(step, {rate: now, gradient: g})
            theirs = session.run(variable)
    np.testing.assert_allclose(ours("rmsprop")[0], theirs, atol=1e-6, rtol=1e-6)


def test_lamb_works_if_a_norm_is_zero():
    made = optimize.LAMB(0.1)
    zero = keras.Variable(np.zeros(2, np.float32))
    made.apply([tf.constant([1.0, -1.0])], [zero])
    np.testing.assert_allclose(zero.numpy(), [-0.1, 0.1], rtol=1e-5)
    still = keras.Variable(np.ones(2, np.float32))
    optimize.LAMB(0.1).apply([tf.constant([0.0, 0.0])], [still])
    np.testing.assert_array_equal(still.numpy(), 1)


@pytest.mark.parametrize("epsilon", [1.0, 1e-8])
def test_epsilon_and_rho_reach_rmsprop(epsilon):
    kernel, _ = ours("rmsprop", epsilon=epsilon, rho=0.5, momentum=0.0, rates=RATES[:1],
                     gradients=GRADIENTS[:1])  # fmt: skip
    g = GRADIENTS[0][0]
    expected = KERNEL - 0.1 * g / np.sqrt(0.5 + 0.5 * g**2 + epsilon)
    np.testing.assert_allclose(kernel, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["sgd", "adamw", "rmsprop", "lamb"])
def test_lr_multipliers_equal_one_optimizer_per_stage(name):
    model = zoo.build("toy_lenet", input_shape=(24, 24, 1), num_classes=3, seed=0)
    names = list(dict.fromkeys(v.path.split("_")[0] for v in model.trainable_variables))
    rates = {names[0]: 0.1, "head": 2.0, "biases": 8.0}
    fields = {"model": "mlp", "data": "digits", "optimizer": name, "weight_decay": 0.01, "lr": 0.05}

    def made(factor, own=None):
        recipe = Recipe(**{**fields, "lr": 0.05 * factor}, lr_multipliers=own or {})
        return optimize.optimizer(recipe, optimize.schedule(recipe, 5), model)

    optimizer = made(1.0, rates)
    optimizer.build(model.trainable_variables)
    copies = {v.path: keras.Variable(v.numpy(), name=v.name) for v in model.trainable_variables}
    factors = {
        path: rates.get(path.split("_")[0], 1.0) * (8.0 if path.endswith("bias") else 1.0)
        for path in copies
    }
    assert set(factors.values()) == {0.1, 0.8, 1.0, 8.0, 2.0, 16.0}
    apart = {f: made(f) for f in set(factors.values())}
    rng = np.random.default_rng(0)
    for _ in range(5):
        g = {path: tf.constant(rng.normal(size=v.shape), "float32") for path, v in copies.items()}
        optimizer.apply([g[v.path] for v in model.trainable_variables], model.trainable_variables)
        for factor, one in apart.items():
            mine = [path for path in copies if factors[path] == factor]
            one.apply([g[path] for path in mine], [copies[path] for path in mine])
    for v in model.trainable_variables:
        np.testing.assert_allclose(v.numpy(), copies[v.path].numpy(), atol=1e-6, err_msg=v.path)


def test_the_multiplier_of_biases_includes_the_shifts_of_norms():
    model = zoo.build("toy_airbench", input_shape=(16, 16, 1), num_classes=3, norm_scale=True)
    found = variable_multipliers(model, {"biases": 64.0, "stage1": 0.5})
    names = {path: path.rpartition("/")[2] for path in (v.path for v in model.trainable_variables)}
    assert set(names.values()) == {"kernel", "bias", "gamma", "beta"}
    for path, name in names.items():
        stage = 0.5 if path.startswith("stage1") else 1.0
        assert found.get(path, 1.0) == stage * (64 if name in ("bias", "beta") else 1), path


def test_lr_multipliers_of_an_unknown_stage_are_an_error():
    model = zoo.build("toy_lenet", input_shape=(24, 24, 1), num_classes=3)
    recipe = Recipe(model="toy_lenet", data="digits", lr_multipliers={"haed": 0.1})
    with pytest.raises(ValueError, match=r"unknown stage with weights 'haed'; did you mean 'head'"):
        optimize.optimizer(recipe, optimize.schedule(recipe, 5), model)


def test_weight_decay_applies_only_to_kernels():
    model = zoo.build("toy_basic", input_shape=(16, 16, 1), num_classes=3)
    before = {v.path: v.numpy() for v in model.trainable_variables}
    recipe = Recipe(model="mlp", data="digits", lr=0.1, weight_decay=0.5, decay_norms=False)
    made = optimize.optimizer(recipe, optimize.schedule(recipe, 5))
    made.apply([tf.zeros(v.shape) for v in model.trainable_variables], model.trainable_variables)
    shrunk = {p for p, old in before.items() if old.any()}
    for v in model.trainable_variables:
        factor = 0.95 if v.ndim > 1 else 1.0
        np.testing.assert_allclose(v.numpy(), factor * before[v.path], rtol=1e-6, err_msg=v.path)
    assert {p.split("/")[-1] for p in shrunk} >= {"kernel", "gamma"}


@pytest.mark.parametrize("name", PAPERS)
def test_an_optimizer_survives_its_config(name):
    recipe = Recipe(model="mlp", data="digits", optimizer=name, clip_norm=2.0, lr=0.01)
    made = optimize.optimizer(recipe, optimize.schedule(recipe, 10))
    again = type(made).from_config(made.get_config())
    assert again.get_config() == made.get_config()
