"""The recipes of the package load, are documented, and fit their networks and data."""

import csv
import math
import re
from pathlib import Path

import numpy as np
import pytest

import recipes
import zoo
from recipes import recipe as recipes_of
from recipes import recipe_files
from recipes.augment import apply, apply_batch
from recipes.cli import main
from recipes.recipe import style_of
from recipes.search.spaces.axes import space_of
from zoo import registry

ROOT = Path(__file__).parents[2]
NAMES = recipes.names()
CIFAR = [
    "linear",
    "mlp",
    "plain20",
    "plain56",
    "resnet20",
    "resnet56",
    "resnet110",
    "preact_resnet164",
    "wrn_28_10",
    "resnext29",
    "densenet_bc100_k12",
    "vgg16_bn",
    "se_resnet20",
    "fast",
]
IMAGENET = [
    "alexnet",
    "zfnet",
    "vgg16",
    "googlenet",
    "inception_v3",
    "inception_v4",
    "inception_resnet_v2",
    "senet154",
    "resnet50",
    "preact_resnet50",
    "wide_resnet50_2",
    "resnext50",
    "densenet121",
    "se_resnet50",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3",
    "nasnet_mobile",
    "efficientnet_b0",
    "resnet50_torch_v1",
    "resnet50_torch_v2",
    "resnet50_a1",
    "resnet50_a2",
    "resnet50_a3",
    "resnet50_nvidia",
]
SHAPES = {
    "digits": (8, 8, 1),
    "cifar10": (32, 32, 3),
    "cifar100": (32, 32, 3),
    "imagenet2012": (None, None, 3),
    "folder:photos": (None, None, 3),
    "folder:transfer/cifar10-little": (32, 32, 3),
    "folder:transfer/cifar10-much": (32, 32, 3),
    "folder:transfer/digits-little": (8, 8, 3),
    "folder:transfer/digits-much": (8, 8, 3),
}
# Recipes of which several choices are compared
COMPARED = [name for name in NAMES if name.startswith("transfer/")]
# Recipes whose cost depends on the user's photos or on the choice
OTHER_COST = ("photos/transfer", *COMPARED)
SMALL_TRAINING = ("imagenet/resnet50_torch_v2", "imagenet/resnet50_a3")


def loaded(name):
    return recipe_files.read(name)


@pytest.mark.quick
def test_every_family_and_data_set_has_its_recipes():
    assert {f"imagenet/{name}" for name in IMAGENET} <= set(NAMES)
    assert {f"cifar10/{name}" for name in CIFAR} <= set(NAMES)
    assert {f"cifar100/{name}" for name in CIFAR} <= set(NAMES)
    for network in ("wrn_28_10_cutout", "wrn_28_2_randaugment", "wrn_40_2_augmix"):
        assert f"cifar10/{network}" in NAMES
    assert "photos/transfer" in NAMES
    of_digits = {registry.find(loaded(n).recipe.model).family for n in NAMES if "digits/" in n}
    ours = {registry.find(model).family for model in zoo.list_models()}
    assert of_digits == ours


@pytest.mark.quick
def test_the_documentation_describes_every_field():
    page = (ROOT / "docs/recipes.md").read_text("utf-8").partition("\n## Fields")[2]
    documented = re.findall(r"^\| `(\w+)` \|", page.partition("\n## ")[0], re.MULTILINE)
    assert sorted(documented) == sorted(recipes_of.FIELDS)


@pytest.mark.quick
@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_of_a_recipe_is_complete(name):
    file = loaded(name)
    title, _, rest = file.doc.partition("\n")
    assert len(title) <= 97
    about = rest.partition("Command:")[0] if name.startswith("digits/") else ""
    if name not in ("digits/linear", "transfer/little_different"):
        assert re.search(r"\b(19|20)\d\d\b", title + about), title
    parts = re.findall(r"^(Command|Cost|Expect|Measured): (.+)", rest, re.MULTILINE)
    assert [part for part, _ in parts] == ["Command", "Cost", "Expect", "Measured"]
    said = dict(parts)
    assert said["Command"] == f"recipes {'compare' if name in COMPARED else 'train'} {name}"
    over_seeds = r"0\.\d{4} ± 0\.\d{4} over seeds "
    one = r"0\.\d{4} \(\d+ of "
    page = r"docs/\w+\.md "
    measured = re.match(f"{one}|{over_seeds}|{page}", said["Measured"])
    assert said["Measured"] == "not run here." or measured
    if re.match(page, said["Measured"]):
        assert name in (ROOT / said["Measured"].split()[0]).read_text("utf-8")
    if re.match(over_seeds, said["Measured"]):  # equals docs/results.csv
        with (ROOT / "docs/results.csv").open() as table:
            rows = [row for row in csv.DictReader(table) if row["recipe"] == name]
        mean = np.mean([float(row["top1"]) for row in rows if not row["changes"]])
        assert said["Measured"].startswith(f"{mean:.4f} ")
    zoo.resolve(file.recipe.model, **style_of(file.recipe))


