"""Many trainings in one process: the same as recipes.train, compiled once, with masks."""

import numpy as np
import pytest

import recipes
from recipes import Recipe
from recipes.augment import Flip, Mixup, PadCrop
from recipes.trainings import masks

LINEAR = Recipe(
    model="mlp", data="made_up:4x4x1:3:40", options={"hidden": ()}, preprocess="scale",
    batch_size=8, epochs=2, lr=0.3, weight_decay=0.01, validation=0.25,
)  # fmt: skip
# Images chosen by the seed, to which the preprocessing is fitted
MLP = Recipe(
    model="toy_mlp", data="digits", images=72, norm="batch", dropout=0.3, batch_size=8, epochs=3,
    lr=0.05, schedule="cosine", nesterov=True, clip_norm=1.0, weight_decay=1e-3, validation=0.2,
)  # fmt: skip
# Random augmentation, class weights, and AdamW, which has no momentum
AUGMENTED = Recipe(
    model="toy_mlp", data="made_up:8x8x1:4:96", augment=(Flip(), PadCrop(2), Mixup(0.2)),
    batch_size=16, epochs=4, optimizer="adamw", lr=1e-3, class_weight={"1": 3.0}, validation=0.2,
)  # fmt: skip
CONVOLUTIONS = {"model": "toy_lenet", "data": "made_up:24x24x1:4:96"}


@pytest.fixture(scope="module")
def linear():
    return recipes.Trainings(LINEAR)


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        (MLP, {"seed": 3, "lr": 0.2, "momentum": 0.5, "weight_decay": 0.1, "init": "xavier"}),
        (AUGMENTED, {"seed": 3, "weight_decay": 0.1}),
        pytest.param(
            recipes.replace(AUGMENTED, **CONVOLUTIONS), {"seed": 3}, marks=pytest.mark.full
        ),
    ],
    ids=["in memory", "augmented", "convolutions"],
)
def test_a_training_is_that_of_train(recipe, changes, train):
    many = recipes.Trainings(recipe)
    other = many.run(steps=2)
    before = other.test.loss
    ours = many.run(**changes)
    run = train(recipe, **changes)
    assert len(ours.losses) == len(run.steps) >= 20
    np.testing.assert_allclose(ours.losses, run.steps.loss, rtol=1e-5)
    np.testing.assert_allclose(ours.accuracies, run.steps.accuracy, rtol=1e-5)
    np.testing.assert_allclose(ours.val_losses, run.metrics.val_loss, rtol=1e-4)
    np.testing.assert_allclose(ours.val_accuracies, run.metrics.val_accuracy, rtol=1e-6)
    assert ours.test.loss == pytest.approx(run.result["loss"], rel=1e-4)
    assert ours.test_accuracy == pytest.approx(run.result["top1"])
    assert other.measure("test").loss == before
    weights = {v.path: np.array(v) for v in run.model.weights if v.path in ours.weights}
    assert len(weights) == len(ours.weights)
    for path, value in weights.items():
        np.testing.assert_allclose(ours.weights[path], value, atol=1e-5)
    assert many._compiled.epoch.experimental_get_tracing_count() <= 1
    assert many._compiled.piped_epoch.experimental_get_tracing_count() <= 1


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def trained_in_numpy(many, weights, mask, lr, momentum, decay, epochs):
    """Train a linear softmax classifier on all images in the trainings' order."""
    images, labels = many.images()
    x, w = images.reshape(len(images), -1), {n: np.array(v) for n, v in weights.items()}
    kernel, bias = "head_dense/kernel", "head_dense/bias"
    w[kernel] *= mask
    velocity = {name: 0.0 for name in w}
    losses, ratios = [], []
    for epoch in range(epochs):
        order = many._now.order(many.recipe.seed, epoch)
        for rows in order.reshape(-1, 8):
            p = softmax(x[rows] @ w[kernel] + w[bias])
            losses.append(-np.log(p[labels[rows] == 1]).mean())
            error = (p - labels[rows]) / len(rows)
            gradients = {kernel: x[rows].T @ error * mask, bias: error.sum(0)}
            before = w[kernel]
            for name, gradient in gradients.items():
                velocity[name] = momentum * velocity[name] + gradient + decay * w[name]
                w[name] = w[name] - lr * velocity[name]
            ratios.append(np.linalg.norm(w[kernel] - before) / np.linalg.norm(before))
    return losses, ratios, w


def test_a_masked_training_is_that_of_numpy(linear):
    start = linear.initial(seed=0, init="normal:0.5", **{"options.head_init": "normal:0.5"})
    mask = np.ones((16, 3), np.float32)
    mask[:, 1], mask[3:7] = 0, 0
    given = {"lr": 0.2, "momentum": 0.8, "weight_decay": 0.05}
    ours = linear.run(weights=start, masks={"head_dense/kernel": mask}, ratios=True, **given)
    losses, ratios, weights = trained_in_numpy(linear, start, mask, *given.values(), epochs=2)
    np.testing.assert_allclose(ours.losses, losses, rtol=1e-4)
    np.testing.assert_allclose(ours.ratios["head_dense/kernel"], ratios, rtol=1e-3)
    for path, value in weights.items():
        np.testing.assert_allclose(ours.weights[path], value, atol=1e-5)
    assert not ours.weights["head_dense/kernel"][mask == 0].any()
    images, labels = linear.images()
    p = softmax(images.reshape(len(images), -1) @ weights["head_dense/kernel"]
                + weights["head_dense/bias"])  # fmt: skip
    np.testing.assert_array_equal(ours.train.right, p.argmax(1) == labels.argmax(1))
    assert ours.train_accuracy == ours.train.right.mean()
    assert ours.train.loss == pytest.approx(-np.log(p[labels == 1]).mean(), rel=1e-4)
    assert linear.evaluate(ours.weights, "train").loss == ours.train.loss


