import ctypes
import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes

ROOT = Path(__file__).parents[1]
# Processes that a shell starts in the background ignore Ctrl-C, and so would their children.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="module")
def _release_memory():
    """Return the memory of a module's networks to the system; a worker would keep gigabytes."""
    if not gc.get_freeze_count():
        gc.freeze()  # leave TensorFlow's modules out of every collection
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()  # also runs the garbage collector
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc only
        trim(0)


@pytest.fixture
def python():
    """Run a program in another Python process and return the process; it must exit with 0.

    Modules that TensorFlow imports are imported already, which saves five seconds, unless the
    process is to be fresh, or the environment has variables that are read before.
    """

    def run(program: str, check=True, fresh=False, **environment):
        command, environment = [sys.executable, "-c", program], {**os.environ, **environment}
        if fresh:
            done = subprocess.run(
                command, capture_output=True, text=True, env=environment, timeout=600
            )
        else:
            done = processes.run(command, env=environment)
        assert not check or done.returncode == 0, done.stderr[-3000:]
        return done

    return run
