"""Families of other packages: installed with an entry point, or registered by a script.

example_family/ is a complete package of that kind; CONTRIBUTING.md contains its module.
"""

import dataclasses
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from tests import processes
from zoo import blocks, registry

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def exercise(name, toy):
    """Call every function of zoo that takes a network or its name, on a full-size one and a toy."""
    assert name in zoo.list_models(name[:3] + "*")
    assert zoo.table(name).loc[name, "family"] == zoo.describe(name)["family"]
    assert zoo.counts(name)["parameters"] > zoo.counts(toy)["parameters"]
    images = np.random.default_rng(0).normal(size=(8, 32, 32, 3)).astype("float32")
    model = zoo.build(toy, act="elu", norm="batch", dropout=0.1, seed=0)
    body = [stage for stage in zoo.stages(model) if stage.startswith("stage")]
    assert list(zoo.features(model, body)(images)) == body
    assert zoo.profile(model).loc["total", "parameters"] == zoo.counts(toy, act="elu")["parameters"]
    zoo.lsuv(model, images)
    plain = zoo.fold_batchnorm(model)
    np.testing.assert_allclose(plain(images), model(images), rtol=1e-3, atol=1e-4)
    transfer = zoo.new_head(model, 3)
    zoo.freeze(transfer, through=body[0])
    assert not transfer.get_layer(zoo.stages(model)[body[0]][0].name).trainable
    assert transfer(images).shape == (8, 3)
    larger = zoo.scale(name, 2)
    assert zoo.counts(name, **larger)["macs"] > 2.5 * zoo.counts(name)["macs"]
    budget = 1.5 * zoo.counts(toy)["macs"]
    fitted = zoo.counts(toy, **zoo.fit_budget(toy, macs=budget))["macs"]
    assert 0.7 * budget < fitted <= budget


def run(site, *arguments, check=True, start=subprocess.run):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *map(str, site)])}
    printed = {"capture_output": True, "text": True} if start is subprocess.run else {}
    done = start([sys.executable, *arguments], env=environment, timeout=600, **printed)
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder into which pip installed the example."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(HERE / "example_family", folder / "source")
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    site = folder / "site"
    run([], "-m", "pip", "install", "-q", *offline, "--target", str(site), str(folder / "source"))
    return site


def test_every_function_of_zoo_works_for_an_installed_family(installed):
    """darknet53 of timm has 41,609,928 parameters; the paper gives 18.7e9 operations."""
    program = f"""import warnings
import numpy as np
warnings.simplefilter("error", UserWarning)
import zoo
{inspect.getsource(exercise)}
exercise("darknet53", "toy_darknet")
print(zoo.counts("darknet53"))
"""
    counts = run([installed], "-c", program, start=processes.run).stdout.splitlines()[-1]
    macs = 9_285_115_904
    assert counts == f"{{'macs': {macs}, 'parameters': 41609928}}"
    assert macs * 2 / 1e9 == pytest.approx(18.7, rel=0.01)


@pytest.mark.full  # the default tier tests the functions
def test_the_commands_show_an_installed_family(installed):
    listed = run([installed], "-m", "zoo", "list", "dark*")
    assert "darknet53" in listed.stdout
    show = ("-m", "zoo", "show", "darknet53", "--act=relu")
    shown = run([installed], *show, start=processes.run)
    for words in ("41,609,928", "stage5", "act='relu'", "depths=(1, 2, 8, 8, 4)"):
        assert words in shown.stdout
    assert listed.stderr + shown.stderr == ""
    typo = run([installed], "-m", "zoo", "show", "darknet35", check=False)
    assert (typo.returncode, "did you mean 'darknet53'" in typo.stderr) == (2, True)


@pytest.mark.quick
def test_listing_an_installed_family_imports_no_framework(installed):
    program = """
import sys, zoo
row = zoo.describe("darknet53")
zoo.resolve("darknet53", drop_path=0.1, depths=(1, 1), width=8)
zoo.scale("darknet53", 1)
assert not {"keras", "tensorflow"} & set(sys.modules)
assert zoo.list_models()[-1] == "darknet53" and "toy_darknet" not in zoo.list_models()
print(row["parameters"], row["gmac"])
try:
    zoo.resolve("darknet53", pool_border=True)
except ValueError as error:
    print(error)
"""
    counts, error = run([installed], "-c", program).stdout.splitlines()
    assert counts == "41609928 9.285"
    assert error == "pool_border=True: has no effect in darknet53; leave it out"


BROKEN = {
    "no-module": ("absent", "", "ModuleNotFoundError: No module named 'absent'"),
    "no-syntax": ("bad_syntax", "def (", "SyntaxError"),
    "no-import": ("bad_import", "import a_package_that_is_not_there", "a_package_that_is_not"),
    "no-exit": ("bad_exit", "raise SystemExit(3)", "SystemExit: 3"),
    "no-specs": ("bad_specs", "STYLES, network = {}, print", "has no attribute 'SPECS'"),
    "no-frozen": (
        "bad_thawed",
        "import dataclasses, zoo\n"
        "@dataclasses.dataclass\nclass Spec:\n    height: int = 2\n"
        "SPECS, STYLES, network = {'thawed': Spec()}, {'*': zoo.Style()}, print",
        "its specs must be frozen dataclasses, but Spec is not",
    ),
    "no-style": (
        "bad_style",
        "from zoo.families.mlp import MLP\nSPECS, STYLES, network = {'bare': MLP()}, {}, print",
        "no pattern in its styles matches bare; add '*'",
    ),
    "no-clash": (
        "bad_clash",
        "from zoo.families.mlp import *\nfrom zoo.families.mlp import SPECS, STYLES, network",
        "networks named mlp, toy_mlp already exist",
    ),
    "no-rows": (
        "bad_rows",
        "from zoo.families.mlp import MLP, STYLES, network\n"
        "import zoo\nSPECS = {'my_mlp': MLP()}\nMODELS = [zoo.Model('other', 'x')]",
        "models has rows for other, which specs lacks",
    ),
}


