"""Pictures of networks: their content, that nothing in them overlaps, and their files."""

# ruff: noqa: RUF001 - signs such as × in pictures

import csv
import itertools
import math
import random
from pathlib import Path
from xml.etree import ElementTree

import keras
import matplotlib
import pytest
from PIL import Image

import zoo
from zoo import __main__
from zoo.diagram.canvas import settings, text_width
from zoo.diagram.drawing import draw
from zoo.diagram.outline import Card, Node
from zoo.diagram.placing import place
from zoo.diagram.reading import outline_of
from zoo.plan import resolve, sketch

GOLDEN = {
    row["name"]: row
    for row in csv.DictReader(Path(__file__).with_name("models.csv").read_text().splitlines())
}


def drawn(model, tmp_path) -> tuple[list[str], list[str]]:
    """Return the texts and the ids of the shortcuts in the SVG picture of a model."""
    root = ElementTree.parse(zoo.plot(model, tmp_path / "picture.svg")).getroot()
    texts = ["".join(e.itertext()) for e in root.iter() if e.tag.endswith("}text")]
    ids = [e.get("id", "") for e in root.iter()]
    return texts, [name for name in ids if name.startswith("shortcut-")]


def overlapping(boxes) -> list:
    """Return the names of overlapping pairs; each box is (left, top, right, bottom, name)."""
    return [
        (a[4], b[4])
        for a, b in itertools.combinations(boxes, 2)
        if a[0] < b[2] - 0.1 and b[0] < a[2] - 0.1 and a[1] < b[3] - 0.1 and b[1] < a[3] - 0.1
    ]


def spots(placed) -> list:
    return [
        (s.x, s.y - s.height / 2, s.right, s.y + s.height / 2, s.node.label) for s in placed.spots
    ]


def text_boxes(canvas) -> list:
    """Return the boxes that texts cover, by the metrics of the font."""
    boxes = []
    for x, y, text, size, _, align, bold in canvas.texts:
        width = text_width(text, size, bold)
        left = x - {"left": 0.0, "center": width / 2, "right": width}[align]
        boxes.append((left, y - 0.75 * size, left + width, y + 0.2 * size, text))
    return boxes


def within(boxes, width, height) -> bool:
    return all(min(b[:2]) > 0 and b[2] < width and b[3] < height for b in boxes)


# Content


def test_a_picture_shows_stages_shapes_and_totals(toy, tmp_path):
    model = sketch(resolve(toy))
    texts, _ = drawn(model, tmp_path)
    total = sum(math.prod(w.shape) for w in model.trainable_weights)
    assert any(text.startswith(f"{total:,} parameters") for text in texts)
    for name, layers in zoo.stages(model).items():
        assert name in texts
        assert "×".join(map(str, layers[-1].output.shape[1:])) in texts
        own = sum(math.prod(w.shape) for layer in layers for w in layer.trainable_weights)
        assert not own or f"{own:,}" in texts


def test_no_text_overlaps_another_or_leaves_the_page(toy):
    found = outline_of(sketch(resolve(toy)))
    with settings():
        canvas, width, height = draw(found, toy, "A paper 2015")
    boxes = text_boxes(canvas)
    assert overlapping(boxes) == []
    assert within(boxes, width, height)
    assert 0.5 < width / height < 3.5


# Depths, widths and output sizes as in table 1 of He et al. 2015 and of Huang et al. 2016: texts
# on folded repetitions and outputs, texts of kernels, and parts of other texts.
CONTENT = {
    "resnet50": (
        ["56×56×256", "28×28×512", "14×14×1024", "7×7×2048", "×2", "×3", "×5", "blocks 2–6"],
        ["7×7 64 /2", "max 3×3 /2", "1×1 64", "3×3 64", "1×1 2048", "3×3 512 /2", "dense 1000"],
        ["4.09 G MACs", "He et al. 2015", "224×224×3", "batch norm", "relu"],
    ),
    "densenet121": (
        ["×6", "×12", "×24", "×16", "transition", "28×28×128", "14×14×256", "7×7×512", "7×7×1024"],
        ["1×1 128", "3×3 32", "mean 2×2 /2"],
        ["Huang et al. 2016"],
    ),
    "se_resnext50_32x4d": ([], ["3×3 128 g32", "SE 16", "SE 128"], ["Hu et al. 2017"]),
    "mobilenet_v2": (["×3", "7×7×320"], ["1×1 96", "dw 3×3 /2", "1×1 1280"], ["relu6"]),
    "alexnet": (["27×27×96", "fc"], ["11×11 96 /4", "5×5 256 g2", "LRN", "dense 4096"], []),
    "googlenet": (["block 5"], ["5×5 128", "max 3×3", "1×1 384"], ["Szegedy et al. 2014"]),
}


@pytest.mark.parametrize("name", CONTENT)
def test_pictures_show_the_numbers_of_the_papers(name, tmp_path):
    texts, _ = drawn(name, tmp_path)
    folded, kernels, facts = CONTENT[name]
    assert set(folded) | set(kernels) <= set(texts)
    assert all(any(fact in text for text in texts) for fact in facts)
    assert any(t.startswith(f"{int(GOLDEN[name]['trainable_params']):,} parameters") for t in texts)


