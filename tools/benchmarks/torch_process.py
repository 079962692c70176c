"""Run torchvision in its own process and environment."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pairs import Timer

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-torch"
# torchvision is installed without dependencies, because it would install another torch.
PINS = (("torch==2.13.0", "numpy", "pillow"), ("--no-deps", "torchvision==0.28.0"))


def environment() -> Path:
    """Return the Python of .venv-torch, which the first call creates.

    Raises:
        RuntimeError: it could not be created; the message ends with the last line of pip.
    """
    python, ready = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "ready"
    wanted = repr(PINS)
    if ready.exists() and ready.read_text() == wanted:
        return python
    print(
        f"bench: installing torch and torchvision into {ENVIRONMENT}; this is needed only once",
        file=sys.stderr,
    )
    ready.unlink(missing_ok=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    commands = [[sys.executable, "-m", "venv", "--clear", ENVIRONMENT], *([*pip, *p] for p in PINS)]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise RuntimeError(
                f"{ENVIRONMENT}: could not be created ({last}); check the internet connection"
            )
    ready.write_text(wanted)
    return python


class Torch:
    """A process that builds torchvision's networks, and is idle except when it runs steps."""

    def __init__(self, python: Path, threads: int):
        self.process = subprocess.Popen(
            [python, Path(__file__).with_name("torch_models.py"), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.versions = dict(zip(("torch", "torchvision"), self._answer(), strict=True))

    def _answer(self) -> list[str]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"the torchvision process ended with exit code {self.process.wait()}"
            )
        return line.split()

    def ask(self, *words) -> list[str]:
        assert self.process.stdin
        print(*words, file=self.process.stdin, flush=True)
        return self._answer()

    def network(self, name: str, batch: int, size: int) -> "TorchNetwork":
        """Return a network, which replaces the previous one in the process."""
        return TorchNetwork(self, int(self.ask("make", name, batch, size)[0]))

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


@dataclass(frozen=True)
class TorchNetwork:
    """The network of torchvision; see pairs.Side."""

    process: Torch
    parameters: int

    def timer(self, measure: str) -> Timer:
        def timed(steps: int) -> tuple[float, float]:
            wall, cpu = map(float, self.process.ask(measure, steps))
            return wall, cpu

        return timed
