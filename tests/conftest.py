import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parents[1]


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