# Numbers of residual blocks: 3 + 4 + 6 + 3 in ResNet-50; in MobileNetV2, those of its 17 blocks
# that neither stride nor widen; 10 + 20 + 10 in Inception-ResNet. DenseNet-40 has 3 x 12 layers.
RESIDUAL = {
    "resnet50": 16,
    "plain34": 0,
    "vgg11": 0,
    "mobilenet_v2": 10,
    "inception_resnet_v2": 40,
    "densenet40_k12": 36,
    "resnet110": 54,
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.full] * n.startswith("inception")) for n in RESIDUAL],
)
def test_each_residual_block_has_an_arc(name, tmp_path):
    model = sketch(resolve(name))
    _, arcs = drawn(model, tmp_path)
    cards = [
        (f"shortcut-{lane.name}-{card.name}", card)
        for lane in outline_of(model).lanes
        for card in lane.cards
    ]
    assert sum(card.count for arc, card in cards if arc in arcs) == RESIDUAL[name]
    assert set(arcs) <= {arc for arc, _ in cards}
    assert len(set(arcs)) == len(arcs)


def test_a_picture_shows_the_options(tmp_path):
    plan = resolve(
        "resnet18", act="leaky_relu", norm="none", input_shape=(None, None, 3), num_classes=0
    )
    texts, _ = drawn(sketch(plan), tmp_path)
    assert "?×?×512" in texts
    assert "varies" in texts
    assert "dense 1000" not in texts
    line = next(text for text in texts if "parameters  ·" in text)
    assert line.endswith("  ·  leaky_relu")
    assert "norm" not in line
    assert "MACs" not in line


def test_auxiliary_heads_are_drawn_apart_from_the_stages(tmp_path):
    lanes = {lane.name: lane for lane in outline_of(sketch(resolve("googlenet", aux=True))).lanes}
    assert [card.title for card in lanes["stage2"].cards[-2:]] == [
        "aux 1, from block 1",
        "aux 2, from block 4",
    ]
    assert lanes["stage2"].output == (7, 7, 832)  # the output of its pool, not of a head


@pytest.mark.parametrize("name", ["toy_resnet", "densenet40_k12", "toy_nasnet"])
def test_recomputed_networks_look_the_same(name):
    plain, recomputed = (outline_of(sketch(resolve(name, recompute=r))) for r in (False, True))
    assert plain == recomputed


def two_sums_in_a_block():
    """Return a model of no family: a block of two residual sums, each with its own branch."""
    layers = keras.layers
    x = image = keras.Input((16, 16, 4), name="input_image")
    for part in ("a", "b"):
        y = layers.Conv2D(4, 3, padding="same", name=f"stage1_block1_{part}_1_conv")(x)
        y = layers.Conv2D(4, 1, name=f"stage1_block1_{part}_2_conv")(y)
        x = layers.Add(name=f"stage1_block1_{part}_add")([x, y])
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    return keras.Model(image, x, name="resnet50")


@pytest.mark.quick
def test_models_that_zoo_did_not_build_are_drawn(tmp_path):
    texts, arcs = drawn(two_sums_in_a_block(), tmp_path)
    assert arcs == ["shortcut-stage1-block1", "shortcut-stage1-block1-2"]
    assert texts.count("3×3 4") == 2
    assert "336 parameters  ·  81.9 k MACs  ·  input 16×16×4" in texts
    namesake = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)], name="resnet50")
    texts, _ = drawn(namesake, tmp_path)
    assert not any("He et al." in text for text in texts)


# Nothing overlaps


def random_card(seed: int) -> Card:
    """Return a block of up to 30 nodes, each of which reads some of the earlier ones."""
    draw = random.Random(seed)
    inputs, nodes = draw.choice([1, 1, 1, 2, 3]), []
    for i in range(draw.randint(1, draw.choice([6, 12, 30]))):
        known = list(range(-inputs, i))
        known = known[-5:] if draw.random() < 0.7 else known
        reads = tuple(dict.fromkeys(draw.choices(known, k=draw.choice([1, 1, 1, 1, 2, 2, 3]))))
        kind = draw.choice(["conv", "pool"] if len(reads) == 1 else ["add", "concat"])
        nodes.append(Node("" if kind == "concat" else "3×3 64", kind, reads))
    return Card("block1", tuple(nodes), tuple(range(1, inputs + 1)))


@pytest.mark.quick
def test_nodes_of_random_graphs_never_overlap():
    for seed in range(400):
        placed = place(random_card(seed), lambda text: 5.0 * len(text))
        assert overlapping(spots(placed)) == [], f"seed {seed}"


