"""`recipes launch`: processes, their logs, and what happens if one fails."""

import os
import signal
import subprocess
import sys
import time

import pytest

from recipes.cli import main
from recipes.distribution import launch

# Each worker runs this instead of a training; it finds its number in TF_CONFIG.
WORKER = """
import json, os, signal, sys, time
config = json.loads(os.environ["TF_CONFIG"])
index, count = config["task"]["index"], len(config["cluster"]["worker"])
print("worker", index, "of", count, os.environ["TF_NUM_INTRAOP_THREADS"], flush=True)
"""


@pytest.fixture
def workers(monkeypatch):
    """Let each worker run a program after WORKER."""

    def use(program):
        command = [sys.executable, "-S", "-c", WORKER + program]
        monkeypatch.setattr(launch, "command_of", lambda arguments: command)

    return use


@pytest.mark.quick
def test_each_worker_has_an_address_and_a_log(workers, tmp_path, capsys):
    workers("print(config['cluster']['worker'][index], file=sys.stderr)")
    assert launch.launch(["train", "x"], 3, logs=tmp_path / "logs") == 0
    lines = [
        (tmp_path / "logs" / f"worker-{index}.log").read_text().splitlines() for index in range(3)
    ]
    threads = max(1, len(os.sched_getaffinity(0)) // 3)
    assert [each[0] for each in map(sorted, lines)] != []
    assert all(f"worker {index} of 3 {threads}" in each for index, each in enumerate(lines))
    addresses = {line for each in lines for line in each if line.startswith("127.0.0.1:")}
    assert len(addresses) == 3
    out, err = capsys.readouterr()
    assert out == f"worker 0 of 3 {threads}\n"
    assert err in {address + "\n" for address in addresses}


@pytest.mark.quick
@pytest.mark.parametrize(
    ("end", "code", "how"),
    [
        ("sys.exit('train: no such file')", 1, "failed with code 1"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "was killed by SIGKILL"),
        ("time.sleep(0.3); sys.exit(3)", 3, "failed with code 3"),
    ],
)
@pytest.mark.not_quick
def test_if_one_worker_fails_all_end(end, code, how, workers, tmp_path, capfd):
    workers(f"""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if index == 1:  # ends because of the other one, but first
    time.sleep(0.3)
    sys.exit(75)
if index == 2:
    time.sleep(0.3)
    {end}
time.sleep(60)
""")
    started = time.monotonic()
    assert launch.launch(["train", "x"], 3, logs=tmp_path, grace=1.5) == code
    assert time.monotonic() - started < 10
    message = capfd.readouterr().err
    assert message.startswith(f"launch: worker 2 {how}, so all 3 workers ended")
    assert f"logs: {tmp_path}" in message
    assert message.count("\n") == 1


@pytest.mark.quick
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on_to_all_workers(number, tmp_path):
    program = f"""
import sys
from recipes.distribution import launch
program = {WORKER!r} + '''
def handler(number, frame):
    open({str(tmp_path)!r} + f"/{{index}}", "w").write(str(number))
    sys.exit(128 + number)
signal.signal(signal.SIGINT, handler); signal.signal(signal.SIGTERM, handler)
print("ready", flush=True)
time.sleep(60)
'''
launch.command_of = lambda arguments: [sys.executable, "-S", "-c", program]
sys.exit(launch.launch(["train", "x"], 2))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().startswith("worker 0")
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)  # the other one may not be ready yet
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert errors == ""
    assert [(tmp_path / str(index)).read_text() for index in range(2)] == [str(int(number))] * 2


@pytest.mark.quick
def test_wrong_arguments_of_launch_are_errors_in_one_line(here):
    for arguments, what in (
        (["--workers=0", "--", "train", "digits/mlp"], "workers=0: must be at least 1"),
        (["--", "show", "digits/mlp"], "'show' cannot run on several workers"),
        ([], "no command"),
    ):
        done = here("launch", *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("launch: ")
        assert what in done.stderr
        assert done.stderr.count("\n") == 1
    assert "launch" in main.usage()
