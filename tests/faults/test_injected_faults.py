"""A bounded number of faults, each in a training of its own; see tests/faults/catalog.py."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def inject(*flags):
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", *flags],
        capture_output=True, text=True, cwd=ROOT, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


def test_a_few_faults():
    names = "*TERM inside a write,*of a checkpoint flipped,two processes*,*directory removed"
    table = inject("--faults=4", "--seed=1", "--experiment=averages", f"--only={names}")
    assert table.split()[-4:] == ["all", "4", "4", "0"]


@pytest.mark.full
def test_every_fault():
    assert inject("--faults=60", "--seed=2").split()[-2:] == ["60", "0"]