@pytest.mark.full
@pytest.mark.parametrize("name", zoo.list_models(exclude=["*1202", "*1001"]))
def test_nothing_overlaps_in_pictures_of_the_catalog(name):
    found = outline_of(sketch(resolve(name)))
    for card in (card for lane in found.lanes for card in lane.cards):
        placed = place(card, lambda text: text_width(text, 8.5))
        assert overlapping(spots(placed)) == [], card.name
    with settings():
        canvas, width, height = draw(found, name, zoo.describe(name)["paper"])
    boxes = text_boxes(canvas)
    assert overlapping(boxes) == []
    assert within(boxes, width, height)
    assert 0.8 < width / height < 2.5
    texts = " ".join(text for *_, text in boxes)
    assert f"{int(GOLDEN[name]['trainable_params']):,} parameters" in texts


# Files


@pytest.mark.quick
def test_a_png_opens_and_has_the_aspect_ratio_of_the_svg(tmp_path):
    svg = ElementTree.parse(zoo.plot("lenet5", tmp_path / "a.svg")).getroot()
    with Image.open(zoo.plot("lenet5", tmp_path / "a.PNG")) as picture:
        picture.load()
        assert picture.format == "PNG"
        width, height = (float(svg.get(side).removesuffix("pt")) for side in ("width", "height"))
        assert picture.width / picture.height == pytest.approx(width / height, abs=0.01)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20


@pytest.mark.quick
def test_an_existing_picture_is_replaced_atomically(tmp_path):
    path = tmp_path / "lenet.svg"
    path.write_text("old")
    with path.open() as reader:
        assert zoo.plot("lenet5", path) == path
        assert reader.read() == "old"  # open files keep the old content
    assert path.read_text().startswith("<?xml")
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_does_not_depend_on_matplotlib_settings_or_weights(tmp_path):
    first = zoo.plot("toy_resnet", tmp_path / "a.svg").read_bytes()
    with matplotlib.rc_context({"svg.fonttype": "path", "font.size": 30, "font.family": "serif"}):
        again = zoo.plot(zoo.build("toy_resnet", seed=3), tmp_path / "b.svg").read_bytes()
        assert matplotlib.rcParams["font.size"] == 30
    assert first == again
    png = [zoo.plot("toy_resnet", tmp_path / f"{i}.png").read_bytes() for i in range(2)]
    assert png[0] == png[1]


@pytest.mark.full
def test_the_command_writes_the_same_picture_and_stops_at_ctrl_c(tmp_path, python):
    program = """
import signal, sys
import zoo
zoo.describe("toy_resnet"), zoo.plot
print([m for m in ("keras", "matplotlib") if m in sys.modules])
from zoo import __main__
print(__main__.main(["plot", "toy_resnet", "--to", sys.argv[1], "--act=relu"]))

def network(x, style, spec, num_classes):
    signal.raise_signal(signal.SIGINT)

spec = zoo.resolve("mlp").spec
zoo.register("stopped", zoo.Family(network, {"stopped": spec}, {"*": zoo.Style()}))
print(__main__.main(["plot", "stopped", "--to", sys.argv[1] + ".svg"]))
"""
    path = tmp_path / "picture.svg"
    done = python(program.replace("sys.argv[1]", repr(str(path))), PYTHONHASHSEED="7")
    assert done.stdout.splitlines() == ["[]", str(path), "0", "130"]
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == zoo.plot("toy_resnet", tmp_path / "here.svg").read_bytes()


@pytest.mark.quick
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lenet5", "--to", "lenet.jpg"], "to='lenet.jpg': does not end in .svg or .png"),
        (["lenet5", "--to", "lenet"], "to='lenet': does not end in .svg"),
        (["lenet5", "--to", "no/lenet.svg"], "there is no folder 'no'"),
        (["lenet5", "--to", "folder.svg"], "'folder.svg': this is a folder"),
        (["lenet6"], "did you mean 'lenet5'?"),
        (["lenet5", "--act=rellu"], "did you mean 'relu'?"),
        (["lenet5", "--act", "relu"], "'--act': not an option"),
        (["lenet5", "--weights=x"], "weights='x': `zoo plot` takes no weights"),
        (["lenet5", "--input_shape=8,8,1"], "needs at least 16x16"),
    ],
)
def test_a_wrong_argument_is_a_one_line_error(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.svg").mkdir()
    assert __main__.main(["plot", *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["folder.svg"]


@pytest.mark.quick
def test_the_default_path_is_the_name_of_the_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert __main__.main(["plot", "toy_lenet"]) == 0
    assert capsys.readouterr().out == "toy_lenet.svg\n"
    assert (tmp_path / "toy_lenet.svg").stat().st_size > 2000


def nested_operation():
    x = keras.Input((8, 8, 3))
    return keras.Model(x, keras.layers.Conv2D(3, 1, name="stage1_block1_conv")(x) + x)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: 5, "model=5: neither the name of a network nor a functional keras.Model"),
        (lambda: keras.Sequential([keras.layers.Dense(3)]), "start it with keras.Input"),
        (nested_operation, "use layers, such as keras.layers.Add, once each"),
    ],
)
def test_a_model_that_cannot_be_drawn_is_a_one_line_error(make, words, tmp_path):
    with pytest.raises(ValueError, match=r"draw|neither|start") as error:
        zoo.plot(make(), tmp_path / "a.svg")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