def mean_area(recipe):
    """Return the mean number of pixels of a training image, relative to those of the last epoch."""
    if not recipe.sizes:
        return 1.0
    sides = [[side for first, side in recipe.sizes if first <= e][-1] for e in range(recipe.epochs)]
    return np.mean(np.square(sides)) / sides[-1] ** 2


@pytest.mark.quick
@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("digits/")])
def test_the_stated_cost_of_a_recipe_is_that_of_its_fields(name):
    file, units = loaded(name), {"M": 1e6, "G": 1e9, "tera": 1e12, "peta": 1e15, "exa": 1e18}
    found = re.search(
        r"Cost: about ([\d.]+) (\w+)FLOP: 3 x ([\d.]+) ([MG])MAC.* x 2 x ([\d.,]+)( million)?"
        r" images x (\d+) epochs\.",
        file.doc,
    )
    if name in OTHER_COST:
        assert found is None
        return
    total, unit, macs, size, images, million, epochs = found.groups()
    macs = float(macs) * units[size]
    images = float(images.replace(",", "")) * (1e6 if million else 1)
    assert int(epochs) == file.recipe.epochs
    product = 6 * macs * images * int(epochs) * mean_area(file.recipe)
    assert float(total) * units[unit] == pytest.approx(product, rel=0.06)
    published = registry.find(file.recipe.model).gmac * 1e9
    shrink = {SMALL_TRAINING[0]: 176 / 224, SMALL_TRAINING[1]: 160 / 224}.get(name, 1.0)
    if not {"hidden", "depths", "widths"} & set(file.recipe.options):
        classes = 90 * 50 if name == "cifar100/mlp" else 0
        assert macs == pytest.approx(published * shrink**2 + classes, rel=0.03)


def settings(parameter):
    """Return all values of a list, or the ends and two more values of a range."""
    kind = type(parameter).__name__
    if kind in ("Boolean", "Choice"):
        return list(parameter.values)
    middle = [parameter.random_sample(seed) for seed in (1, 2)]
    return [parameter.min_value, parameter.max_value, *middle]


def test_search_spaces_give_valid_recipes():
    """Each value of each hyperparameter, alone and in random trials."""
    import keras_tuner as kt

    held = {"act": 0, "norm": 0, "init": 0}
    for name in NAMES:
        file, first = loaded(name), kt.HyperParameters()
        space = space_of(file, file.recipe, None)
        assert space is not None, name
        names = set(space(first))
        tried = [{each.name: value} for each in first.space for value in settings(each)]
        tried += [
            {each.name: each.random_sample(seed) for each in first.space} for seed in range(4)
        ]
        recipes_of_trials = set()
        for values in tried:
            hp = kt.HyperParameters()
            hp.values = dict(values)
            changed = recipes.replace(file.recipe, **(changes := space(hp)))
            zoo.resolve(changed.model, **style_of(changed))
            recipes_of_trials.add(repr(changes))
            names |= set(changes)
        assert len(recipes_of_trials) > 3, name
        assert "lr" in names, name
        pretrained = file.recipe.weights is not None
        assert pretrained or names & {*held, "preprocess", "options.normal_ops"}, name
        for field in held:
            held[field] += field in names
    assert held["act"] > 65
    assert held["norm"] > 60
    assert held["init"] > 25


def sized(op):
    """Whether the result of an op has the same size for inputs of any size."""
    return hasattr(op, "size") and type(op).__name__ not in ("Cutout", "ResizeShort")


def ops_of_images(ops):
    return [op for op in ops if callable(op)]


