"""Recipes as data: types and ranges, overrides, JSON, source, files."""

import dataclasses
import json
import math
from typing import get_args, get_type_hints

import pytest

import recipes
from recipes import Recipe, recipe, recipe_files, rules
from recipes.augment import Flip, Mixup, PadCrop, RandomResizedCrop, Resize
from recipes.recipe import from_json, to_json
from recipes.run import claim, default_path

pytestmark = pytest.mark.quick

PLAIN = Recipe(model="mlp", data="digits")
RICH = Recipe(
    model="resnet20",
    data="folder:/a b",
    act="leaky_relu:0.1",
    norm="none",
    dropout=0.25,
    options={"hidden": [512, (3, 4)], "stem": "cifar", "deep": {"a": [1]}, "zero_gamma": True},
    augment=[RandomResizedCrop(32, area=(0.5, 1.0)), Flip(), Mixup(0.3)],
    eval_ops=(Resize((32, 30)),),
    validation="validation",
    batch_size=256,
    optimizer="adamw",
    lr=1,
    weight_decay=1e-5,
    schedule="step",
    milestones=[1, 2.5],
    clip_norm=1,
    select="best",
    dtype="mixed_bfloat16",
)


@pytest.mark.parametrize("given", [PLAIN, RICH, *map(recipes.load, recipes.names())])
def test_a_recipe_survives_json_and_its_repr_is_source_code(given):
    assert recipe.from_json(json.loads(json.dumps(recipe.to_json(given)))) == given
    names = {"Recipe": Recipe, **{type(op).__name__: type(op) for op in (*given.augment,)}}
    names |= {type(op).__name__: type(op) for op in given.eval_ops}
    assert eval(repr(given), names) == given


def test_values_are_converted_to_the_types_of_their_fields():
    assert RICH.lr == 1.0
    assert type(RICH.lr) is float
    assert RICH.milestones == (1.0, 2.5)
    assert RICH.options["hidden"] == (512, (3, 4))
    assert RICH.options["deep"] == {"a": (1,)}


def test_options_are_not_shared_with_the_callers_dict():
    options = {"stem": "cifar"}
    made = Recipe(model="resnet20", data="digits", options=options)
    options["stem"] = "imagenet"
    assert made.options == {"stem": "cifar"}


