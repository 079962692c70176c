"""docs/lectures.md: every link, test, study, network, recipe, option and command on it exists."""

import ast
import functools
import importlib.machinery
import importlib.util
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

import recipes
import zoo
from recipes.augment import OPS
from recipes.cli import flags
from recipes.cli.main import COMMANDS
from recipes.cli.names_command import KINDS
from recipes.diagnostics import CHECKS
from recipes.recipe import FIELDS
from recipes.studying import running
from zoo import __main__, names_command
from zoo.command_line import build_names, build_options
from zoo.style import Style

pytestmark = pytest.mark.quick
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGE = (DOCS / "lectures.md").read_text("utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
BLOCKS = FENCE.findall(PAGE)
TEXT = FENCE.sub("", PAGE)
SPANS = [re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", TEXT)]
LINKS = re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", TEXT)
# Where a command stands for that of any recipe, run or network
PLACEHOLDERS = {"RECIPE", "RUN", "NAME"}
# Columns and files that commands write, and words of programs on the page
OTHERS = {
    *("accuracy", "val_accuracy", "loss", "dead", "metrics.csv", "steps.csv", "curves.png"),
    *("source .venv/bin/activate", "|| true", "normal:0.01", "run", "deepen", "diagnose", "space"),
    *("zoo", "lr=log:1e-4:1", "seed=1"),
}
PARSER, ZOO = __main__._parser()


@functools.cache
def tool(name: str):
    loader = importlib.machinery.SourceFileLoader(name, str(ROOT / "tools" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "")).strip().lower().replace(" ", "-")
        for heading in headings
    }


def lines(block: str) -> list[str]:
    """Return our commands in a block of bash, without comments."""
    found = [line.partition(" #")[0] for line in block.replace("\\\n", " ").splitlines()]
    found = [line.removesuffix(" || true").strip() for line in found]
    return [line for line in found if re.match("recipes|zoo", line)]


COMMAND_LINES = [line for kind, block in BLOCKS if kind in ("bash", "sh") for line in lines(block)]


def defined(path: Path) -> set[str]:
    return {
        n.name for n in ast.parse(path.read_text("utf-8")).body if isinstance(n, ast.FunctionDef)
    }


def test_links_lead_to_files_headings_and_tests():
    assert len(LINKS) > 150
    for text, target in LINKS:
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (DOCS / name).resolve() if name else DOCS / "lectures.md"
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), target
        if text.startswith("`test_"):
            assert text.strip("`") in defined(path), f"{text} is not in {target}"


