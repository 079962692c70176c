"""Weights of torchvision and timm in our networks give their logits: fixtures hold theirs.

tools/fixtures wrote the fixtures; fixtures/weights.py makes the same weights here as there.
"""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import zoo

FIXTURES = Path(__file__).parent / "fixtures"
_spec = importlib.util.spec_from_file_location("fixture_weights", FIXTURES / "weights.py")
weights = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(weights)

# In CI one small member of each family and naming; the others in the long tier.
QUICK = ("torchvision--resnet18",)
OFTEN = (
    "torchvision--googlenet_bn",
    "torchvision--mobilenet_v2",
    "torchvision--mobilenet_v3_small",
    "timm--mobilenetv1_100",
    "timm--tf_mobilenetv3_small_075",
    "timm--tf_efficientnet_b0",
    "timm--resnetv2_50",
)


def fixtures():
    for path in sorted(FIXTURES.glob("*.npz")):
        tier = [pytest.mark.quick] if path.stem in QUICK else []
        if path.stem not in QUICK + OFTEN:
            tier = [pytest.mark.full]
        yield pytest.param(path, id=path.stem, marks=tier)


def read(path):
    with np.load(path) as file:
        return json.loads(str(file["tensors"])), json.loads(str(file["facts"])), file["logits"]


def save(path, folder, **changed):
    """The weights of a fixture as a .safetensors file; `changed` are other arrays by name.

    The file is called as its library calls the network: "tf_efficientnet_b0-made.safetensors".
    """
    tensors, facts, _ = read(path)
    ends = facts.get("ends", 1.0)
    arrays = {name: weights.value(name, tuple(shape), ends) for name, shape in tensors.items()}
    arrays |= changed
    file = folder / f"{path.stem.split('--')[1]}-made.safetensors"
    save_file({name: array for name, array in arrays.items() if array is not None}, file)
    return file


def difference(a, b):
    """The largest difference, relative to the largest logit."""
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("path", fixtures())
def test_logits_are_the_originals(path, tmp_path):
    _, facts, logits = read(path)
    assert math.isfinite(float(np.abs(logits).max()))
    assert logits.std() > 0.01 * np.abs(logits).max()
    size = facts["size"]
    # The file's names decide about paddings, epsilons, borders and strides.
    narrow = {key: facts["options"][key] for key in ("width",) if key in facts["options"]}
    narrow |= {"stem_width": facts["options"]["stem_width"]} if narrow else {}
    model = zoo.build(
        facts["model"], input_shape=(size, size, 3), weights=save(path, tmp_path), **narrow
    )
    x = weights.image(size)
    error = difference(model.predict(x, verbose=0)[0], logits)
    print(f"{path.stem}: relative difference {error:.1e}")
    assert error <= 1e-4
    # The weights decide: with one kernel of them changed, the logits are others.
    layer = model.get_layer(next(x.name for x in model.layers if x.name.endswith("_conv")))
    layer.set_weights([1.1 * layer.get_weights()[0], *layer.get_weights()[1:]])
    assert difference(model.predict(x, verbose=0)[0], logits) > 1e-3
