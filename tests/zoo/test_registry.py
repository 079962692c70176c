"""The catalog: names, counts, descriptions, registration and the commands that print them."""

import csv
import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zoo
from zoo import complexity, registry
from zoo.__main__ import main
from zoo.plan import sketch

CATALOG = registry.catalog()

# Networks that take seconds to build.
DEEPEST = ("nasnet_large", "preact_resnet1001", "resnet1202")


@pytest.mark.quick
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.not_quick] if name in DEEPEST else [])
        for name in zoo.list_models()
    ],
)
def test_counts_are_those_of_the_catalog(name):
    """Parameters and depth are compared exactly and MACs to 1 %; only shapes are computed."""
    model = sketch(zoo.resolve(name))
    row = CATALOG[name]
    assert complexity.parameters(model) == row.parameters
    macs = sum(complexity.macs(layer) for layer in model.layers)
    assert macs / 1e9 == pytest.approx(row.gmac, rel=0.01, abs=5e-7)
    assert complexity.depths(model)[model.layers[-1].name] == row.depth
    assert model.output.shape == (None, row.classes)
    assert model.output.dtype == "float32"
    parts = {layer.name.split("_")[0] for layer in model.layers}
    stages = {p for p in parts if p.startswith("stage")}
    assert parts - stages <= {"input", "stem", "fc", "head"}
    assert stages == {f"stage{i}" for i in range(1, len(stages) + 1)}


@pytest.mark.quick
def test_the_catalog_keeps_the_reference_numbers():
    """The catalog may add rows to models.csv and fill gaps, but not change its numbers."""
    with (Path(__file__).parent / "models.csv").open() as file:
        reference = {row["name"]: row for row in csv.DictReader(file)}
    assert reference.keys() <= CATALOG.keys()
    for name, given in reference.items():
        row = CATALOG[name]
        assert row.parameters == int(given["trainable_params"]), name
        assert "x".join(map(str, row.input_shape)) == given["input"], name
        assert (row.family, str(row.year), row.paper) == (
            given["family"],
            given["year"],
            given["paper"],
        )
        for got, text in (
            (row.gmac, given["gmac"]),
            (row.top1, given["published_top1"]),
            (row.top5, given["published_top5"]),
        ):
            assert not text or got == float(text), name


@pytest.mark.quick
def test_depths_are_those_of_the_papers():
    """Most names contain the depth; the others are from the abstracts or tables of the papers."""
    depths = {name: row.depth for name, row in CATALOG.items()}
    named = re.compile(
        r"(vgg|plain|(se_|preact_|wide_)?resnet|(se_)?resnext|densenet(_bc)?|senet)(\d+)"
    )
    found = {name: int(match[5]) for name in depths if (match := named.match(name))}
    assert len(found) > 50
    # Four dense blocks of 6, 12, 64 and 48 layers have 265 layers; the paper rounds to a name.
    found["densenet264"] += 1
    published = {
        "alexnet": 8,
        "zfnet": 8,
        "googlenet": 22,
        "mobilenet_v1": 28,
        "mobilenet_v2": 53,
        "inception_v3": 48,
    }
    for name, depth in (found | published).items():
        assert depths[name] == depth, name


# From the same source as the counts of the catalog.
@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("alexnet", {}, 60_965_224),
        ("vgg16", {}, 138_357_544),
        ("resnet50", {}, 25_557_032),
        ("resnet50_v1", {"norm_bias": True}, 25_583_592),
        ("resnet20", {"shortcut": "projection"}, 272_474),
        ("resnet110", {"shortcut": "projection"}, 1_730_714),
        ("se_resnet50", {}, 28_088_024),
        ("resnet50", {"num_classes": 0}, 25_557_032 - 2_049_000),
        ("resnet50", {"num_classes": 21_000}, 25_557_032 - 2_049_000 + 2049 * 21_000),
        ("mlp", {"hidden": ()}, 30_730),
        ("mlp", {"hidden": (4096,) * 6}, 3072 * 4096 + 5 * 4096**2 + 6 * 4096 + 40_970),
    ],
)
def test_counts_with_options_are_exact(name, options, count):
    model = sketch(zoo.resolve(name, **options))
    assert complexity.parameters(model) == count