@pytest.fixture
def broken(tmp_path):
    """A folder of installed packages, each with one fault."""
    for package, (module, text, _) in BROKEN.items():
        if text:
            (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[zoo.families]\nfamily_{module} = {module}\n")
    return tmp_path


@pytest.mark.quick
def test_a_broken_package_is_skipped_with_a_warning(broken, installed):
    program = """
import warnings, zoo
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    names = zoo.list_models()
    zoo.list_models(), zoo.describe("resnet50")
print(len(names), names[-1])
for warning in caught:
    print(warning.message)
"""
    first, *warned = run([broken, installed], "-c", program).stdout.splitlines()
    assert first == f"{len(zoo.list_models()) + 1} darknet53"
    assert len(warned) == len(BROKEN)
    for package, (module, _, words) in BROKEN.items():
        line = next(w for w in warned if f"of {package}:" in w)
        assert line.startswith(f"zoo leaves out the family 'family_{module}'")
        assert words in line


def test_the_commands_work_in_spite_of_a_broken_package(broken):
    done = run([broken], "-m", "zoo", "list", "mlp")
    assert done.stdout.startswith("mlp ")
    assert "zoo leaves out the family 'family_absent' of no-module" in done.stderr


@pytest.mark.quick
def test_contributing_contains_the_example():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for file, language in (("zoo_darknet.py", "python"), ("pyproject.toml", "toml")):
        assert f"```{language}\n{(HERE / 'example_family' / file).read_text()}```" in text


# Registered by a script


@dataclasses.dataclass(frozen=True)
class Tower:
    """A family with a method for zoo.scale, which does not know the names of its fields."""

    height: int = 2
    maps: int = 8

    def scaled(self, depth, width):
        return {"height": max(round(self.height * depth), 1), "maps": round(self.maps * width)}


def tower(x, style, spec, num_classes):
    for i in range(1, spec.height + 1):
        x = blocks.conv_norm_act(x, spec.maps * 2**i, 3, 2, style=style, name=f"stage{i}_block1")
    return blocks.pooled_head(x, num_classes, style=style)


@pytest.fixture
def towers():
    toys = {"toy_tower": Tower()}
    style = zoo.Style(norm="batch")
    family = zoo.Family(tower, {"tower4": Tower(4, 16)}, {"*": style}, toys)
    zoo.register("towers", family, [zoo.Model("tower4", "towers", input_shape=(64, 64, 3))])
    yield
    registry._catalog.pop("tower4")
    registry._families.pop("towers")
    registry.families.cache_clear()


def test_every_function_of_zoo_works_for_a_registered_family(towers, capsys):
    exercise("tower4", "toy_tower")
    assert zoo.scale("tower4", 2) == {"height": 6, "maps": 19, "input_shape": (84, 84, 3)}
    main = __import__("zoo.__main__", fromlist=["main"]).main
    assert main(["list", "tow*"]) == 0
    assert main(["show", "tower4", "--height=3"]) == 0
    assert "stage3" in capsys.readouterr().out
    model = zoo.build("tower4", height=2)
    assert isinstance(model.get_layer("stage2_block1_norm"), keras.layers.BatchNormalization)


@pytest.mark.quick
def test_a_family_without_known_fields_cannot_be_scaled():
    @dataclasses.dataclass(frozen=True)
    class Unknown:
        height: int = 2

    zoo.register("unknowns", zoo.Family(tower, {"unknown1": Unknown()}, {"*": zoo.Style()}))
    try:
        with pytest.raises(
            ValueError, match=r"unknown1: none of its fields .*height.*scaled\(depth, width\)"
        ):
            zoo.scale("unknown1", 1)
    finally:
        registry._catalog.pop("unknown1")
        registry._families.pop("unknowns")
        registry.families.cache_clear()


@pytest.mark.quick
@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("tower", "must be a zoo.Family, not 'tower'"),
        (
            zoo.Family("tower", {"a": Tower()}, {"*": zoo.Style()}),
            "network='tower': must be a function",
        ),
        (zoo.Family(tower, [Tower()], {"*": zoo.Style()}), "specs must be a dict"),
        (zoo.Family(tower, {"a": Tower()}, [zoo.Style()]), "styles must be a dict"),
        (zoo.Family(tower, {"a": Tower()}, {"*": zoo.Style()}, [Tower()]), "toys must be a dict"),
        (
            zoo.Family(tower, {"mlp": Tower()}, {"*": zoo.Style()}),
            "networks named mlp already exist",
        ),
        (
            zoo.Family(tower, {"a": Tower()}, {"b*": zoo.Style()}),
            "no pattern in its styles matches a;",
        ),
    ],
)
def test_registering_a_faulty_family_is_a_one_line_error(family, words):
    with pytest.raises(ValueError, match=words) as error:
        zoo.register("towers", family)
    assert "\n" not in str(error.value)
    assert "towers" not in registry.families()
