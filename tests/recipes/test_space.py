"""Search spaces that are given as text, the default space, and grids that fit a budget."""

import re

import keras_tuner as kt
import numpy as np
import pytest

import recipes
from recipes.augment import Flip, PadCrop, RandomErasing
from recipes.recipe_files import read
from recipes.search.spaces.axes import SpaceOf, parse, space_of
from recipes.search.spaces.default_space import default_space
from recipes.search.spaces.grid import Grid
from recipes.search.spaces.space import Space

pytestmark = pytest.mark.quick
RESNET = recipes.Recipe(model="resnet20", data="digits")


class Random(kt.HyperParameters):
    """Hyperparameters that each have a random value."""

    def __init__(self, seed):
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def _retrieve(self, hp):
        return self.values.setdefault(hp.name, hp.random_sample(int(self.rng.integers(1 << 30))))


def drawn(space, count=100):
    """Return the changes of random trials."""
    return [space(Random(seed)) for seed in range(count)]


def test_lists_and_ranges_of_fields_and_options():
    space = SpaceOf(
        RESNET,
        parse(
            "act=relu,leaky_relu:0.2 lr=log:1e-4:1 norm=none,batch options.width=8,16"
            " batch_size=32:96:32 clip_norm=none,1 nesterov=true,false"
            " 'augment=(Flip(),);(PadCrop(4), Flip())' dropout=0.1:0.3"
        ),
    )
    trials = drawn(space)
    for name, values in {
        "act": {"relu", "leaky_relu:0.2"},
        "norm": {"none", "batch"},
        "options.width": {8, 16},
        "batch_size": {32, 64, 96},
        "clip_norm": {None, 1.0},
        "nesterov": {True, False},
        "augment": {(Flip(),), (PadCrop(4), Flip())},
    }.items():
        assert {trial[name] for trial in trials} == values
    rates = [trial["lr"] for trial in trials]
    assert 1e-4 <= min(rates) < 1e-3 < 0.1 < max(rates) <= 1
    assert 0.3 < np.mean(np.array(rates) < 1e-2) < 0.7  # uniform in log space
    assert all(0.1 <= trial["dropout"] <= 0.3 for trial in trials)
    for trial in trials[:20]:
        recipes.replace(RESNET, **trial)


def test_fields_are_drawn_only_where_they_apply():
    text = "momentum=0.5,0.8 gamma=0.1,0.2 step_size=2,3 schedule=step,cosine optimizer=sgd,adam"
    trials = drawn(SpaceOf(RESNET, parse(text + " weight_decay=log:1e-5:1e-2")))
    for trial in trials:
        assert ("momentum" in trial) == (trial["optimizer"] == "sgd")
        assert ("gamma" in trial) == ("step_size" in trial) == (trial["schedule"] == "step")
        assert (trial["weight_decay"] == 0.0) == (trial["optimizer"] == "adam")
        recipes.replace(RESNET, **trial)
    assert len({(trial["optimizer"], trial["schedule"]) for trial in trials}) == 4


def test_ranges_have_whole_numbers_where_the_field_or_the_text_does():
    text = "warmup=0:3 batch_size=8:64 options.width=8:16 options.width.0=8:16.5"
    whole = {name: axis.whole for name, axis in parse(text).items()}
    assert list(whole.values()) == [False, True, True, False]


def test_elements_of_options_are_axes():
    cells = read("digits/cells").recipe
    text = "options.normal_ops.1=sep5,max3 options.normal_inputs.5=0,3 options.depths.0=1:3"
    space = SpaceOf(cells, parse(text))
    made = [recipes.replace(cells, **changes).options for changes in drawn(space, 40)]
    assert {options["normal_ops"][1] for options in made} == {"sep5", "max3"}
    assert {options["normal_inputs"][5] for options in made} == {0, 3}
    assert {options["depths"] for options in made} == {(1, 1), (2, 1), (3, 1)}
    for options in made:
        assert options["normal_ops"][0] == cells.options["normal_ops"][0]
        assert options["reduction_ops"] == cells.options["reduction_ops"]
    # Whole options and their elements may be combined.
    both = SpaceOf(RESNET, parse("options.depths.2=4,5 options.depths=(1,1,1);(2,2,2)"))
    made = {recipes.replace(RESNET, **each).options["depths"] for each in drawn(both, 40)}
    assert made == {(1, 1, 4), (1, 1, 5), (2, 2, 4), (2, 2, 5)}


