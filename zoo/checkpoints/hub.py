"""Fetch files of timm's models from the Hugging Face Hub, with huggingface_hub.

That package has its own cache ($HF_HOME), never leaves a partial file there, and reads $HF_ENDPOINT
and $HF_HUB_OFFLINE.
"""

import importlib
import json
import re
from pathlib import Path
from typing import Any

from zoo.files import digest, one_line


def config(name: str) -> dict[str, Any]:
    """Return the config.json of a model such as "timm/resnet50.a1_in1k".

    Raises:
        ValueError: the model does not exist, there is no connection, or the file is not JSON.
    """
    try:
        return json.loads(_file(name, "config.json").read_text())
    except json.JSONDecodeError as error:
        raise ValueError(
            f"weights={name!r}: its config.json on the Hugging Face Hub is not valid JSON: {error}"
        ) from error


def weights(name: str) -> Path:
    """Return the path of a model's model.safetensors, downloaded at the first call.

    Raises:
        ValueError: the model does not exist, there is no connection, or the file has another hash
            than expected. Such a file is removed.
    """
    path = _file(name, "model.safetensors")
    blob = path.resolve()
    # The cache names a large file by its SHA-256.
    if re.fullmatch("[0-9a-f]{64}", blob.name) and digest(blob) != blob.name:
        path.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
        raise ValueError(
            f"weights={name!r}: the file does not have the SHA-256 that the Hugging Face Hub "
            "gave for it and was removed; try again"
        )
    return path


def _file(name: str, file: str) -> Path:
    try:
        library = importlib.import_module("huggingface_hub")
    except ImportError:
        raise ValueError(
            f"weights={name!r}: needs the package huggingface_hub; pip install huggingface_hub"
        ) from None
    verbosity = library.logging.get_verbosity()
    library.logging.set_verbosity_error()  # no warning for each retry
    try:
        return Path(library.hf_hub_download(name, file))
    except Exception as error:
        # The library's errors (not found, no connection, disk full) have no common base class.
        if isinstance(error, KeyboardInterrupt | MemoryError):
            raise
        text = one_line(error, 200)
        raise ValueError(
            f"weights={name!r}: cannot download {file} from the Hugging Face Hub: {text}"
        ) from error
    finally:
        library.logging.set_verbosity(verbosity)
