"""tools/studies writes docs/studies.md from the verdicts of finished studies."""

import importlib.machinery
import importlib.util
import json
from pathlib import Path

import pytest
from PIL import Image

from recipes.studying import running

pytestmark = pytest.mark.quick
ROOT = Path(__file__).parents[1]


def studies():
    """Load tools/studies, which has no file extension, as a module."""
    loader = importlib.machinery.SourceFileLoader("studies_tool", str(ROOT / "tools/studies"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def test_the_page_is_up_to_date_and_orders_every_study():
    tool = studies()
    assert tool.main(["--check"]) == 0
    assert set(running.names()) <= set(tool.ORDER)


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """The directory of a finished study, and a function that changes its verdict.json."""
    monkeypatch.setattr(
        running,
        "docstring",
        lambda name: "Made up.\n\nClaims: it helps.\nSetup: two\nnetworks.\nFigure: a line.",
    )
    path = tmp_path / "made"
    path.mkdir()
    Image.new("RGB", (40, 30), "red").save(path / "figure.png")
    about = {
        "study": "made", "title": "Made up.", "quick": False, "data": [], "seconds": 150.0,
        "commits": ["0123456789"], "hardware": {"cpu": "AMD EPYC 7B13", "cores": 2},
        "versions": {"tensorflow": "2.21.0", "keras": "3.15.1"},
        "claims": [
            {"key": "gain", "claim": "It helps.", "quantity": "|gain|",
             "source": "CS231n 2021, lecture 7; CS231n 2016, lecture 5",
             "criterion": "above 0", "verdict": "depends",
             "conditions": [
                 {"condition": "tanh", "measured": "1.1 ± 0.2", "says": "3 against 2", "seeds": 3,
                  "repeats": "seeds", "needed": None, "verdict": "confirmed"},
                 {"condition": "relu", "measured": "-1.1 ± 0.2", "says": "", "seeds": 3,
                  "repeats": "seeds", "needed": 7, "verdict": "refuted"},
             ]},
            {"key": "fast", "claim": "It is fast.", "source": "a book", "quantity": "time",
             "criterion": "below 1", "verdict": "confirmed",
             "conditions": [
                 {"condition": "", "measured": "0.5", "says": "", "seeds": 3, "repeats": "seeds",
                  "needed": None, "verdict": "confirmed"},
             ]},
        ],
    }  # fmt: skip

    def change(**changes):
        (path / "verdict.json").write_text(json.dumps(about | changes))
        return path

    return change


def test_a_finished_study_becomes_a_section(finished, tmp_path, monkeypatch):
    tool = studies()
    monkeypatch.setattr(tool, "docstring", running.docstring)
    monkeypatch.setattr(tool, "PAGE", tmp_path / "studies.md")
    monkeypatch.setattr(tool, "RESULTS", tmp_path / "studies")
    assert tool.main(["--add", str(finished())]) == 0
    page = (tmp_path / "studies.md").read_text()
    assert "| [made](#made) | It helps. | depends |" in page
    assert "![Made up](studies/made.png)" in page
    assert "**Figure.** A line.\n\n**Setup.** Two networks.\n" in page
    assert (
        "| **It helps.** | 2016, 2021 | \\|gain\\|: above 0 |  | **depends** |\n"
        "| - tanh |  |  | 1.1 ± 0.2; 3 against 2 | confirmed |\n"
        "| - relu |  |  | -1.1 ± 0.2 (about 7 seeds would decide it) | refuted |\n"
        "| **It is fast.** | a book | time: below 1 | 0.5 | **confirmed** |\n"
    ) in page
    assert (
        "Measured in 2 minutes of running time, with 3 values for each number. Commit 0123456"
        in page
    )
    assert "Seeds were added" not in page
    assert "Not measured in full yet: `" in page
    picture = Image.open(tmp_path / "studies/made.png")
    assert picture.size == (40, 30)
    assert picture.convert("RGB").getpixel((5, 5)) == (255, 0, 0)
    assert tool.main(["--check"]) == 0
    (tmp_path / "studies.md").write_text("edited")
    assert tool.main(["--check"]) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"commits": ["0123456789", "0123456789-dirty"]}, "uncommitted code"),
        ({"commits": ["None"]}, "uncommitted code"),
        ({"quick": True}, "a quick run"),
        ({"data": ["folder:/home/cifar"]}, "name it with --data=NAME"),
    ],
)
def test_what_others_cannot_repeat_is_rejected(finished, capsys, changes, message):
    assert studies().main(["--add", str(finished(**changes))]) == 2
    assert message in capsys.readouterr().err


def test_added_seeds_are_named(finished):
    tool = studies()
    assert "each number. Seeds were added with --seeds=9. Commit" in tool.origin(
        tool.published(finished(seeds=9), None)
    )


def test_a_folder_gets_its_public_name(finished):
    path = finished(data=["folder:/home/cifar"])
    found = studies().published(path, "CIFAR-10 (JPEG copy)")
    assert found["data"] == ["CIFAR-10 (JPEG copy)"]
    assert "home" not in json.dumps(found)