@pytest.mark.parametrize("given", [PLAIN, RICH])
def test_source_gives_a_recipe_file_that_loads(given, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(recipes.source(given, 'Title with """quotes""" and a \\.\n\nMore.'))
    assert recipes.load(file) == given
    assert recipe_files.read(file).doc.startswith('Title with """quotes""" and a \\.')
    assert recipe_files.read(file).name == "mine"


WRONG = {
    "epochs=0: must be at least 1": {"epochs": 0},
    "epochs=1.5: must be an integer": {"epochs": 1.5},
    "epochs=True: must be an integer": {"epochs": True},
    "lr=0.0: must be greater than 0": {"lr": 0},
    "lr=nan": {"lr": float("nan")},
    "weight_decay=inf": {"weight_decay": float("inf")},
    "dropout=1.0": {"dropout": 1.0},
    "did you mean 'adam'": {"optimizer": "adm"},
    "schedule='cosin': must be one of": {"schedule": "cosin"},
    "use 'mixed_float16', which computes in float16": {"dtype": "float16"},
    "dtype='bfloat16': weights stored in half precision": {"dtype": "bfloat16"},
    "needs a validation set": {"schedule": "plateau", "validation": 0},
    "'best': needs a validation": {"select": "best", "validation": 0.0},
    "schedule='step': set either milestones": {"schedule": "step"},
    "milestones=": {"schedule": "step", "milestones": (2, 1)},
    "use 'adamw'": {"optimizer": "adam", "weight_decay": 0.1},
    "not an operation": {"augment": ("Flip()",)},
    "did you mean 'Flip'": {"augment": "Flp()"},
    "did you mean 'epochs'": {"epoch": 3},
    "options.act=": {"options.act": object()},
    "nesterov=True: needs momentum": {"nesterov": True, "momentum": 0.0},
    "data_init='lsuv': would overwrite the pretrained weights='imagenet'": {
        "data_init": "lsuv",
        "weights": "imagenet",
    },
    "data_init='whitn': must be one of": {"data_init": "whitn"},
    "seed=-1": {"seed": -1},
    "milestones=(100.0,): only applies with schedule='step', but schedule='cosine'": {
        "schedule": "cosine",
        "milestones": (100,),
    },
    "milestones=(1.0,): only applies with": {"schedule": "exponential", "milestones": (1,)},
    "step_size=2.0: only applies with schedule='step' or 'exponential', but schedule='constant'": {
        "step_size": 2
    },
    "gamma=0.5: only applies with": {"schedule": "polynomial", "gamma": 0.5},
    "power=2.0: only applies with": {"schedule": "cosine", "power": 2},
    "patience=3: only applies with": {"schedule": "step", "milestones": (1,), "patience": 3},
    "nesterov=True: only applies with optimizer='sgd' or 'muon', but optimizer='adamw'": {
        "optimizer": "adamw",
        "nesterov": True,
    },
    "momentum=0.8: only applies with": {"optimizer": "lamb", "momentum": 0.8},
    "rho=0.5: only applies with": {"rho": 0.5},
    "epsilon=0.1: only applies with": {"epsilon": 0.1},
    "bad_images=2: only applies with data='folder:*', but data='digits'": {"bad_images": 2},
    "eval_ops: Mixup(alpha=0.3": {"eval_ops": (Mixup(0.3),)},
    "eval_ops: RepeatedAugmentation(": {"eval_ops": "(RepeatedAugmentation(3),)"},
    "average='swa:2': averages the last epochs, but select='best'": {
        "average": "swa:2",
        "select": "best",
    },
    "options.name='x': name is the field model, not an option": {"options.name": "x"},
    "options.act='elu': act is a field of the recipe, not an option": {"options.act": "elu"},
    "options.dropout=0.5": {"options": {"dropout": 0.5}},
    "options.seed=3": {"options.seed": 3},
    "options.weights='imagenet'": {"options.weights": "imagenet"},
    "options.preprocess='scale'": {"options.preprocess": "scale"},
    "options.num_classes=3: num_classes is determined by the data": {"options.num_classes": 3},
    "unknown field 'act.x'": {"act.x": 1},
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_fields_are_errors(message):
    with pytest.raises(ValueError, match=r".") as error:
        recipes.replace(PLAIN, **WRONG[message])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_fields_that_an_override_makes_irrelevant_are_reset():
    steps = recipes.replace(
        PLAIN, schedule="step", milestones=(3, 5), gamma=0.5, nesterov=True, momentum=0.8
    )
    cosine = recipes.replace(steps, schedule="cosine")
    assert (cosine.milestones, cosine.gamma, cosine.momentum) == ((), 0.1, 0.8)
    adamw = recipes.replace(steps, optimizer="adamw", nesterov=False)
    assert (adamw.nesterov, adamw.momentum, adamw.milestones) == (False, 0.9, (3.0, 5.0))
    with pytest.raises(
        ValueError, match=r"milestones=\(3.0, 5.0\): only applies with schedule='step'"
    ):
        recipes.replace(steps, schedule="cosine", milestones=(3, 5))
    assert set(recipe.difference(steps, cosine)) == {"schedule"}  # names its run directory
    assert default_path("r", steps, adamw).as_posix() == "runs/r/optimizer=adamw"
    for made in (cosine, adamw):
        assert recipe.from_json(recipe.to_json(made)) == made

    folder = recipes.replace(PLAIN, data="folder:/a b", bad_images=3)
    assert recipes.replace(folder, data="digits").bad_images == 0


def test_a_recipe_json_of_an_earlier_version_keeps_its_meaning():
    held = recipe.to_json(RICH) | {
        "schedule": "cosine", "nesterov": True, "momentum": 0.5, "patience": 2,
        "eval_ops": ["Resize(size=32)", "Mixup(alpha=0.2)"], "average": "swa:2",
        "options": {"stem": "cifar", "act": "elu", "seed": 9},
    }  # fmt: skip
    opened = recipe.from_json(held)
    assert opened == recipes.replace(
        RICH, schedule="cosine", eval_ops=(Resize(32),), select="last", average="swa:2",
        options={"stem": "cifar"}, act="elu",
    )  # fmt: skip
    assert recipe.from_json({"model": "mlp", "data": "digits"}) == PLAIN


def test_conditions_of_fields_refer_to_existing_fields_and_values():
    fields = {f.name: f for f in dataclasses.fields(Recipe)}
    conditions = [each for field in fields.values() for each in field.metadata["applies"]]
    assert len(conditions) > 10
    for condition in conditions:
        if isinstance(condition, rules.With):
            choices = get_args(get_type_hints(Recipe)[condition.name])
            assert condition.name == "data" or set(condition.values) < set(choices)
    # Arguments of zoo.build that are no fields of the recipe.
    made = recipes.replace(
        PLAIN, **{"options.input_shape": (None, None, 3), "options.recompute": True}
    )
    assert made.options == {"input_shape": (None, None, 3), "recompute": True}


def test_replace_changes_one_option_and_parses_ops():
    base = recipes.replace(PLAIN, options={"hidden": (5,), "zero_gamma": True})
    new = recipes.replace(
        base, **{"options.hidden": [7, 8], "augment": "(Resize(32), PadCrop(pad=2))"}
    )
    assert new.options == {"hidden": (7, 8), "zero_gamma": True}
    assert new.augment == (Resize(32), PadCrop(2))
    assert base.options["hidden"] == (5,)


def test_replace_changes_an_element_of_an_option():
    """The others are those of the recipe, or else those of the network."""
    assert recipes.replace(PLAIN, **{"options.hidden.0": 7}).options == {"hidden": (7,)}
    network = recipes.replace(PLAIN, model="vgg11")
    new = recipes.replace(network, **{"options.widths.4": 9, "options.widths.0": 8})
    assert new.options == {"widths": (8, 128, 256, 512, 9)}
    again = recipes.replace(new, **{"options.widths.1": 7, "options.widths": [1, 2, 3, 4, 5]})
    assert again.options == {"widths": (1, 7, 3, 4, 5)}
    nested = recipes.replace(PLAIN, model="mobilenet_v2", **{"options.expansions.0.0": 3.0})
    assert nested.options["expansions"][0][0] == 3.0
    with pytest.raises(ValueError, match=r"options.widths.5=1: \(8, .* has no element 5"):
        recipes.replace(new, **{"options.widths.5": 1})


def test_options_of_a_norm_are_left_out_with_another_norm():
    base = recipes.replace(PLAIN, norm="batch", **{
        "options.norm_momentum": 0.5, "options.norm_epsilon": 0.1, "options.norm_scale": False
    })  # fmt: skip
    assert set(recipes.replace(base, norm="group").options) == {"norm_epsilon", "norm_scale"}
    assert not recipes.replace(base, norm="none").options
    assert recipes.replace(base, norm="batch").options == base.options
    kept = recipes.replace(base, **{"norm": "group", "options.norm_momentum": 0.6}).options
    assert kept["norm_momentum"] == 0.6  # building it is an error, as without a recipe


def test_difference_names_each_changed_option():
    new = recipes.replace(PLAIN, **{"options.hidden": (7,), "lr": 0.5})
    assert recipe.difference(PLAIN, new) == {
        "lr": (0.1, 0.5),
        "options.hidden": ("not given", (7,)),
    }
    assert recipe.difference(PLAIN, PLAIN) == {}


def test_json_with_unknown_or_missing_fields_is_an_error():
    with pytest.raises(ValueError, match="unknown field 'lrr'; did you mean 'lr'"):
        recipe.from_json(recipe.to_json(PLAIN) | {"lrr": 1})
    with pytest.raises(ValueError, match="the field 'data' is missing"):
        recipe.from_json({"model": "mlp"})


def test_names_lists_recipes_and_load_reads_them():
    assert "digits/resnet20" in recipes.names()
    assert recipes.names("digits/res*") == ["digits/resnet20", "digits/resnext"]
    by_name = recipe_files.read("digits/resnet20")
    by_path = recipe_files.read(recipe_files.HERE / "digits" / "resnet20.py")
    assert by_path[:3] == by_name[:3]
    assert by_name.name == "digits/resnet20"
    assert recipes.load(by_name.recipe) is by_name.recipe
    for name in recipes.names():
        file = recipe_files.read(name)
        assert file.doc.startswith(recipe_files.title(name))
        assert "Command:" in file.doc
        assert "Measured:" in file.doc


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "defines no recipe; add `recipe"),
        ("recipe = 3", "defines no recipe; add `recipe"),
        ("recipe = ", "line 1"),
        (
            "from recipes import Recipe\nrecipe = Recipe(model='mlp', data='d', epochs=0)",
            "epochs=0",
        ),
        ("import nosuchmodule", "nosuchmodule"),
    ],
)
def test_a_wrong_recipe_file_is_an_error_that_names_it(text, message, tmp_path):
    file = tmp_path / "bad.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=r".") as error:
        recipes.load(file)
    assert str(file) in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("folder:d/", "folder:d"),
        ("folder:./d//e", "folder:d/e"),
        ("folder:../d", "folder:../d"),
        ("folder:~/d/", "folder:~/d"),
        ("folder:/", "folder:/"),
        ("folder:", "folder:"),
        ("digits", "digits"),
    ],
)
def test_spellings_of_a_folder_give_equal_recipes(given, kept, tmp_path):
    recipe = recipes.replace(PLAIN, data=given)
    assert recipe.data == kept
    assert from_json({**to_json(recipe), "data": given}) == recipe
    # A run that an earlier version started under the other spelling continues.
    (tmp_path / "recipe.json").write_text(
        json.dumps({"recipe": {**to_json(recipe), "data": given}, "classes": []})
    )
    claim(tmp_path, recipes.replace(PLAIN, data=kept))