def test_errata_are_numbered_and_referred_to():
    numbers = [int(n) for n in re.findall(r"^\| E(\d+) \|", PAGE, re.M)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {int(n) for n in re.findall(r"\[E(\d+)\]", PAGE)} <= set(numbers)


def test_numbers_of_the_errata_are_those_of_the_catalog():
    """E26, E28, E31 and E32."""
    table = zoo.table()
    for name, top1 in (
        ("resnet1202", 92.07),
        ("resnet110", 93.57),
        ("densenet201", 76.90),
        ("resnet152", 78.31),
        ("wide_resnet50_2", 78.47),
    ):
        assert table.loc[name, "top1"] == top1
        assert f"{top1:.2f} %" in PAGE
    costs = {
        name: (round(table.loc[name, "gmac"], 1), round(table.loc[name, "parameters"] / 1e6, 1))
        for name in ("wide_resnet50_2", "resnet152")
    }
    assert costs == {"wide_resnet50_2": (11.4, 68.9), "resnet152": (11.5, 60.2)}
    vgg = table.loc["vgg19"]
    assert sum(table["gmac"] > vgg["gmac"]) == 4
    assert list(table.index[table["parameters"] > vgg["parameters"]]) == ["vgg19_bn"]


def test_numbers_of_the_errata_are_those_of_the_studies():
    """E1, E2, E9 to E13, E15, E17, E20, E29 and E32."""

    def claims(study):
        return json.loads((DOCS / f"studies/{study}.json").read_text("utf-8"))["claims"]

    def value(study, claim, condition):
        (claim,) = [each for each in claims(study) if each["key"] == claim]
        (each,) = [each for each in claim["conditions"] if each["condition"] == condition]
        return each["value"]

    first = "init_statistics"
    for found, expected in (
        (value("babysit", "range", "pixels minus the mean image"), 0.001),
        (value("babysit", "range", "standardized pixels"), 0.1),
        (value(first, "no gradients", "6 x 4096"), 0.25),
        (value(first, "saturates", "0.05, 6 x 4096"), 0.33),
        (value(first, "explodes", "0.05, 6 x 4096"), 6),
        (value(first, "explodes", "1, 10 x 500"), 100_000),
        (value(first, "Xavier", "50 x 512"), 0.15),
        (value("degradation", "copied", "plain, training"), 10),
    ):
        assert found == pytest.approx(expected, rel=0.05)
    refuted = {
        claim["key"]: [each["verdict"] for each in claim["conditions"]].count("refuted")
        for claim in claims("transfer")
        if len(claim["conditions"]) == 8
    }
    assert refuted == {"advice 2021": 2, "advice 2025": 0}
    assert value("relu_speed", "faster than tanh", "") == pytest.approx(0.69, abs=5e-3)
    assert value("relu_speed", "faster than sigmoid", "") > 3.6
    assert value(first, "no gradients", "10 x 500") < 1e-5
    assert value("width_vs_depth", "width", "") > 2
    assert value("width_vs_depth", "parallel", "") == pytest.approx(1.14, abs=5e-3)
    assert value("activations", "swish", "ResNet-20") < -1
    assert value("dead_units", "survive", "ELU, 1 hidden layer") < -3
    assert value("averaging", "scaling", "dropout 0.5") == pytest.approx(0.090 - 0.076, abs=5e-4)


def test_every_study_is_on_the_page():
    named = re.findall(r"\[`(\w+)`\]\(studies\.md#(\w+)\)", PAGE)
    assert {name for name, _ in named} == set(running.names())
    assert all(name == anchor for name, anchor in named)
    assert "](studies.md)" in PAGE  # the page itself, where all of them are meant


def wrong_names(line: str) -> list[str]:
    """Return the words of a command that do not exist. Its arguments may be incomplete."""
    program, command, *words = shlex.split(line)
    if command not in (COMMANDS if program == "recipes" else ZOO):
        return [command]
    if program == "zoo":
        own, fields = set(ZOO[command]._option_string_actions), build_names()
    else:
        own = set(COMMANDS[command].arguments)
        fields = set(FIELDS) if COMMANDS[command].fields else set()
    flags_ = [word.partition("=")[0] for word in words if word.startswith("--")]
    wrong = [
        flag
        for flag in flags_
        if flag not in own and flag[2:] not in fields and not flag.startswith("--options.")
    ]
    for word in words:
        if word.startswith("--only="):
            wrong += set(word.removeprefix("--only=").split(",")) - set(CHECKS)
    if words and command == "names":
        kinds = names_command.KINDS if program == "zoo" else KINDS
        wrong += {words[0]} - set(kinds)
    elif words and command in ("show", "plot", "filters", "predict", "train", "check", "compare"):
        name = words[0]
        known = is_recipe(name) or name in {*zoo.list_models(), *PLACEHOLDERS}
        wrong += [] if known or name.startswith(("--", "runs/")) else [name]
    return wrong


@functools.cache
def is_recipe(text: str) -> bool:
    return "/" in text and text in recipes.names()


def test_commands_and_their_flags_exist():
    inline = [span for span in SPANS if re.match(r"(recipes|zoo) [a-z]", span)]
    assert len(COMMAND_LINES) > 15
    assert len(inline) > 30
    assert [(line, wrong) for line in COMMAND_LINES + inline if (wrong := wrong_names(line))] == []


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_commands_in_blocks_are_complete_and_their_values_valid(line):
    program, *words = shlex.split(line)
    if program == "recipes":
        about = COMMANDS[words[0]]
        own, overrides = flags.parse(line, "", about.arguments, words[1:], about.fields)
        if about.fields:
            recipes.replace(recipes.load(own["recipe"]), **overrides)
        return
    args, rest = PARSER.parse_known_args(words)
    name = getattr(args, "name", None) or getattr(args, "model", None)
    assert name is None or zoo.resolve(name, **build_options(rest, words[0], ()))
    assert [Style(act=act) for act in getattr(args, "acts", None) or ["relu"]]


def test_blocks_are_valid_programs_and_say_what_they_need():
    for kind, block in BLOCKS:
        assert kind in ("bash", "sh", "python", "py")
        if kind in ("python", "py"):
            tree = ast.parse(block)
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    package = {"zoo": zoo, "recipes": recipes}.get(node.value.id)
                    assert package is None or node.attr in package.__all__, node.attr
    bash = "".join(block for kind, block in BLOCKS if kind in ("bash", "sh"))
    subprocess.run(["bash", "-n"], input=bash, text=True, check=True)
    for found in FENCE.finditer(PAGE):
        if found[1] in ("sh", "py"):
            assert "need" in PAGE[found.start() - 300 : found.end()], found[0]


def is_setting(span: str) -> bool:
    """Return whether `name=value` is a field of a recipe or an option of zoo.build, and valid."""
    name, equals, value = span.partition("=")
    if not equals or name not in {*FIELDS, *build_names()}:
        return False
    if name in ("act", "norm", "init", "bias_init") and value:
        return bool(Style(**{name: ast.literal_eval(value)}))
    if name == "preprocess" and value:
        return ast.literal_eval(value) in dict(KINDS["preprocess"]())
    return True


def exists(span: str) -> bool:
    """Return whether a code span of the text names something that exists."""
    if re.match(r"(recipes|zoo) [a-z]", span):
        return True  # a command, tested above
    if found := re.fullmatch(r"(zoo|recipes)\.(\w+)", span):
        return found[2] in {"zoo": zoo, "recipes": recipes}[found[1]].__all__
    if span.startswith("--"):
        flag = span.partition("=")[0]
        own = {name for about in COMMANDS.values() for name in about.arguments}
        return flag in own or flag[2:] in FIELDS or flag.startswith("--options.")
    if span.startswith("runs/"):
        folders = [text for _, block in BLOCKS for text in re.findall(r"runs/[\w./-]+", block)]
        return any(span.startswith(folder) for folder in folders)
    if span.startswith("test_"):
        return any(text == f"`{span}`" for text, _ in LINKS)
    return (
        span in {*zoo.list_models(), *OPS, *running.names(), *OTHERS}
        or is_recipe(span)
        or is_setting(span)
    )


def test_code_in_the_text_names_what_exists():
    assert [span for span in dict.fromkeys(SPANS) if not exists(span)] == []


def test_the_readme_links_to_the_page_on_its_first_screen():
    first = (ROOT / "README.md").read_text("utf-8").splitlines()[:16]
    assert any("(docs/lectures.md)" in line for line in first)


def test_the_commands_of_the_page_are_run():
    assert "docs/lectures.md" in tool("readme").PAGES
