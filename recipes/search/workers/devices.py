"""The share of this machine's GPUs and CPU threads that each worker of a search gets."""

import os
import subprocess
from collections.abc import Mapping, Sequence

_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
# They describe a cluster, in which this process is one of several workers.
_CLUSTERS = ("TF_CONFIG", "KERASTUNER_", "SLURM_STEP_", "SLURM_PROCID")


def gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the indices or names of the GPUs that this process may use."""
    if (visible := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


def shares(
    workers: int,
    found: Sequence[str],
    cores: int,
    environment: Mapping[str, str] = os.environ,
) -> list[dict[str, str]]:
    """Return the environment of each worker.

    Each gets its own GPUs, as evenly as possible. If there are more workers than GPUs, several
    share one, and none of them reserves all of its memory. With several workers, each gets an even
    share of the CPU threads, unless the environment sets their number.

    Args:
        workers: number of workers on this machine.
        found: the GPUs, as in CUDA_VISIBLE_DEVICES.
        cores: number of CPU cores.
        environment: the environment of this process.
    """
    kept = {n: v for n, v in environment.items() if not n.startswith(_CLUSTERS)}
    kept.setdefault("GRPC_VERBOSITY", "NONE")
    result = []
    for index in range(workers):
        own = dict(kept)
        if found:
            mine = found[index::workers] or [found[index % len(found)]]
            own["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
            if workers > len(found):
                own.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        if workers > 1:
            for name in _THREADS:
                own.setdefault(name, str(max(1, cores // workers)))
        result.append(own)
    return result
