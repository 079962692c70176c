"""The origin of a result: commit, package versions, hardware."""

import datetime
import importlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = (
    "convnet-zoo", "tensorflow", "keras", "numpy", "tensorflow-datasets", "keras-tuner",
)  # fmt: skip


def session(strategy: Any) -> dict[str, Any]:
    """Describe this process for recipe.json: command, commit, versions, hardware, strategy."""
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "commit": commit(),
        "versions": versions(),
        "hardware": hardware(),
        "backend": importlib.import_module("keras").backend.backend(),
        "strategy": type(strategy).__name__,
        "replicas": strategy.num_replicas_in_sync,
    }


def commit() -> str | None:
    """Return the git commit of these sources, followed by "-dirty" if files have changed."""
    try:
        # An installed copy may lie inside another repository that does not track it.
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        text = _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*")
    except (OSError, subprocess.SubprocessError):
        return None
    return text.strip() or None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Return the processor, the number of usable cores, the names of the GPUs and the system."""
    import tensorflow as tf

    affinity = getattr(os, "sched_getaffinity", None)
    details = tf.config.experimental.get_device_details
    gpus = [details(gpu).get("device_name", "?") for gpu in tf.config.list_physical_devices("GPU")]
    return {
        "cpu": _processor(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "gpus": gpus,
        "system": platform.platform(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