def test_muon_does_not_move_pruned_weights():
    many = recipes.Trainings(LINEAR, optimizer="muon", options={"hidden": (8,)}, weight_decay=0.0)
    mask = np.arange(128).reshape(16, 8) % 3 > 0
    done = many.run(masks={"fc_1_dense/kernel": mask})
    assert not done.weights["fc_1_dense/kernel"][~mask].any()
    assert (done.weights["fc_1_dense/kernel"] != many.initial()["fc_1_dense/kernel"])[mask].all()


def test_trainings_start_again_without_another_compilation(linear):
    first = linear.run(seed=0)
    linear.run(seed=1, lr=1.0, momentum=0.0, weight_decay=0.0, init="xavier", steps=3)
    again = linear.run(seed=0)
    np.testing.assert_array_equal(first.losses, again.losses)
    for path, value in first.weights.items():
        np.testing.assert_array_equal(value, again.weights[path])
    assert linear._compiled.epoch.experimental_get_tracing_count() <= 2  # with and without masks
    part = linear.run(seed=0, steps=7)
    np.testing.assert_array_equal(part.losses, first.losses[:7])
    assert len(part.val_losses) == 2


def test_an_explosion_is_flagged_and_a_loss_that_is_not_finite_ends_a_training(linear):
    calm = linear.run(lr=0.01)
    assert (calm.exploded, calm.diverged) == (False, False)
    large = linear.run(lr=300.0, momentum=0.0, weight_decay=0.0)
    assert (large.exploded, large.diverged, len(large.losses)) == (True, False, 10)
    assert large.losses.max() > 3 * large.losses[0]
    weights = {"head_dense/kernel": np.full((16, 3), np.inf)}
    ended = linear.run(weights=weights)
    assert (ended.exploded, ended.diverged, len(ended.losses)) == (True, True, 1)
    assert len(ended.val_losses) == 1
    assert not np.isfinite(ended.val_losses[0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": 0}, "lr=0"),
        ({"steps": 11}, "steps=11: must be from 1 to 10"),
        ({"weights": {"head_dense/kernal": 0}}, "head_dense/kernel"),
        ({"masks": {"head_dense/kernel": np.ones(3)}}, r"masks\['head_dense/kernel'\].*\(16, 3\)"),
    ],
)
def test_invalid_values_of_a_training_are_errors(linear, given, message):
    with pytest.raises(ValueError, match=message):
        linear.run(**given)


def test_invalid_sets_and_changes_are_errors(linear):
    with pytest.raises(ValueError, match=r"model=.*other weights"):
        linear.initial(**{"model": "toy_mlp", "options": {}})
    with pytest.raises(ValueError, match=r"tests.*test"):
        linear.images("tests")


@pytest.mark.parametrize(
    "change",
    [
        {"average": "ema:0.9"}, {"select": "best"}, {"schedule": "plateau"}, {"accumulate": 2},
        {"dtype": "mixed_float16"}, {"sizes": ((0, 4),)},
    ],
)  # fmt: skip
def test_fields_that_trainings_do_not_support_are_errors(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))}=.*do not support"):
        recipes.Trainings(LINEAR, **change)


@pytest.mark.quick
def test_pruning_removes_the_smallest_kept_weights_of_each_kernel():
    generator = np.random.default_rng(0)
    weights = {
        "a/kernel": generator.normal(size=(3, 3, 2, 5)), "a/bias": generator.normal(size=5),
        "b/kernel": generator.normal(size=(10, 4)),
    }  # fmt: skip
    kept = masks.everything(weights)
    assert set(kept) == {"a/kernel", "b/kernel"}
    assert masks.share_left(kept) == 1
    for _ in range(3):
        before, kept = kept, masks.prune(weights, kept, 0.2, {"b/kernel": 0.1})
        for path, share in {"a/kernel": 0.2, "b/kernel": 0.1}.items():
            sizes = np.sort(abs(weights[path])[before[path] == 1])
            limit = sizes[round(share * len(sizes))]
            expected = before[path] * (abs(weights[path]) >= limit)
            np.testing.assert_array_equal(kept[path], expected)
    # 90 -> 72 -> 58 -> 46 and 40 -> 36 -> 32 -> 29
    assert masks.share_left(kept) == pytest.approx((46 + 29) / 130)
    other = masks.shuffled(kept, seed=1)
    for path, mask in kept.items():
        assert other[path].shape == mask.shape
        assert other[path].sum() == mask.sum()
        assert (other[path] != mask).any()
    np.testing.assert_array_equal(masks.shuffled(kept, 1)["a/kernel"], other["a/kernel"])


@pytest.mark.quick
def test_invalid_shares_and_paths_of_pruning_are_errors():
    weights = {"a/kernel": np.ones((2, 2))}
    kept = masks.everything(weights)
    with pytest.raises(ValueError, match=r"share=1\.0: must be at least 0 and below 1"):
        masks.prune(weights, kept, 1.0)
    with pytest.raises(ValueError, match="b/kernel"):
        masks.prune(weights, kept, shares={"b/kernel": 0.1})
    with pytest.raises(ValueError, match="a/kernel"):
        masks.prune({"c/kernel": np.ones(2)}, kept)


@pytest.mark.full
def test_the_memory_does_not_grow():
    many = recipes.Trainings(MLP)

    def memory():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    for count in range(300):
        many.run(seed=count // 10, lr=0.01 + count / 1000).test_accuracy  # noqa: B018
        if count == 100:
            before = memory()
    assert memory() - before < 40e6
