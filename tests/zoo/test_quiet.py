"""What command lines keep to themselves of TensorFlow's log, and what they pass on."""

PROGRAM = """
import sys
import keras, numpy as np, tensorflow as tf
from zoo.quiet import import_keras

def predict_with_many():
    for _ in range(12):
        network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        network.predict(np.zeros((4, 2)), verbose=0)

predict_with_many()
import_keras()
import_keras()
print("from here on", file=sys.stderr, flush=True)
predict_with_many()
tf.get_logger().warning("the disk is full")
"""


def test_several_networks_in_one_process_are_no_news(python):
    before, after = python(PROGRAM).stderr.split("from here on\n")
    assert "triggered tf.function retracing" in before  # else this shows nothing
    assert after == "WARNING:tensorflow:the disk is full\n"
