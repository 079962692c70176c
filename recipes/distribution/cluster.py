"""The workers that train one run together, as the environment of this process describes them.

Each worker is a process with an address. TF_CONFIG lists them, as `recipes launch`, Kubernetes and
cloud services set it; in a job step of Slurm, they follow from its variables. Worker 0 is the
chief, which alone writes into the run directory.
"""

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from recipes.distribution import slurm

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[^\s:\[\]/]+):(\d{1,5})")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers of a training, and which of them this process is.

    Attributes:
        addresses: address of each worker, "host:port"; the chief's is the first.
        index: number of this worker.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def count(self) -> int:
        """The number of workers."""
        return len(self.addresses)

    def name(self, index: int) -> str:
        """Return the name of a worker for messages."""
        return f"{'chief' if index == 0 else f'worker {index}'} ({self.addresses[index]})"


def from_environment(environment: Mapping[str, str] | None = None) -> Cluster | None:
    """Return the cluster of this process, or None if it is not one of several workers.

    Args:
        environment: environment variables; the default is those of the process.

    Raises:
        ValueError: if TF_CONFIG or the variables of Slurm are invalid.
    """
    if environment is None:
        environment = os.environ
    if environment.get("KERASTUNER_ORACLE_IP"):
        return None  # the tasks of srun are workers of a search, which train alone
    found: Cluster | None = None
    if text := environment.get("TF_CONFIG"):
        found = from_tf_config(text)
    elif step := slurm.addresses(environment):
        found = Cluster(*step)
    return found if found and found.count > 1 else None


def tf_config(addresses: tuple[str, ...], index: int) -> str:
    """Return the value of TF_CONFIG for a worker."""
    return json.dumps(
        {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    )


def from_tf_config(text: str) -> Cluster:
    """Read a value of TF_CONFIG.

    A task of type "chief" is worker 0; without one, the first worker is the chief.

    Raises:
        ValueError: if it is not valid.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _wrong(text, f"not valid JSON ({error})") from None
    if not isinstance(content, dict) or not isinstance(content.get("cluster", {}), dict):
        raise _wrong(text, 'must be an object with "cluster" and "task"')
    tasks, task = content.get("cluster", {}), content.get("task") or {}
    if extra := sorted(set(tasks) - {"chief", "worker"}):
        raise _wrong(text, f"tasks of type {extra[0]!r} are not supported, only chief and worker")
    lists = [tasks.get(kind, []) for kind in ("chief", "worker")]
    if not all(isinstance(each, list) for each in lists) or len(lists[0]) > 1:
        raise _wrong(text, '"worker" must be a list of addresses, and "chief" a list of one')
    addresses = [address for each in lists for address in each]
    for address in addresses:
        match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if not match or not 0 < int(match[2]) < 65536:
            raise _wrong(text, f"the address {address!r} must be host:port")
    if not addresses:
        raise _wrong(text, '"cluster" lists no workers')
    if len(set(addresses)) < len(addresses):
        raise _wrong(text, "two workers have the same address")
    kind, index = (task.get("type"), task.get("index")) if isinstance(task, dict) else (None, None)
    size = {"chief": len(lists[0]), "worker": len(lists[1])}.get(str(kind), 0)
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    if type(index) is not int or not 0 <= index < size:
        raise _wrong(text, f'"task" is {task!r}, which "cluster" does not list')
    return Cluster(tuple(addresses), index + (len(lists[0]) if kind == "worker" else 0))


def _wrong(text: str, what: str) -> ValueError:
    short = text if len(text) <= 200 else text[:200] + "..."
    return ValueError(f"TF_CONFIG={short!r}: {what}")


def describe(environment: Mapping[str, Any] | None = None) -> str:
    """Return the name of the variable that describes the cluster, for messages."""
    environment = os.environ if environment is None else environment
    return "TF_CONFIG" if environment.get("TF_CONFIG") else "SLURM_STEP_NUM_TASKS"