@pytest.mark.quick
def test_list_models_matches_patterns():
    assert zoo.list_models("resnet5*") == ["resnet50", "resnet50_v1", "resnet56"]
    assert zoo.list_models("vgg1?", exclude="*19") == ["vgg11", "vgg13", "vgg16"]
    assert zoo.list_models("mlp", "lenet*") == ["mlp", "lenet5"]
    assert zoo.list_models("no such") == []
    assert not any("toy" in name for name in zoo.list_models())


@pytest.mark.quick
def test_describe_and_table_show_the_catalog():
    found = zoo.describe("resnext50_32x4d")
    assert found["parameters"] == 25_028_904
    assert found["spec"]["groups"] == 32
    assert found["style"]["act"] == "relu"
    frame = zoo.table("vgg*")
    assert list(frame.index) == zoo.list_models("vgg*")
    assert frame.loc["vgg16", "top1"] == 71.59


@pytest.mark.quick
def test_listing_imports_no_framework(python):
    program = """
import sys, zoo
from zoo import __main__
zoo.list_models(); zoo.describe("resnet50"); zoo.resolve("vgg16", act="elu", hidden=(64,))
__main__.main(["list"])
try: __main__.main(["--help"])
except SystemExit: pass
print([m for m in ("keras", "tensorflow", "pandas", "jax", "torch") if m in sys.modules])
"""
    assert python(program, fresh=True).stdout.splitlines()[-1] == "[]"


@dataclasses.dataclass(frozen=True)
class Tower:
    """A family of another package: a chain of convolutions."""

    height: int = 2


def tower(x, style, spec, num_classes):
    from zoo import blocks

    for i in range(1, spec.height + 1):
        x = blocks.conv_norm_act(x, 8, 3, 2, style=style, name=f"stage{i}_block1")
    return blocks.pooled_head(x, num_classes, style=style)


@pytest.fixture
def registered():
    family = zoo.Family(tower, {"tower2": Tower()}, {"*": zoo.Style(norm="batch")})
    rows = [zoo.Model("tower2", "towers", 2026, "nobody", (32, 32, 3), 10)]
    zoo.register("towers", family, rows)
    yield family
    registry._catalog.pop("tower2")
    registry._families.pop("towers")
    registry.families.cache_clear()


@pytest.mark.quick
def test_a_registered_family_is_listed_and_built(registered):
    assert "tower2" in zoo.list_models("tow*")
    assert zoo.describe("tower2")["spec"] == {"height": 2}
    model = zoo.build("tower2", height=3, act="elu", num_classes=4)
    assert model.output.shape == (None, 4)
    assert model.get_layer("stage3_block1_act")
    with pytest.raises(ValueError, match="'towers': a family of this name already exists"):
        zoo.register("towers", registered)
    with pytest.raises(ValueError, match="networks named tower2 already exist"):
        zoo.register("others", registered)


@pytest.mark.quick
def test_register_rejects_ambiguous_options_and_mutable_specs():
    @dataclasses.dataclass(frozen=True)
    class Bad:
        dropout: float = 0.0

    @dataclasses.dataclass
    class Mutable:
        height: int = 2

    for spec, words in ((Bad(), "the fields dropout of Bad"), (Mutable(), "frozen")):
        with pytest.raises(ValueError, match=words):
            zoo.register("bad", zoo.Family(tower, {"bad1": spec}, {"*": zoo.Style()}))
    assert "bad1" not in zoo.list_models()


@pytest.mark.quick
def test_the_commands_list_and_show_print_the_catalog(capsys):
    command = [sys.executable, "-m", "zoo", "list", "res*", "--exclude", "resnet*"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
    assert len(listed.splitlines()) == len(zoo.list_models("res*", exclude="resnet*"))
    assert main(["show", "resnet50", "--act=elu"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    for words in ("7x7x2048", "25,557,032", "act='elu'", "10 of 10", "He et al. 2015"):
        assert words in shown.out


@pytest.mark.quick
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "resnte*"), "unknown model 'resnte*'"),
        (("show", "resnte50"), "did you mean 'resnet50'"),
        (("show", "resnet50", "--act"), "--name=value"),
        (("show", "resnet50", "--act=rel"), "did you mean 'relu'"),
        (("show", "vgg16", "--input_shape=8,8,3"), "at least 32x32"),
        (("list", "--frob"), "--frob"),
        (("show", "resnet50", "--name=vgg16"), "takes no name"),
    ],
)
def test_a_wrong_command_line_is_a_one_line_error(arguments, words, capsys):
    assert main([*arguments]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1
