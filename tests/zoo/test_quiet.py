"""What command lines keep to themselves of TensorFlow's log, and what they pass on."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.quiet import import_keras

pytestmark = pytest.mark.quick


class Said(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@pytest.fixture
def said():
    handler, log = Said(), tf.get_logger()
    filters, level = [*log.filters], log.level
    log.addHandler(handler)
    log.setLevel(logging.WARNING)
    yield handler.lines
    log.removeHandler(handler)
    log.filters[:] = filters
    log.setLevel(level)


def predict_with_many():
    for _ in range(12):
        network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        network.predict(np.zeros((4, 2)), verbose=0)


def test_several_networks_in_one_process_are_no_news(said):
    tf.get_logger().filters.clear()
    predict_with_many()
    assert any("retracing" in line for line in said)  # else this shows nothing
    said.clear()
    import_keras()
    import_keras()
    predict_with_many()
    tf.get_logger().warning("the disk is full")
    assert said == ["the disk is full"]
