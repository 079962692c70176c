"""Open the network of a run directory, which may come from another person.

Keras imports the modules that a .keras file names and creates objects of any class in them. The
network of a run is therefore opened only if it consists of layers of Keras and this library that
contain no code, and of layers that the installed packages with families define.
"""

import json
import re
import shlex
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.files import digest, one_line
from zoo.lazy import keras

MODEL, RESULT, RECIPE = "model.keras", "result.json", "recipe.json"
DIGESTS = "sha256"  # in result.json, of the files that evaluation and prediction read
_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
# Layers that run code, or that read other files than the model's
_CODE = {
    "Lambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer", "TextVectorization",
    "StringLookup", "IntegerLookup",
}  # fmt: skip
_MARKS = {"__keras_tensor__", "__tuple__", "__ellipsis__"}
_POLICIES = {"DTypePolicy", "FloatDTypePolicy"}
_MODELS = {"Functional", "Sequential", "Model"}


def repair(run: Path) -> str:
    """Return the command that writes the files of a finished run again from its checkpoint."""
    return f"`recipes train {shlex.quote(str(run))}`"


def problem(run: Path, name: str = MODEL) -> str | None:
    """Return what is wrong with a file of a finished run; None if it is intact.

    Runs of earlier versions have no digests. Of these, only the checksums in model.keras are
    checked.
    """
    file = run / name
    if not file.is_file():
        return f"{name} is missing"
    try:
        result = json.loads((run / RESULT).read_text("utf-8"))
        known = result.get(DIGESTS, {}).get(name)
    except FileNotFoundError:
        known = None
    except (ValueError, AttributeError):
        return f"{RESULT} is damaged"
    if known is not None:
        return None if digest(file) == known else f"{name} is damaged; its SHA-256 is wrong"
    if name == MODEL:
        try:
            with zipfile.ZipFile(file) as archive:
                if wrong := archive.testzip():
                    return f"{name} is damaged; the checksum of {wrong} is wrong"
        except (
            OSError,
            ValueError,
            EOFError,
            RuntimeError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            return f"{name} is damaged; {one_line(error, 100)}"
    return None


def digests(run: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that result.json has one of; {} for an earlier version."""
    try:
        return dict(json.loads((run / RESULT).read_text("utf-8")).get(DIGESTS, {}))
    except (OSError, ValueError, AttributeError):
        return {}


def problems(run: Path) -> list[str]:
    """Return what is wrong with the files of a finished run that result.json has digests of."""
    names = {MODEL: None, RECIPE: None, **digests(run)}
    return [wrong for each in names if (wrong := problem(run, each))]


def check(run: Path, name: str) -> None:
    """Check that a run is finished and its network intact, without importing Keras.

    Args:
        run: run directory.
        name: the start of the error message, such as "run='runs/a'".

    Raises:
        ValueError: otherwise; the message gives the command that continues or repairs the run.
    """
    if not (run / RESULT).is_file() and not (run / MODEL).is_file():
        if not (run / RECIPE).is_file():
            raise ValueError(f"{name}: not a finished run; {MODEL} is missing")
        raise ValueError(
            f"{name}: {MODEL} is missing; finish the training first with {repair(run)}"
        )
    if (wrong := problem(run)) is not None:
        raise ValueError(f"{name}: {wrong}; {repair(run)} writes it again from the checkpoint")


def open_model(run: Path, name: str | None = None) -> Any:
    """Return the network of a run directory, as a Keras model that is not compiled.

    Args:
        run: run directory.
        name: the start of an error message. Default: run='PATH'.

    Raises:
        ValueError: if the run is not finished, or its network is damaged or may contain code.
    """
    from zoo.building import load

    name = f"run={str(run)!r}" if name is None else name
    check(run, name)
    try:
        with zipfile.ZipFile(run / MODEL) as archive:
            names = archive.namelist()
            config = json.loads(archive.read("config.json"))
        others = sorted({*names} - _MEMBERS)
        foreign = others[:1] or [*_foreign(_without_compilation(config))][:1]
    except (OSError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{name}: {MODEL} is damaged; {one_line(error, 100)}") from error
    if foreign:
        raise ValueError(
            f"{name}: {MODEL} contains {foreign[0]!r}, which may be code, so it is not opened; if"
            f" you trust its author, open it with zoo.load({str(run / MODEL)!r})"
        )
    return load(run / MODEL)


def _without_compilation(config: dict[str, Any]) -> dict[str, Any]:
    # Keras does not read it, because the model is not compiled.
    return {key: value for key, value in config.items() if key != "compile_config"}


def _foreign(value: Any) -> Iterator[str]:
    """Yield the classes in a model's config that are not known to be free of code."""
    if isinstance(value, dict):
        if "class_name" in value and not _known(value):
            yield f"{value.get('module')}.{value['class_name']}"
        for each in value.values():
            yield from _foreign(each)
    elif isinstance(value, list):
        for each in value:
            yield from _foreign(each)


def _known(entry: dict[str, Any]) -> bool:
    name, module = str(entry["class_name"]), str(entry.get("module"))
    if not re.fullmatch(r"\w+", name):
        return False
    if entry.get("module") is None and entry.get("registered_name") is None:
        return name in _MARKS
    if module == "keras":
        return name in _POLICIES | _MODELS
    if module.startswith("keras.src.models."):
        return name in _MODELS
    kinds = {
        "keras.layers": keras.layers.Layer,
        "keras.initializers": keras.initializers.Initializer,
        "keras.regularizers": keras.regularizers.Regularizer,
        "keras.constraints": keras.constraints.Constraint,
    }
    if module in kinds:
        found = getattr(getattr(keras, module.removeprefix("keras.")), name, None)
        return isinstance(found, type) and issubclass(found, kinds[module]) and name not in _CODE
    if module == "zoo.layers" or module.startswith("zoo.layers."):
        return True
    return module.partition(".")[0] in registry.packages() - {"zoo", "keras"}
