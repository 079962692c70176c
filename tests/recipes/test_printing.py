"""What commands print: names of any kind, in any encoding, in columns that line up."""

import io
import sys

import numpy as np
import pandas as pd
import pytest

from recipes import report
from recipes.evaluation import metrics
from recipes.evaluation.report import show
from recipes.search.report import show as show_search
from recipes.training.progress import Progress
from zoo import terminal
from zoo.lettering import width
from zoo.terminal import plural

NAMES = ["$a_$ [bold]x[/bold]", "[cat]", ":cat:", "new\nline\x1b[31m", "caf\udce9", "\ud800",
         "猫" * 40, *(f"class_with_a_very_long_name_indeed_{x}" for x in "ab")]  # fmt: skip


@pytest.fixture
def stream(monkeypatch):
    """Replace standard output by a strict one with an encoding; return what was written."""

    def open_one(encoding):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, errors="strict"))
        terminal.escape_unencodable()

        def read():
            sys.stdout.flush()
            return raw.getvalue().decode(encoding)

        return read

    return open_one


def evaluated():
    truth = np.arange(80) % len(NAMES)
    scores = np.random.default_rng(0).normal(size=(80, len(NAMES))) + np.eye(len(NAMES))[truth]
    found = metrics.compute_all(scores, np.eye(len(NAMES))[truth], NAMES)
    members = [{"run": "runs/\udce9[x]", "views": "one"}]
    return found | {"data": "folder:\udce9$", "split": "test", "average": None, "masks": None,
                    "noise": None, "members": members, "classes": NAMES,
                    "loss_of": "softmax"}  # fmt: skip


@pytest.mark.quick
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252"])
def test_an_evaluation_is_printed_in_any_encoding(encoding, stream):
    read = stream(encoding)
    show(evaluated())
    text = read()
    rows = [line for line in text.splitlines() if r"caf\xe9" in line]
    assert rows
    assert "$a_$ [bold]x[/bold]" in text
    assert r"\[cat]" not in text
    assert ":cat:" in text  # no emoji
    assert "\x1b" not in text
    assert r"new\nline\x1b[31m" in text
    for end in "ab":
        assert any(line.split("(")[0].count(f"indeed_{end}") for line in text.splitlines())
    table = text.splitlines()[-len(NAMES) - 4 :]
    assert len({width(line) for line in table}) == 1  # each column lines up
    bar = table[-2][0]
    row = next(line for line in table if r"caf\xe9" in line and line.index(r"caf\xe9") < 5)
    images = row.split(bar)[2]
    assert images.startswith("  ")
    assert images.endswith(" 9 ")  # numbers are at the right
    head = next(line for line in text.splitlines() if "mistaken" in line)
    columns = [name.strip() for name in head.strip("|┃").replace("┃", "|").split("|")]
    assert columns[:6] == ["class", "images", "right", "recall", "precision", "F1"]
    own = evaluated()["per_class"]["caf\udce9"]
    cells = [cell.strip() for cell in row.split(bar)]
    assert cells[4:7] == [f"{own[kind]:.4f}" for kind in ("recall", "precision", "f1")]


@pytest.mark.quick
def test_tables_align_numbers_right_and_words_left(capsys):
    report.table("t", ["name", "n", "score"], [["a", "1", "0.5000"], ["long name", "100", "nan"]])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("│")[1:4] for line in lines if "│" in line] == [
        [" a         ", "   1 ", " 0.5000 "], [" long name ", " 100 ", "    nan "],
    ]  # fmt: skip


@pytest.mark.parametrize("count", [12, 13])
def test_the_table_of_a_search_leaves_out_many_hyperparameters(count, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    values = {f"op{i}": "sep3" for i in range(count)}
    row = {"trial": "0", "status": "finished", "score": 0.5, **values, "epochs": 2, "seconds": 1.0}
    found = pd.DataFrame([row | {"error": None, "same_as": None, "run": "r"}])
    show_search(found, "digits/cells", "random", "val_accuracy", "0")
    out = " ".join(capsys.readouterr().out.split())
    assert "0.5 *" in out
    assert ("op11" in out) == (count == 12)
    assert ("trials.csv has the 13 hyperparameters" in out) == (count == 13)


@pytest.mark.full
def test_commands_survive_an_ascii_terminal(cli, tmp_path):
    from PIL import Image

    for part, count in (("train", 4), ("test", 2)):
        for name in ("caf\udce9", "猫", "plain"):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (16, 16), (i, 60 * len(name), 9)).save(folder / f"{i}\udcff.png")
    settings = {"PYTHONIOENCODING": "ascii", "CONVNET_ZOO_CACHE": str(tmp_path / "cache")}
    small = ("--data=folder:photos", "--validation=0", "--epochs=1", "--batch_size=4")
    ops = ("--augment=(Resize(8),)", "--eval_ops=(Resize(8),)", "--run=run")
    for line in (
        ("train", "digits/mlp", *small, *ops),
        ("evaluate", "run"),
        ("diagnose", "run"),
        ("look", "digits/mlp", *small, *ops[:2], "--to=caf\udce9.png"),
    ):
        done = cli(*line, **settings)
        assert done.returncode == 0, (line, done.stderr)
        assert "Traceback" not in done.stderr


def test_a_run_directory_that_tensorboard_cannot_write_to_is_an_error(here, tmp_path):
    done = here("train", "digits/mlp", "--data=made_up:8x8x1:3:20", "--run=caf\udce9")
    assert done.returncode == 2
    assert done.stderr.startswith(r"train: run='caf\udce9': the path is not valid UTF-8")
    assert not any(tmp_path.iterdir())


@pytest.mark.quick
def test_counts_of_one_are_singular():
    assert [plural(n, "image") for n in (0, 1, 1200)] == ["0 images", "1 image", "1,200 images"]
    assert [plural(n, "class", "classes") for n in (1, 2)] == ["1 class", "2 classes"]
    spans = [
        Progress([{}] * done, step).remaining(of, 5)
        for done, step, of in ((0, 0, 3), (2, 0, 3), (0, 0, 1), (3, 0, 3), (1, 2, 3), (2, 5, 3))
    ]
    assert spans == [
        "epochs 1 to 3", "epoch 3", "epoch 1", "all epochs done before",
        "epochs 2 to 3 from step 3", "epoch 3 from the validation of epoch 3",
    ]  # fmt: skip
