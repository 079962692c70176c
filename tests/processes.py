"""Start Python processes like subprocess does, but forked from one that has imported TensorFlow.

A test of signals, exit codes, locks or devices needs a process of its own, but importing TensorFlow
takes five seconds of CPU time in each. A fork shares nothing else with the tests: only the fork
imports this repository's packages and initializes TensorFlow's runtime.
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ENVIRONMENT = dict(os.environ)
# Variables that are read when Python starts, or when TensorFlow and what it needs are imported.
EARLY = (
    "HF_", "HOME", "KERAS_", "LD_", "MALLOC_", "MPL", "OMP_", "ONEDNN_", "PYTHON", "TF_", "XLA_"
)  # fmt: skip
_server = None


def run(command, check=False, timeout=600, **settings) -> subprocess.CompletedProcess:
    """Run a Python command like subprocess.run(command, capture_output=True, text=True)."""
    process = Process(command, **settings)
    stdout, stderr = process.communicate(timeout)
    if check and process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stdout, stderr)
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


class Process:
    """A running Python command, with the methods of subprocess.Popen.

    It is a new process like any other if its environment differs in a variable that is read early,
    or if the system is not Linux.

    Args:
        command: sys.executable and its arguments.
        cwd: the folder; by default, the current one.
        env: the environment; by default, that of the tests.
        stdin: ignored; there is none.
        stdout: None, or an open file to append to.
        stderr: None, or subprocess.STDOUT as in subprocess.
        start_new_session: as in subprocess.

    Attributes:
        stdout: a file with what the process has printed until now.
        stderr: the same for standard error.
    """

    def __init__(
        self, command, cwd=None, env=None, stdin=None, stdout=None, stderr=None,
        start_new_session=False,
    ):  # fmt: skip
        python, *argv = map(str, command)
        assert python == sys.executable
        self.args, self.returncode, self._popen = command, None, None
        env = dict(os.environ if env is None else env)
        with tempfile.TemporaryDirectory() as folder:  # the files remain while they are open
            paths = [os.path.join(folder, name) for name in ("stdout", "stderr")]
            self.stdout, self.stderr = [open(path, "w+") for path in paths]  # noqa: SIM115
            paths[0] = paths[0] if stdout is None else os.path.abspath(stdout.name)
            written = paths[:1] * 2 if stderr == subprocess.STDOUT else paths
            if sys.platform == "linux" and not _differ_early(env):
                self.pid = _ask(
                    argv=argv, cwd=str(cwd or os.getcwd()), env=env, new_session=start_new_session,
                    files=[os.devnull, *written],
                )  # fmt: skip
                self._descriptor = os.pidfd_open(self.pid)
                return
            with open(written[0], "ab") as out, open(written[1], "ab") as err:
                self._popen = subprocess.Popen(
                    command, cwd=cwd, env=env, start_new_session=start_new_session,
                    stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                )  # fmt: skip
            self.pid = self._popen.pid

    def wait(self, timeout=None) -> int:
        if self.returncode is None and self._popen:
            self.returncode = self._popen.wait(timeout)
        elif self.returncode is None:
            if not select.select([self._descriptor], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = _ask(wait=self.pid)
            os.close(self._descriptor)
        return self.returncode

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def communicate(self, timeout=None) -> tuple[str, str]:
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        files = self.stdout, self.stderr
        for file in files:
            file.seek(0)
        return tuple(file.read() for file in files)

    def send_signal(self, number) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _differ_early(env) -> bool:
    names = {n for n in env.keys() | ENVIRONMENT.keys() if env.get(n) != ENVIRONMENT.get(n)}
    return any(name.startswith(EARLY) for name in names - {"PYTHONPATH"})


def _ask(**request) -> int:
    """Send a request to the server, which is started at the first one, and return its answer."""
    global _server
    if _server is None:
        _server = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("fork_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={n: v for n, v in ENVIRONMENT.items() if n != "PYTHONPATH"},
        )
        atexit.register(_server.communicate)
    print(json.dumps(request), file=_server.stdin, flush=True)
    return int(_server.stdout.readline())
