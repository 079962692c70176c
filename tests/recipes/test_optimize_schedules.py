"""Schedules and losses against their formulas in NumPy."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from recipes import Recipe, optimize
from recipes.optimize.schedules import remarks
from recipes.values import average_of

pytestmark = pytest.mark.quick

S = np.arange(50)
WARM = np.minimum(1, (S + 1) / 15)


def rates(steps_per_epoch=10, **fields):
    recipe = Recipe(model="mlp", data="digits", lr=0.4, epochs=50 // steps_per_epoch, **fields)
    schedule = optimize.schedule(recipe, steps_per_epoch)
    return np.array([float(schedule(tf.constant(s, tf.int64))) for s in range(50)])


def test_polynomial_follows_its_formula():
    done = np.clip((S - 15) / 35, 0, 1)
    linear = rates(schedule="polynomial", warmup=1.5)
    np.testing.assert_allclose(linear, 0.4 * WARM * (1 - done), rtol=1e-5, atol=1e-7)
    square = rates(schedule="polynomial", warmup=1.5, power=2)
    np.testing.assert_allclose(square, 0.4 * WARM * (1 - done) ** 2, rtol=1e-5, atol=1e-7)


def test_exponential_decays_continuously_and_step_at_intervals():
    even = rates(schedule="exponential", gamma=0.94, step_size=2.4, warmup=1.5)
    np.testing.assert_allclose(even, 0.4 * WARM * 0.94 ** (S / 24), rtol=1e-5)
    np.testing.assert_allclose(
        rates(schedule="exponential", gamma=0.9), 0.4 * 0.9 ** (S / 10), rtol=1e-5
    )
    stairs = rates(schedule="step", gamma=0.97, step_size=2.4, warmup=1.5)
    np.testing.assert_allclose(stairs, 0.4 * WARM * 0.97 ** (S // 24), rtol=1e-5)


def test_schedule_unit_steps_counts_steps_instead_of_epochs():
    fields = {"schedule": "step", "gamma": 0.5}
    epochs = rates(**fields, milestones=(2, 3.5), warmup=1.5)
    np.testing.assert_array_equal(
        rates(**fields, milestones=(20, 35), warmup=15, schedule_unit="steps"), epochs
    )
    np.testing.assert_allclose(
        rates(schedule="step", step_size=7, gamma=0.5, schedule_unit="steps"),
        0.4 * 0.5 ** (S // 7),
        rtol=1e-6,
    )


def test_a_shortened_trial_keeps_the_number_of_decays():
    from recipes.search.spaces.space import trial_recipe as _with

    fields = {"schedule": "step", "step_size": 2.0, "warmup": 1.0, "epochs": 10}
    short = _with(Recipe(model="mlp", data="digits", **fields), {}, 5)
    assert (short.epochs, short.step_size, short.warmup) == (5, 1.0, 0.5)


def one_cycle(total, rise):
    """Compute torch.optim.lr_scheduler.OneCycleLR with three_phase=False, as in its source."""

    def cosine(start, end, share):
        return end + (start - end) / 2 * (1 + math.cos(math.pi * share))

    top = rise - 1
    return [
        cosine(0.4 / 25, 0.4, s / top) if s <= top
        else cosine(0.4, 0.4 / 25 / 1e4, (s - top) / (total - 1 - top))
        for s in range(total)
    ]  # fmt: skip


def test_one_cycle_equals_torchs():
    np.testing.assert_allclose(rates(schedule="one_cycle"), one_cycle(50, 15), rtol=1e-4, atol=1e-7)
    early = rates(schedule="one_cycle", warmup=2)
    np.testing.assert_allclose(early, one_cycle(50, 20), rtol=1e-4, atol=1e-7)


def test_the_momentum_of_one_cycle_equals_torchs():
    recipe = Recipe(
        model="mlp", data="digits", lr=0.4, epochs=5, schedule="one_cycle", momentum=0.95,
        min_momentum=0.85,
    )  # fmt: skip
    sgd = optimize.optimizer(recipe, optimize.schedule(recipe, 10))
    weight = keras.Variable([0.5, -1.0])
    sgd.build([weight])
    w, velocity = np.array([0.5, -1.0]), 0.0
    for step, rate in enumerate(one_cycle(50, 15)):
        # torch's OneCycleLR: cosines from 0.95 to 0.85 and back, opposite to the learning rate.
        share = step / 14 if step <= 14 else (step - 14) / (49 - 14)
        wave = (1 + math.cos(math.pi * share)) / 2
        momentum = 0.85 + 0.1 * (wave if step <= 14 else 1 - wave)
        gradient = np.sin([step, 2 * step])
        velocity = momentum * velocity + gradient
        w = w - rate * velocity
        sgd.apply([keras.ops.convert_to_tensor(gradient, "float32")])
        np.testing.assert_allclose(weight.numpy(), w, rtol=2e-5, atol=2e-5)
    again = optimize.SGD.from_config(sgd.get_config())
    assert again.get_config() == sgd.get_config()


def test_a_schedule_survives_its_config():
    fields = {"schedule": "step", "step_size": 2.4, "gamma": 0.97, "warmup": 1}
    made = optimize.schedule(Recipe(model="mlp", data="digits", **fields), 10)
    again = optimize.Schedule.from_config(made.get_config())
    assert again.get_config() == made.get_config()
    assert float(again(30)) == float(made(30))


REMARKS = [
    (
        "warmup=5: the learning rate still rises at the end, epochs=3",
        {"schedule": "cosine", "warmup": 5},
    ),
    (
        "warmup=3: the learning rate still rises at the end, epochs=3",
        {"schedule": "cosine", "warmup": 3},
    ),
    (
        "warmup=40: the learning rate still rises at the end, 30 steps",
        {"schedule": "one_cycle", "warmup": 40, "schedule_unit": "steps"},
    ),
    (
        "milestones=3, 9: the learning rate never decreases within epochs=3",
        {"schedule": "step", "milestones": (3, 9)},
    ),
    (
        "milestones=30: the learning rate never decreases within 30 steps",
        {"schedule": "step", "milestones": (30,), "schedule_unit": "steps"},
    ),
    (
        "step_size=30: the learning rate never decreases within epochs=3",
        {"schedule": "step", "step_size": 30},
    ),
    (
        "patience=2: the learning rate never decreases within epochs=3",
        {"schedule": "plateau", "patience": 2},
    ),
    (None, {"schedule": "plateau", "patience": 1}),
    (None, {"schedule": "cosine", "warmup": 2}),
    (None, {"schedule": "step", "milestones": (2.9, 9)}),
    (None, {"schedule": "step", "step_size": 29, "schedule_unit": "steps"}),
    (None, {"warmup": 3}),
]


@pytest.mark.parametrize(("remark", "fields"), REMARKS)
def test_a_schedule_that_never_decays_gives_a_remark(remark, fields):
    recipe = Recipe(model="mlp", data="digits", lr=0.5, epochs=3, **fields)
    assert remarks(recipe, 10) == ([remark] if remark else [])
    if recipe.schedule not in ("plateau", "constant"):  # a remark means that they never fall
        rates = [float(optimize.schedule(recipe, 10)(step)) for step in range(30)]
        assert (rates == sorted(rates)) == (remark is not None)


LOGITS = np.random.default_rng(0).normal(size=(6, 5)) * 9
LABELS = np.random.default_rng(1).dirichlet(np.ones(5), size=6)  # soft, as from mixup


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", ["softmax", "bce"])
def test_losses_of_soft_labels_follow_their_formulas(name, smoothing):
    recipe = Recipe(model="mlp", data="digits", loss=name, label_smoothing=smoothing)
    got = float(optimize.loss(recipe)(LABELS.astype("float32"), LOGITS.astype("float32")))
    smooth = LABELS * (1 - smoothing) + smoothing / 5
    if name == "softmax":
        logs = LOGITS - np.log(np.exp(LOGITS).sum(1, keepdims=True))
        expected = -(smooth * logs).sum(1).mean()
    else:
        yes = 1 / (1 + np.exp(-LOGITS))
        expected = -(smooth * np.log(yes) + (1 - smooth) * np.log1p(-yes)).mean()
    assert got == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["softmax", "bce"])
def test_losses_are_computed_in_float32(name):
    recipe = Recipe(model="mlp", data="digits", loss=name)
    halves = tf.constant(LOGITS, tf.bfloat16)
    got = optimize.loss(recipe)(tf.constant(LABELS, tf.float32), halves)
    assert got.dtype == tf.float32
    whole = optimize.loss(recipe)(tf.constant(LABELS, tf.float32), tf.cast(halves, tf.float32))
    assert float(got) == float(whole)


def test_label_threshold_sets_each_class_above_it_to_1():
    recipe = Recipe(
        model="mlp", data="digits", loss="bce", label_threshold=0.2, label_smoothing=0.1
    )
    mixed = np.array([[0.7, 0.3, 0.0], [0.85, 0.15, 0.0]])
    logits = np.array([[1.0, -2.0, 0.5], [0.3, 0.0, -1.0]])
    got = float(optimize.loss(recipe)(mixed.astype("float32"), logits.astype("float32")))
    labels = 0.9 * np.array([[1, 1, 0], [1, 0, 0]]) + 0.1 / 3
    yes = 1 / (1 + np.exp(-logits))
    expected = -(labels * np.log(yes) + (1 - labels) * np.log1p(-yes)).mean()
    assert got == pytest.approx(expected, rel=1e-5)


def test_the_initial_bce_loss_is_ln_2():
    recipe = Recipe(model="mlp", data="digits", loss="bce")
    got = float(optimize.loss(recipe)(keras.ops.eye(5), keras.ops.zeros((5, 5))))
    assert got == pytest.approx(math.log(2))


WRONG = {
    r"average='ema:1.5': must be 'polyak', 'ema:D'": {"average": "ema:1.5"},
    r"average='swa': must be": {"average": "swa"},
    r"average='swa:1.5': must be": {"average": "swa:1.5"},
    r"average='swa:inf': must be": {"average": "swa:inf"},
    r"average='lookahead': must be": {"average": "lookahead"},
    r"average='lookahead:0': must be": {"average": "lookahead:0"},
    r"average='lookahead:5:1.1': must be": {"average": "lookahead:5:1.1"},
    r"average='lookahead:5:': must be": {"average": "lookahead:5:"},
    r"average='ema:0.9:1': must be": {"average": "ema:0.9:1"},
    r"average='swa:4': averages the last 4 epochs, but epochs=3": {"average": "swa:4", "epochs": 3},
    r"label_threshold=0.2: only applies with loss='bce', but loss='softmax'": {
        "label_threshold": 0.2
    },
    r"schedule='step': set either milestones": {"schedule": "step"},
    r"learning rate decreases, or step_size": {
        "schedule": "step",
        "milestones": (1,),
        "step_size": 2,
    },
    r"step_size=0\.0: must be greater than 0": {"step_size": 0.0},
    r"lr_multipliers=.*: must be a dict of stages and multipliers of lr": {
        "lr_multipliers": {"head": -1}
    },
    r"the multiplier of each stage must be a number": {"lr_multipliers": {"head": "high"}},
    r"accumulate=3: batch_size=128 is not divisible by it": {"accumulate": 3},
    r"accumulate=0: must be at least 1": {"accumulate": 0},
    r"did you mean 'rmsprop'": {"optimizer": "rmsporp"},
    r"did you mean 'one_cycle'": {"schedule": "onecycle"},
    "min_momentum=0.8: only applies with schedule='one_cycle', but schedule='constant'": {
        "min_momentum": 0.8,
    },
    "min_momentum=0.95: must be at most momentum=0.9": {
        "min_momentum": 0.95,
        "schedule": "one_cycle",
    },
    r"did you mean 'steps'": {"schedule_unit": "step"},
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_fields_are_errors(message):
    with pytest.raises(ValueError, match=message):
        Recipe(model="mlp", data="digits", **WRONG[message])


def test_average_of_parses_the_field():
    assert average_of("polyak") == ("polyak", 0, None)
    assert average_of("ema:0.999") == ("ema", 0.999, None)
    assert average_of("swa:5") == ("swa", 5, None)
    assert average_of("lookahead:5") == ("lookahead", 5, None)
    assert average_of("lookahead:6:0.5") == ("lookahead", 6, 0.5)
