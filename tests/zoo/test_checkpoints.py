"""Our networks with weights of torchvision and timm give the logits recorded in fixtures.

tools/fixtures wrote the fixtures; fixtures/weights.py generates the same weights there and here.
"""

import importlib.util
import json
import math

import numpy as np
import pytest
from safetensors.numpy import save_file

import zoo
from tests.zoo.recorded import FIXTURES, recorded

_spec = importlib.util.spec_from_file_location("fixture_weights", FIXTURES / "weights.py")
weights = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(weights)

OFTEN = (
    "torchvision--googlenet_bn",
    "torchvision--mobilenet_v2",
    "torchvision--mobilenet_v3_small",
    "timm--mobilenetv1_100",
    "timm--tf_mobilenetv3_small_075",
    "timm--tf_efficientnet_b0",
    "timm--tf_efficientnet_lite2",
    "timm--resnetv2_50",
)


def read(path):
    with np.load(path) as file:
        return json.loads(str(file["tensors"])), json.loads(str(file["facts"])), file["logits"]


def save(path, folder, **changed):
    """Write the weights of a fixture to a .safetensors file; `changed` replaces arrays by name.

    The file is named after the network in its library: "tf_efficientnet_b0-made.safetensors".
    """
    tensors, facts, _ = read(path)
    ends = facts.get("ends", 1.0)
    arrays = {name: weights.value(name, tuple(shape), ends) for name, shape in tensors.items()}
    arrays |= changed
    file = folder / f"{path.stem.split('--')[1]}-made.safetensors"
    save_file({name: array for name, array in arrays.items() if array is not None}, file)
    return file


def difference(a, b):
    """Return the largest difference, relative to the largest logit."""
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("path", recorded(OFTEN))
def test_logits_equal_those_of_the_original_library(path, tmp_path):
    _, facts, logits = read(path)
    assert math.isfinite(float(np.abs(logits).max()))
    assert logits.std() > 0.01 * np.abs(logits).max()
    size = facts["size"]
    # The names of the file and its tensors determine paddings, epsilons, borders and strides.
    narrow = {key: facts["options"][key] for key in ("width",) if key in facts["options"]}
    narrow |= {"stem_width": facts["options"]["stem_width"]} if narrow else {}
    model = zoo.build(
        facts["model"], input_shape=(size, size, 3), weights=save(path, tmp_path), **narrow
    )
    x = weights.image(size)
    error = difference(model.predict(x, verbose=0)[0], logits)
    print(f"{path.stem}: relative difference {error:.1e}")
    assert error <= 1e-4
    # The logits depend on the weights: changing one kernel changes them.
    layer = model.get_layer(next(x.name for x in model.layers if x.name.endswith("_conv")))
    layer.set_weights([1.1 * layer.get_weights()[0], *layer.get_weights()[1:]])
    assert difference(model.predict(x, verbose=0)[0], logits) > 1e-3
