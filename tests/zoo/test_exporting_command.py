"""The command `zoo export`."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

import zoo
from tests import processes
from tests.zoo.exports import images, logits, network, rarely, relative_difference
from zoo.__main__ import main


def test_the_command_exports_a_network_by_name(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    network("toy_vgg").save_weights("toy.weights.h5")
    assert main(["export", "toy_vgg", "--to", "onnx", "deeper/it.onnx", "--batch=1"]) == 0
    done = capfd.readouterr()
    result = r"its logits differ from the network's by at most \d\.\de-\d+ of the largest"
    assert re.fullmatch(rf"deeper/it\.onnx: written; in onnxruntime \S+, {result}\n", done.out)
    assert done.err.startswith("zoo: toy_vgg has its initial weights and no preprocessing")
    assert len(done.err.splitlines()) == 1
    assert main(["export", "toy_vgg", "it.tflite", "--weights=toy.weights.h5", "--act=elu"]) == 0
    same = zoo.build("toy_vgg", weights="toy.weights.h5", act="elu")
    assert relative_difference(logits(Path("it.tflite"), images()), same(images()).numpy()) <= 1e-3


@pytest.mark.quick
def test_errors_of_the_command_are_one_line(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for arguments, words in (
        (["toy_vgg", "it.onnx", "--to=tflight"], "did you mean 'tflite'"),
        (["mobilenet_v", "it.onnx"], "did you mean 'mobilenet_v"),
        (["toy_vgg", "it.keras", "--dtype=int8"], "dtype='int8': not available for keras"),
        (["toy_vgg", "it.keras", "--akt=elu"], "unknown flag '--akt'"),
        (["toy_vgg", "it.keras", "--weights=imagenet"], "unknown source"),
    ):
        assert main(["export", *arguments]) == 2
        err = capfd.readouterr().err
        assert words in err
        assert len(err.splitlines()) == 1
        assert not list(tmp_path.iterdir())


def test_a_run_directory_takes_raw_pixels(tmp_path, monkeypatch, capfd):
    import recipes

    monkeypatch.chdir(tmp_path)
    run = recipes.train(
        recipes.Recipe(
            model="toy_lenet", data="made_up:24x24x1:4:96", batch_size=16, epochs=1, seed=3
        ),
        run=tmp_path / "run",
        verbose=False,
    )
    capfd.readouterr()
    x = images(5, 24, channels=1)
    for path in (Path("it.onnx"), Path("folder")):
        assert main(["export", "run", str(path)]) == 0
        assert capfd.readouterr().err == ""
        assert relative_difference(logits(path, x), run.model(x).numpy()) <= 1e-3


@pytest.mark.parametrize(
    ("path", "missing"), [("it.onnx", "tf2onnx"), rarely("it.tflite", "ai_edge_litert")]
)
def test_the_command_names_a_missing_package(path, missing, tmp_path, python):
    program = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "from zoo.__main__ import main\n"
        f"sys.exit(main(['export', 'toy_mlp', {str(tmp_path / path)!r}]))\n"
    )
    done = python(program, check=False)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert missing in line
    assert "pip install 'convnet-zoo[export]'" in line
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_nothing(tmp_path):
    command = [sys.executable, "-m", "zoo", "export", "toy_nasnet", str(tmp_path / "it.onnx")]
    environment = {**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parents[1])}
    running = processes.Process(command, env=environment)
    while running.poll() is None and not list(tmp_path.iterdir()):
        time.sleep(0.01)  # until it writes
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=300)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())
