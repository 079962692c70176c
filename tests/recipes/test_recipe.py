"""Recipes as data: types and ranges, overrides, JSON, source, files."""

import json

import pytest

import recipes
from recipes import Recipe, recipe
from recipes.augment import Flip, Mixup, PadCrop, RandomResizedCrop, Resize
from recipes.run import default_path

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
    batch=256,
    optimizer="adamw",
    lr=1,
    weight_decay=1e-5,
    schedule="step",
    steps=[1, 2.5],
    clip_norm=1,
    select="best",
    dtype="mixed_bfloat16",
)


@pytest.mark.parametrize("given", [PLAIN, RICH, *map(recipes.load, recipes.names())])
def test_survives_json_and_its_repr_is_source(given):
    assert recipe.from_json(json.loads(json.dumps(recipe.to_json(given)))) == given
    names = {"Recipe": Recipe, **{type(op).__name__: type(op) for op in (*given.augment,)}}
    names |= {type(op).__name__: type(op) for op in given.eval_ops}
    assert eval(repr(given), names) == given


def test_values_become_their_fields_types():
    assert RICH.lr == 1.0
    assert type(RICH.lr) is float
    assert RICH.steps == (1.0, 2.5)
    assert RICH.options["hidden"] == (512, (3, 4))
    assert RICH.options["deep"] == {"a": (1,)}


def test_options_are_not_shared_with_the_callers_dict():
    options = {"stem": "cifar"}
    made = Recipe(model="resnet20", data="digits", options=options)
    options["stem"] = "imagenet"
    assert made.options == {"stem": "cifar"}


@pytest.mark.parametrize("given", [PLAIN, RICH])
def test_source_is_a_file_that_loads(given, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(recipes.source(given, 'Title with """quotes""" and a \\.\n\nMore.'))
    assert recipes.load(file) == given
    assert recipe.read(file).doc.startswith('Title with """quotes""" and a \\.')
    assert recipe.read(file).name == "mine"


WRONG = {
    "epochs=0 is not at least 1": {"epochs": 0},
    "epochs=1.5 is not an int": {"epochs": 1.5},
    "epochs=True is not an int": {"epochs": True},
    "lr=0.0 is not above 0": {"lr": 0},
    "lr=nan": {"lr": float("nan")},
    "weight_decay=inf": {"weight_decay": float("inf")},
    "dropout=1.0": {"dropout": 1.0},
    "did you mean 'adam'": {"optimizer": "adm"},
    "schedule='cosin' is not one of": {"schedule": "cosin"},
    "needs a validation set": {"schedule": "plateau", "validation": 0},
    "'best' needs a validation": {"select": "best", "validation": 0.0},
    "needs steps": {"schedule": "step"},
    "steps=": {"schedule": "step", "steps": (2, 1)},
    "use 'adamw'": {"optimizer": "adam", "weight_decay": 0.1},
    "not an op": {"augment": ("Flip()",)},
    "did you mean 'Flip'": {"augment": "Flp()"},
    "did you mean 'epochs'": {"epoch": 3},
    "options.act=": {"options.act": object()},
    "nesterov=True needs": {"nesterov": True, "momentum": 0.0},
    "data_init='lsuv' makes initial weights, and weights='imagenet' has others": {
        "data_init": "lsuv",
        "weights": "imagenet",
    },
    "data_init='whitn' is not one of": {"data_init": "whitn"},
    "seed=-1": {"seed": -1},
    "unknown field 'act.x'": {"act.x": 1},
}


@pytest.mark.parametrize("message", WRONG)
def test_refuses(message):
    with pytest.raises(ValueError, match=r".") as error:
        recipes.replace(PLAIN, **WRONG[message])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_replace_changes_one_option_and_parses_ops():
    base = recipes.replace(PLAIN, options={"hidden": (5,), "zero_gamma": True})
    new = recipes.replace(
        base, **{"options.hidden": [7, 8], "augment": "(Resize(32), PadCrop(pad=2))"}
    )
    assert new.options == {"hidden": (7, 8), "zero_gamma": True}
    assert new.augment == (Resize(32), PadCrop(2))
    assert base.options["hidden"] == (5,)


def test_difference_names_each_option():
    new = recipes.replace(PLAIN, **{"options.hidden": (7,), "lr": 0.5})
    assert recipe.difference(PLAIN, new) == {
        "lr": (0.1, 0.5),
        "options.hidden": ("not given", (7,)),
    }
    assert recipe.difference(PLAIN, PLAIN) == {}


def test_json_with_a_strangers_field():
    with pytest.raises(ValueError, match="unknown field 'lrr'; did you mean 'lr'"):
        recipe.from_json(recipe.to_json(PLAIN) | {"lrr": 1})
    with pytest.raises(ValueError, match="has no data"):
        recipe.from_json({"model": "mlp"})


def test_names_and_load():
    assert "digits/resnet20" in recipes.names()
    assert recipes.names("digits/res*") == ["digits/resnet20", "digits/resnext"]
    by_name = recipe.read("digits/resnet20")
    by_path = recipe.read(recipe.HERE / "digits" / "resnet20.py")
    assert by_path[:3] == by_name[:3]
    assert by_name.name == "digits/resnet20"
    assert recipes.load(by_name.recipe) is by_name.recipe
    for name in recipes.names():
        file = recipe.read(name)
        assert file.doc.startswith(recipe.title(name))
        assert "Command:" in file.doc
        assert "Measured:" in file.doc
        assert file.space is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "holds no `recipe"),
        ("recipe = 3", "holds no `recipe"),
        ("recipe = ", "line 1"),
        (
            "from recipes import Recipe\nrecipe = Recipe(model='mlp', data='d', epochs=0)",
            "epochs=0",
        ),
        ("import nosuchmodule", "nosuchmodule"),
    ],
)
def test_a_bad_file(text, message, tmp_path):
    file = tmp_path / "bad.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=r".") as error:
        recipes.load(file)
    assert str(file) in str(error.value)
    assert message in str(error.value)


def test_default_run_directories():
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
    import recipes.command_line
    import recipes.training

    for _ in range(2):
        for name in recipes.__all__:
            assert callable(getattr(recipes, name)), name
    with pytest.raises(AttributeError):
        _ = recipes.nosuch
