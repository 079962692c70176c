import ctypes
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True, scope="module")
def _memory_given_back():
    """What a module's networks took goes back to the system: a worker would keep gigabytes."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's
        trim(0)


@pytest.fixture
def python():
    """Runs a program in a fresh Python; returns its completed process, which must succeed."""

    def run(program: str, check=True, **environment):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            timeout=600,
        )
        assert not check or done.returncode == 0, done.stderr[-3000:]
        return done

    return run