def test_options_are_drawn_only_with_the_norms_that_they_apply_to():
    space = SpaceOf(RESNET, parse("options.norm_momentum=0.5,0.8 norm=group,batch,none"))
    for trial in drawn(space):
        assert ("options.norm_momentum" in trial) == (trial["norm"] == "batch")
        recipes.replace(RESNET, **trial)
    # A value in the recipe itself is left out with a norm without it.
    nasnet = read("digits/nasnet").recipe
    assert nasnet.options["norm_momentum"] == 0.9
    assert "norm_momentum" not in recipes.replace(nasnet, norm="group").options
    assert "norm_momentum" in recipes.replace(nasnet, norm="batch").options


TEXT = """from recipes import Recipe

recipe = Recipe(model="mlp", data="digits", schedule="cosine")
space = '''
    {}
    norm=batch,none
'''
"""


def test_the_space_of_a_recipe_file_may_be_text(tmp_path, here):
    path = tmp_path / "mine.py"
    path.write_text(TEXT.format("act=relu,elu momentum=0.5,0.8"))
    file = read(path)
    base = recipes.replace(file.recipe, optimizer="adam")
    space = space_of(file, file.recipe, None)
    assert {tuple(trial) for trial in drawn(space)} == {("act", "norm", "momentum")}
    # It is a space of the recipe with its overrides, and another one takes its place.
    with pytest.raises(ValueError, match=r"mine\.py: space: momentum: only applies with optimizer"):
        space_of(file, base, None)
    assert set(space_of(file, base, "lr=0.1,0.2").axes) == {"lr"}
    assert here("show", str(path)).returncode == 0
    path.write_text(TEXT.format("act=rellu"))
    done = here("tune", str(path), "--run=search")
    assert done.stderr.startswith(f"tune: {path}: space: unknown act 'rellu'")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    path.write_text(TEXT.partition("space")[0] + "space = 3")
    done = here("tune", str(path), "--run=search")
    assert "space=3: must be text such as 'act=relu,elu lr=log:1e-3:1', or a fun" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acc=1,2", "unknown field in space 'acc'; did you mean 'act'"),
        ("act=relu,rellu", "space: unknown act 'rellu'; did you mean 'relu'"),
        ("options.widht=8,16", "unknown option of resnet20 'widht'; did you mean 'width'"),
        ("options=8", "write options.NAME=VALUES"),
        ("lr=0.1,fast", "lr='fast': must be a number"),
        ("lr=0.1:0.01", "lr='0.1:0.01': the first number must be lower"),
        ("lr=0.1:0.1", "lr='0.1:0.1': the first number must be lower"),
        ("lr=log:0:1", "above 0 with log"),
        ("lr=log:1e-3:1:0.1", "log, which has no steps"),
        ("act=1:3", "act='1:3': has no ranges"),
        ("batch_size=0.5:8", "batch_size='0.5:8': must be integers"),
        ("epochs=0,3", "epochs=0: must be at least 1"),
        ("momentum=0.9:1.5", "momentum=1.5: must be at least 0 and below 1"),
        ("gamma=0.1,0.5", "gamma: only applies with schedule='step'"),
        ("act=relu,", "act='relu,': has an empty value"),
        ("lr", "space='lr': must be NAME=VALUES"),
        ("options.depths=(2,2);(3,0)", "space: depths=(3, 0): each number must be at least 1"),
        ("options.depths.3=1,2", "options.depths.3=1: (3, 3, 3) has no element 3, only 0 to 2"),
        ("options.depths.x=1,2", "options.depths.x=1: (3, 3, 3) has no element x"),
        ("options.width.0=1,2", "options.width.0=1: 16 is not a tuple"),
        ("options.dephts.0=1,2", "unknown option of resnet20 'dephts'; did you mean 'depths'"),
        ("options.zero_gamma=true,1", "zero_gamma=1: must be True or False"),
        ("lr=0.1 lr=0.2", "lr is given twice"),
        ("", "is empty"),
    ],
)
def test_errors_of_spaces_name_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SpaceOf(RESNET, parse(text))


