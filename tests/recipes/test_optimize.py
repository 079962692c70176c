"""Optimizers and schedules against formulas in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from recipes import Recipe, optimize

pytestmark = pytest.mark.quick

RATES = [0.1, 0.1, 0.02, 0.5, 0.003]


def torch_sgd(w, gradients, momentum, nesterov, decay, clip):
    """Compute updates of torch.optim.SGD, as documented, with changing learning rates."""
    w, buffer = w.astype(np.float64), 0.0
    for step, g in enumerate(gradients):
        g = g.astype(np.float64)
        if clip is not None:
            g = g * min(1.0, clip / np.sqrt(np.sum(g**2)))
        g = g + decay * w
        buffer = momentum * buffer + g
        w = w - RATES[step // 4] * (g + momentum * buffer if nesterov else buffer)
    return w


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("clip", [None, 1.5])
def test_sgd_equals_torchs_with_changing_learning_rates(momentum, nesterov, decay, clip):
    rng = np.random.default_rng(0)
    start = rng.normal(size=7).astype(np.float32)
    gradients = rng.normal(size=(20, 7)).astype(np.float32)
    rate = keras.Variable(RATES[0])
    sgd = optimize.SGD(lambda: rate.value, momentum, nesterov, decay, clip)
    # With two variables, whose gradients are clipped by their common norm.
    parts = [keras.Variable(start[:3]), keras.Variable(start[3:])]
    sgd.build(parts)
    for step, g in enumerate(gradients):
        rate.assign(RATES[step // 4])
        sgd.apply([tf.constant(g[:3]), tf.constant(g[3:])], parts)
    ours = np.concatenate([p.numpy() for p in parts])
    theirs = torch_sgd(start, gradients, momentum, nesterov, decay, clip)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_equals_keras_with_global_clipnorm(name):
    recipe = Recipe(model="mlp", data="digits", optimizer=name, lr=0.01, clip_norm=1.0)
    if name == "adamw":
        recipe = Recipe(**{**recipe.__dict__, "weight_decay": 0.1})
    ours = optimize.optimizer(recipe, optimize.schedule(recipe, 5))
    plain = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}[name]
    settings = {"weight_decay": 0.1} if name == "adamw" else {}
    theirs = plain(0.01, global_clipnorm=1.0, **settings)
    a, b = keras.Variable([1.0, -2.0]), keras.Variable([1.0, -2.0])
    for g in np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32):
        ours.apply([tf.constant(g)], [a])
        theirs.apply([tf.constant(g)], [b])
    np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-7)


def rates(steps_per_epoch=10, **fields):
    recipe = Recipe(model="mlp", data="digits", lr=0.4, epochs=5, **fields)
    schedule = optimize.schedule(recipe, steps_per_epoch)
    return np.array([float(schedule(tf.constant(s, tf.int64))) for s in range(50)])


def test_schedules_follow_their_formulas():
    s = np.arange(50)
    warm = np.minimum(1, (s + 1) / 15)
    np.testing.assert_allclose(rates(), 0.4, rtol=1e-6)
    np.testing.assert_allclose(rates(warmup=1.5), 0.4 * warm, rtol=1e-6)
    cosine = 0.2 * (1 + np.cos(np.pi * np.clip((s - 15) / 35, 0, 1))) * warm
    np.testing.assert_allclose(rates(schedule="cosine", warmup=1.5), cosine, atol=1e-6)
    step = 0.4 * 0.5 ** ((s >= 20).astype(int) + (s >= 35))
    np.testing.assert_allclose(
        rates(schedule="step", milestones=(2, 3.5), gamma=0.5), step, rtol=1e-6
    )
    np.testing.assert_allclose(rates(schedule="plateau", warmup=1.5), 0.4 * warm, rtol=1e-6)


def test_plateau_waits_for_patience_epochs_without_a_lower_loss():
    recipe = Recipe(model="mlp", data="digits", lr=1.0, schedule="plateau", gamma=0.5, patience=2)
    schedule = optimize.schedule(recipe, 1)
    plateau = optimize.Plateau(schedule, recipe.patience, recipe.gamma)
    rate = []
    for loss in [3, 2, 2, 2.5, 1.9, 2, 2, 2, 2]:
        plateau.epoch_ended(loss)
        rate.append(float(schedule(0)))
    assert rate == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]

    resumed = optimize.Plateau(optimize.schedule(recipe, 1), recipe.patience, recipe.gamma)
    resumed.set_state(plateau.state)
    assert float(resumed.rate(0)) == 0.125
    assert resumed.state == plateau.state


def test_a_schedule_and_an_optimizer_survive_their_config():
    recipe = Recipe(model="mlp", data="digits", schedule="cosine", warmup=1, clip_norm=2.0)
    made = optimize.optimizer(recipe, optimize.schedule(recipe, 10))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    assert isinstance(again, optimize.SGD)
    assert again.get_config() == made.get_config()
