"""Convolutional networks for Keras, built from configurable blocks.

    model = zoo.build("resnet50", act="elu")
    zoo.list_models("res*"); zoo.describe("resnet50"); zoo.table()

Importing this package does not import Keras; the first call that needs it does.
"""

import importlib

from zoo.lazy import register_layers_with_keras

# public name -> the module that defines it
_HOMES = {
    "Family": "zoo.registry",
    "Model": "zoo.registry",
    "Source": "zoo.checkpoints.sources",
    "Style": "zoo.style",
    "act_values": "zoo.act_curves",
    "build": "zoo.building",
    "counts": "zoo.scaling",
    "data_dependent": "zoo.initialize",
    "deepen": "zoo.deepening",
    "describe": "zoo.registry",
    "export": "zoo.exporting",
    "features": "zoo.surgery",
    "fit_budget": "zoo.scaling",
    "fold_batchnorm": "zoo.folding",
    "freeze": "zoo.surgery",
    "gradcam": "zoo.explaining",
    "list_models": "zoo.registry",
    "load": "zoo.building",
    "load_weights": "zoo.checkpoints.pretrained",
    "lsuv": "zoo.initialize",
    "new_head": "zoo.surgery",
    "plot": "zoo.diagram",
    "plot_acts": "zoo.act_curves",
    "predict": "zoo.predicting",
    "profile": "zoo.complexity",
    "register": "zoo.registry",
    "resolve": "zoo.plan",
    "source": "zoo.checkpoints.sources",
    "scale": "zoo.scaling",
    "stages": "zoo.surgery",
    "table": "zoo.registry",
    "unfreeze": "zoo.surgery",
    "whiten": "zoo.initialize",
}
__all__ = sorted(_HOMES)

register_layers_with_keras()


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__():
    return __all__
