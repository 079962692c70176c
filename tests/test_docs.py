"""docs/models.md and its pictures match what tools/docs generates from the catalog."""

import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import zoo
from tests import processes

ROOT = Path(__file__).parents[1]


def run(tool: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, tool, *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_the_page_is_up_to_date():
    done = processes.run([sys.executable, ROOT / "tools/docs", "--check"])
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.quick
def test_stale_files_are_found(tmp_path):
    loader = importlib.machinery.SourceFileLoader("docs", str(ROOT / "tools/docs"))
    tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("docs", loader))
    loader.exec_module(tool)
    generated, docs = tmp_path / "generated", tmp_path / "docs"
    for folder in (generated, docs):
        (folder / "models").mkdir(parents=True)
        (folder / "models.md").write_text("page")
        (folder / "models/a.svg").write_text("a")
    (docs / "another-page.md").write_text("not a generated page")
    assert tool.stale(generated, docs) == []
    (docs / "models.md").write_text("edited")
    (docs / "models/old.svg").write_text("of a removed network")
    (docs / "models/a.svg").unlink()
    stale = ["models/a.svg", "models/old.svg", "models.md"]
    assert list(map(str, tool.stale(generated, docs))) == stale


@pytest.mark.quick
def test_the_page_lists_every_network_and_its_pictures_are_valid_svg():
    page = (ROOT / "docs/models.md").read_text("utf-8")
    assert page.startswith("Generated from `zoo/catalog.csv` by `.venv/bin/python tools/docs`")
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\d,]+) \| [\d.e-]+ \| \d+ \|", page, re.MULTILINE)
    expected = [(name, f"{zoo.describe(name)['parameters']:,}") for name in zoo.list_models()]
    assert sorted(rows) == sorted(expected)
    pictures = [ROOT / "docs" / path for path in re.findall(r"!\[.*\]\((.*)\)", page)]
    assert len(pictures) == 1 + len({zoo.describe(name)["family"] for name in zoo.list_models()})
    for path in pictures:
        assert ElementTree.parse(path).getroot().tag.endswith("}svg")
    assert sum(path.stat().st_size for path in pictures) < 800_000


@pytest.mark.quick
def test_the_accuracy_plot_shows_only_imagenet_networks():
    picture = (ROOT / "docs/models/accuracy.svg").read_text("utf-8")
    labels = set(re.findall(r">(\w+)</text>", picture))
    for name in zoo.list_models():
        row = zoo.describe(name)
        shown = row["classes"] == 1000 and row["top1"] is not None
        assert (name in labels - {row["family"]}) == shown or name == row["family"]


@pytest.mark.quick
def test_an_unknown_flag_is_a_one_line_error():
    done = run(ROOT / "tools/docs", "--chek")
    assert (done.returncode, done.stderr) == (
        2,
        "docs: '--chek': invalid; the only flag is --check\n",
    )


@pytest.mark.full
def test_check_names_the_stale_file_and_the_tool_updates_it(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "tools").mkdir()
    tool = shutil.copy(ROOT / "tools/docs", tmp_path / "tools/docs")
    page = tmp_path / "docs/models.md"
    page.write_text(page.read_text("utf-8").replace("25,557,032", "25,557,033"), "utf-8")
    done = run(tool, "--check")
    line = "docs: docs/models.md is out of date; run .venv/bin/python tools/docs\n"
    assert (done.returncode, done.stdout) == (1, line)
    assert run(tool).stdout == "docs/models.md\n"
    assert page.read_bytes() == (ROOT / "docs/models.md").read_bytes()