def test_the_command_line_takes_several_terms(here):
    command = ("tune", "digits/mlp", "--run=search")
    done = here(*command, "--space", "act=relu,elu", "lr=lgo:1:2", "--trials", "3")
    assert (done.returncode, done.stderr) == (2, "tune: lr='lgo:1:2': must be a number\n")
    done = here(*command, "--space=act=rellu")
    assert done.stderr.startswith("tune: space: unknown act 'rellu'")
    done = here(*command, "--space", "--trials", "3")
    assert done.stderr == "tune: --space: the value is missing; write --space=VALUE\n"


def test_a_recipe_without_a_space_has_one_over_all_that_applies():
    base = recipes.replace(RESNET, lr=0.1, eval_ops=(), augment=(PadCrop(2),))
    space = default_space(base)
    assert set(space.axes) == {
        "optimizer", "lr", "weight_decay", "schedule", "batch_size", "augment", "act", "norm",
        "init", "dropout",
    }  # fmt: skip
    trials = drawn(space)
    assert {trial["augment"] for trial in trials} == {
        (), (PadCrop(2),), (PadCrop(2), RandomErasing())
    }  # fmt: skip
    # The learning rate of another optimizer has another scale.
    for optimizer, usual in (("sgd", 0.1), ("adamw", 1e-3)):
        rates = [trial["lr"] for trial in trials if trial["optimizer"] == optimizer]
        assert usual / 10 <= min(rates) < max(rates) <= usual * 10
    pretrained = default_space(recipes.replace(base, weights="x.h5"))
    assert not {"act", "norm", "init", "dropout"} & set(pretrained.axes)


def test_grids_fit_the_number_of_trials():
    mlp, units = read("digits/mlp").recipe, "options.hidden.0"
    space = SpaceOf(mlp, parse(f"lr=log:1e-3:1 weight_decay=log:1e-5:1 {units}=log:25:400"))
    for trials, values in (
        (8, {"lr": 2, "weight_decay": 2, units: 2}),
        (12, {"lr": 3, "weight_decay": 2, units: 2}),
        (3, {"lr": 3, "weight_decay": 1, units: 1}),
    ):
        grid = Grid(mlp, space, trials)
        assert {name: len(each) for name, each in grid.values.items()} == values
        assert Space(RESNET, grid).count(grid=True) <= trials
    grid = Grid(RESNET, lambda hp: {"lr": hp.Float("lr", 1e-4, 1.0, sampling="log")}, 2)
    assert grid.values == {"lr": [1e-3, 0.1]}  # the middles of two equal parts in log space
    assert grid.plan(2) == "grid of 2 points; lr: 0.001, 0.1"
    grid = Grid(RESNET, SpaceOf(RESNET, parse("act=relu,elu,selu norm=batch,none lr=0.25:0.75")), 4)
    assert grid.plan(4) == ("grid of 6 points, of which the first 4 are tried (--trials); lr: 0.5")


def test_grids_of_conditional_ranges_fit_as_well():
    text = "schedule=step,cosine step_size=2 gamma=0:1 lr=log:0.01:1"
    grid = Grid(RESNET, SpaceOf(RESNET, parse(text.replace("0:1 ", "0.1:0.9 "))), 12)
    assert grid.points <= 12
    assert len(grid.values["gamma"]) >= 2
    assert len(grid.values["lr"]) >= 2