@pytest.mark.quick
@pytest.mark.parametrize("name", NAMES)
def test_the_ops_of_a_recipe_are_in_a_valid_order(name):
    recipe = loaded(name).recipe
    kinds = ["repeat" if hasattr(op, "repeat") else "batch" if hasattr(op, "batch") else "image"
             for op in recipe.augment]  # fmt: skip
    assert kinds == sorted(kinds, key=["repeat", "image", "batch"].index)
    if name == "photos/transfer":  # the features of its photos are computed once
        assert recipe.augment == recipe.eval_ops
    elif None in SHAPES[recipe.data]:
        # Only the crop is decoded, and later ops process small images.
        assert hasattr(ops_of_images(recipe.augment)[0], "decode")
        assert not any(map(sized, ops_of_images(recipe.augment)[1:]))
        assert sized(recipe.eval_ops[-1])


def test_the_ops_of_a_recipe_give_the_input_size_of_its_network():
    import tensorflow as tf

    done = set()
    for name in NAMES:
        recipe = loaded(name).recipe
        key = (recipe.augment, recipe.eval_ops, SHAPES[recipe.data])
        shape = tuple(side or 300 + 50 * i for i, side in enumerate(key[2]))
        expected = registry.find(recipe.model).input_shape[:2]
        if recipe.data.startswith("cifar"):
            expected = (32, 32)
        if name in COMPARED:
            expected = (96, 96)
        if recipe.data == "digits":
            expected = (
                (8, 8)
                if recipe.model == "mlp" or name == "digits/cells"
                else (48, 48)
                if "senet" in name
                else (32, 32)
            )
        if key in done:
            continue
        done.add(key)
        pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        seed = tf.constant([0, 1])
        evaluated = apply(recipe.eval_ops, tf.constant(pixels), False, seed, shape)
        assert evaluated.shape == (*expected, shape[2]), name
        trained = apply(recipe.augment, tf.constant(pixels), False, seed, shape)
        assert (trained.shape == evaluated.shape) != (name in SMALL_TRAINING), name
        images = tf.cast(tf.stack([trained] * 4), tf.float32)
        mixed, labels = apply_batch(recipe.augment, images, tf.eye(4), seed)
        assert mixed.shape == images.shape
        np.testing.assert_allclose(np.sum(labels, axis=1), 1, atol=1e-6)
        assert np.isfinite(mixed).all()


@pytest.mark.quick
def test_recipes_that_are_compared_share_their_settings():
    def changes(one, other):
        return set(recipes_of.difference(recipes.load(one), recipes.load(other)))

    assert changes("cifar10/plain20", "cifar10/resnet20") == {"model"}
    assert changes("cifar10/plain56", "cifar10/resnet56") == {"model"}
    assert changes("cifar10/resnet20", "cifar10/resnet56") == {"model"}
    assert changes("cifar10/resnet20", "cifar10/se_resnet20") == {"options.reduction"}
    shorter = {"epochs", "weight_decay", "augment", "label_smoothing"}
    assert changes("imagenet/resnet50_a1", "imagenet/resnet50_a2") == shorter
    smaller = shorter | {"lr", "drop_path", "options.input_shape"}
    assert changes("imagenet/resnet50_a1", "imagenet/resnet50_a3") == smaller
    for name in CIFAR:
        assert changes(f"cifar10/{name}", f"cifar100/{name}") == {"data"}


@pytest.mark.quick
@pytest.mark.parametrize("name", NAMES)
def test_the_schedule_of_a_recipe_ends_within_its_epochs(name):
    recipe = loaded(name).recipe
    images = {"cifar10": 50_000, "cifar100": 50_000}.get(recipe.data, 1_281_167)
    held_out = 0 if isinstance(recipe.validation, str) else recipe.validation
    steps = math.floor(images * (1 - held_out)) // recipe.batch_size
    falls = [
        at / (steps if recipe.schedule_unit == "steps" else 1) for at in (recipe.milestones or (0,))
    ]
    assert max(falls) < recipe.epochs
    assert recipe.warmup / (steps if recipe.schedule_unit == "steps" else 1) < recipe.epochs / 3


def test_a_missing_folder_of_photos_is_a_one_line_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.run(["show", "photos/transfer"]) == 0
    assert "weights='imagenet'" in capsys.readouterr().out
    assert main.run(["train", "photos/transfer"]) == 2
    said = capsys.readouterr().err
    assert "there is no folder photos" in said
    assert said.count("\n") == 1


@pytest.mark.full
def test_a_frozen_network_with_a_new_head_trains_two_steps(fork_workers):
    from recipes.training.smoke import two_steps

    assert two_steps("photos/transfer").startswith("ok, ")


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_each_recipe_trains_two_steps(name, cli):
    done = cli("smoke", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok, " in done.stdout
