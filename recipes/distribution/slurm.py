"""Read the tasks of a Slurm job step from the variables that srun sets."""

import re
from collections.abc import Mapping

PORT = "RECIPES_PORT"  # environment variable with the first port
# Jobs that share a node must use different ports; below those that systems give to clients.
_FIRST_PORT, _PORTS = 12_000, 18_000
_TASKS = re.compile(r"(\d+)(?:\(x(\d+)\))?")
_NODES = re.compile(r"(?:[^,\[]|\[[^\]]*\])+")
_BRACKETS = re.compile(r"\[([^\]]*)\]")


def addresses(environment: Mapping[str, str]) -> tuple[tuple[str, ...], int] | None:
    """Return the addresses of a job step's tasks, and the number of this task.

    Without srun, as in the shell of salloc or the script of sbatch, there is no job step.

    Args:
        environment: environment variables.

    Returns:
        "host:port" of each task and the number of this one; None outside a job step.

    Raises:
        ValueError: if the variables contradict each other.
    """
    count = environment.get("SLURM_STEP_NUM_TASKS")
    if count is None or "SLURM_PROCID" not in environment:
        return None
    nodes = expand_nodes(environment.get("SLURM_STEP_NODELIST", ""))
    tasks = tasks_per_node(environment.get("SLURM_STEP_TASKS_PER_NODE", ""))
    index = environment["SLURM_PROCID"]
    if len(tasks) != len(nodes) or str(sum(tasks)) != count or not index.isdecimal():
        raise ValueError(
            f"SLURM_STEP_NUM_TASKS={count!r}: does not agree with"
            f" SLURM_STEP_NODELIST={environment.get('SLURM_STEP_NODELIST')!r},"
            f" SLURM_STEP_TASKS_PER_NODE={environment.get('SLURM_STEP_TASKS_PER_NODE')!r} and"
            f" SLURM_PROCID={index!r}; set TF_CONFIG instead"
        )
    if environment.get("SLURM_DISTRIBUTION", "block").split(":")[0] == "cyclic" and max(tasks) > 1:
        raise ValueError(
            "SLURM_DISTRIBUTION='cyclic': tasks must be numbered node by node; pass"
            " --distribution=block to srun"
        )
    first = _first_port(environment, max(tasks))
    found = [
        f"{node}:{first + local}"
        for node, own in zip(nodes, tasks, strict=True)
        for local in range(own)
    ]
    if int(index) >= len(found):
        raise ValueError(f"SLURM_PROCID={index!r}: must be below SLURM_STEP_NUM_TASKS={count!r}")
    return tuple(found), int(index)


def _first_port(environment: Mapping[str, str], needed: int) -> int:
    if given := environment.get(PORT):
        if not given.isdecimal() or not 0 < int(given) <= 65536 - needed:
            raise ValueError(f"{PORT}={given!r}: must be the number of a port")
        return int(given)
    job, step = (environment.get(f"SLURM_{name}", "0") for name in ("JOB_ID", "STEP_ID"))
    number = int(job if job.isdecimal() else 0) * 16 + int(step if step.isdecimal() else 0)
    return _FIRST_PORT + number * 61 % _PORTS


def tasks_per_node(text: str) -> list[int]:
    """Return [2, 2, 2, 1] for "2(x3),1"."""
    counts = []
    for part in text.split(","):
        match = _TASKS.fullmatch(part.strip())
        if not match:
            return []
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def expand_nodes(text: str) -> list[str]:
    """Return ["node01", "node02", "node07", "login"] for "node[01-02,07],login"."""
    return [node for part in _NODES.findall(text) for node in _expand(part.strip()) if node]


def _expand(text: str) -> list[str]:
    match = _BRACKETS.search(text)
    if match is None:
        return [text]
    found = []
    for each in match[1].split(","):
        low, dash, high = each.strip().partition("-")
        numbers = range(int(low), int(high) + 1) if dash else None
        for inner in [low] if numbers is None else [f"{n:0{len(low)}d}" for n in numbers]:
            found += [text[: match.start()] + inner + rest for rest in _expand(text[match.end() :])]
    return found
