"""Which messages of TensorFlow are suppressed, in Python and on the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
import keras, numpy as np, tensorflow as tf

def predict_with_many():
    for _ in range(12):
        network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        network.predict(np.zeros((4, 2)), verbose=0)

predict_with_many()
import zoo
print("from here on", file=sys.stderr, flush=True)
predict_with_many()
tf.get_logger().warning("the disk is full")
"""


@pytest.mark.full  # slow
def test_retracing_warnings_for_several_networks_are_suppressed(python):
    before, after = python(PROGRAM).stderr.split("from here on\n")
    assert "triggered tf.function retracing" in before  # otherwise, the test would prove nothing
    assert after == "WARNING:tensorflow:the disk is full\n"


BUILD = """
import numpy as np, zoo
for _ in range(8):
    model = zoo.build("toy_resnet")
    model.predict(np.zeros((2, 32, 32, 3)), verbose=0)
"""
KERAS_LATER = """
import zoo
import keras
import tensorflow as tf
tf.constant(1) + 1
"""
TRAIN = """
import recipes
run = recipes.train("digits/linear", epochs=1, run="run", verbose=False)
recipes.evaluate(run)
"""


def run(program, folder, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    paths = {"PYTHONPATH": str(ROOT), "TFDS_DATA_DIR": str(folder / "data")}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=600,
        env={**kept, **paths, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(BUILD, marks=pytest.mark.full),
        pytest.param(KERAS_LATER, marks=pytest.mark.full),
        pytest.param(TRAIN, marks=pytest.mark.full),
    ],
    ids=["build", "keras", "train"],
)
def test_python_is_as_quiet_as_the_command_line(program, tmp_path):
    done = run(program, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_users_log_level_and_unusual_messages_are_respected(tmp_path):
    program = (
        "import os, zoo\nfrom zoo.quiet import import_quietly\n"
        "import_quietly(lambda: os.write(2, b'I0000 00:00 a.cc:1] usual\\nthe disk is full\\n'))"
    )
    assert run(program, tmp_path).stderr == "the disk is full\n"
    loud = run(program, tmp_path, TF_CPP_MIN_LOG_LEVEL="0").stderr
    assert "usual" in loud
    assert "the disk is full" in loud
