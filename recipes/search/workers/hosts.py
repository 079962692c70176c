"""Join a search whose chief runs on another host, as the environment says.

Keras Tuner's variables describe it: KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT are the address
of the chief, and KERASTUNER_TUNER_ID is the name of this process. The name of the chief contains
"chief". All hosts share the directory of the search.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from recipes.search.workers.pool import Pool

_NAMES = ("KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID")
CHIEF = "chief.json"  # the file in which the chief says how it can be reached
WAIT_SECONDS = 60.0  # for the chief to start


def address_of(environment: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """Return the address of the chief and the name of this process, or two empty texts.

    Raises:
        ValueError: if a variable is missing, or the port is not valid.
    """
    given = {name: environment.get(name, "") for name in _NAMES}
    if not any(given.values()):
        return "", ""
    if missing := [name for name, value in given.items() if not value]:
        raise ValueError(
            f"{missing[0]}: is not set; a search on several hosts needs {', '.join(_NAMES)}"
        )
    host, port, name = given.values()
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"KERASTUNER_ORACLE_PORT={port!r}: must be a number from 1 to 65535")
    if "/" in name:
        raise ValueError(f"KERASTUNER_TUNER_ID={name!r}: must not contain /")
    return f"{host}:{port}", name


def joins(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process works for a chief of another process."""
    name = address_of(environment)[1]
    return bool(name) and "chief" not in name


def join(
    path: Path,
    workers: int,
    strategy: str,
    say: Callable[[str], None],
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Train trials of a search until its chief has no more.

    Args:
        path: directory of the search, which all hosts share.
        workers: number of processes.
        strategy: devices of each trial.
        say: function that prints a line.
        environment: the environment, which names the chief.

    Raises:
        ValueError: if the chief cannot be reached, or does not use this directory.
    """
    address, name = address_of(environment)
    names = [name] if workers == 1 else [f"{name}-{index + 1}" for index in range(workers)]
    begun, deadline = time.time(), time.monotonic() + WAIT_SECONDS
    while (finished := _finished(path)) is not False:
        # It may be the file of an earlier session that is about to be extended.
        if finished and (finished > begun or time.monotonic() > deadline):
            say(f"{name}: the search is finished")
            return
        if time.monotonic() > deadline:
            raise ValueError(
                f"run={str(path)!r}: cannot reach the chief of the search at {address}: it has not"
                f" written {CHIEF} in this directory within {WAIT_SECONDS:.0f} s"
            )
        time.sleep(0.5)
    pool = Pool(path, names, address, strategy)
    say(f"{name}: working for the chief at {address}")
    try:
        pool.start()
        while pool.tend():
            time.sleep(0.2)
    finally:
        pool.end()


def _finished(path: Path) -> float | bool | None:
    """Return when the search finished; False if its chief works, and None if it has not begun."""
    file = path / CHIEF
    try:
        return json.loads(file.read_text("utf-8"))["finished"] and file.stat().st_mtime
    except (OSError, ValueError, KeyError):
        return None