def test_default_run_directories_are_named_after_the_changes():
    def path(**overrides):
        return default_path("digits/mlp", PLAIN, recipes.replace(PLAIN, **overrides)).as_posix()

    assert path() == "runs/digits/mlp"
    assert path(epochs=10) == "runs/digits/mlp"
    assert path(epochs=3, act="elu") == "runs/digits/mlp/act=elu,epochs=3"
    assert path(**{"options.hidden": (5, 6)}) == "runs/digits/mlp/options.hidden=_5,_6_"
    long, other = path(data="folder:" + "x" * 200), path(data="folder:" + "x" * 201)
    assert long != other
    assert max(len(part) for part in long.split("/")) < 128
    assert path(data="folder:/../..").count("/") == 3


def test_public_names_are_not_hidden_by_modules():
    import recipes.cli.main
    import recipes.training.loop

    for _ in range(2):
        for name in recipes.__all__:
            assert callable(getattr(recipes, name)), name
    with pytest.raises(AttributeError):
        _ = recipes.nosuch


@pytest.mark.parametrize("field", dataclasses.fields(Recipe), ids=lambda f: f.name)
def test_defaults_are_in_their_ranges_and_infinity_is_in_none(field):
    within, default = field.metadata["within"], rules.default_of(field)
    if within is None:
        return
    within.check(field.name, default)
    within.check(field.name, None)
    for value in (math.inf, -math.inf, math.nan):
        with pytest.raises(ValueError, match=f"{field.name}={value}: must be "):
            within.check(field.name, value)


def test_the_run_directory_of_a_recipe_without_a_file_stays_that_of_earlier_versions(tiny):
    assert recipe_files.read(tiny).name == "toy_lenet-3ada38e8"
    often = recipes.replace(tiny, checkpoint_every=100, rollbacks=3)
    assert recipe_files.read(often).name == "toy_lenet-3ada38e8"
    few = recipes.replace(tiny, images=32)
    assert recipe_files.read(few).name != "toy_lenet-3ada38e8"
