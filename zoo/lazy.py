"""Import modules at their first use.

Listing and describing networks, recipes and their options must not take the seconds that importing
TensorFlow takes.
"""

import importlib
import importlib.abc
import importlib.util
import sys
from typing import TYPE_CHECKING, Any


class Lazy:
    """A stand-in for the module `name`, which is imported when an attribute is read."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Imports keras quietly and zoo.layers right after it, so that load_model finds our layers."""

    searching = False

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "keras" or self.searching:
            return None
        self.searching = True
        try:
            spec = importlib.util.find_spec("keras")
        finally:
            self.searching = False
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module):
            from zoo.quiet import import_quietly

            import_quietly(lambda: run(module))
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                importlib.import_module("zoo.layers")

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def register_layers_with_keras() -> None:
    """Import zoo.layers now if Keras is imported, else as soon as it is, and quietly."""
    if "keras" in sys.modules:
        from zoo.quiet import import_keras

        import_keras()
        importlib.import_module("zoo.layers")
    else:
        sys.meta_path.insert(0, _AfterKeras())


if TYPE_CHECKING:
    import keras
    import pandas
    import tensorflow

    from zoo import layers
else:
    keras = Lazy("keras")
    layers = Lazy("zoo.layers")
    pandas = Lazy("pandas")
    tensorflow = Lazy("tensorflow")
