"""Fork Python processes that have imported TensorFlow already: tests.processes starts this file.

Each line of standard input is a request in JSON. {"argv": ...} runs a Python command line in a fork
of this process; the answer is its process id. {"wait": pid} answers with its exit status.
"""

import gc
import json
import os
import runpy
import signal
import sys
import types

import numpy

# What a training imports, too, except packages of this repository
PRELOADED = (
    "keras", "tensorflow", "matplotlib.backends.backend_agg", "tensorboard.summary",
    "tensorboard.compat.proto.summary_pb2", "jsonargparse", "rich.progress",
    "pandas.io.formats.csvs", "pyarrow.pandas_compat", "PIL.PngImagePlugin",
)  # fmt: skip


def serve() -> dict:
    """Answer requests; return one in the forked process that has to run it."""
    for line in sys.stdin:
        request = json.loads(line)
        if pid := request.get("wait"):
            answer = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        else:
            flags = [os.O_RDONLY, *[os.O_WRONLY | os.O_APPEND] * 2]
            request["files"] = [*map(os.open, request["files"], flags)]  # may be removed soon
            answer = os.fork()
            if not answer:
                return request
            for file in request["files"]:
                os.close(file)
        print(answer, flush=True)
    sys.exit()


def become(request: dict) -> None:
    """Give this process the files, the environment and the folder of the request."""
    for descriptor, file in enumerate(request["files"]):
        os.dup2(file, descriptor)
        os.close(file)
    if request["new_session"]:
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    numpy.random.seed()  # not the state of the other forks
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])


def run(argv: list[str], paths: list[str]) -> None:
    """Run the arguments of a Python command: [-P] -m MODULE, -c PROGRAM or FILE."""
    safe = argv[0] == "-P"
    kind, *rest = argv[safe:]
    folder = os.getcwd() if kind == "-m" else "" if kind == "-c" else os.path.dirname(kind)
    sys.path[:] = [*([] if safe else [folder]), *paths, *sys.path]
    if kind == "-m":
        sys.argv[:] = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv[:] = ["-c", *rest[1:]]
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        sys.argv[:] = [kind, *rest]
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    sys.path.pop(0)  # the folder of this file
    for module in PRELOADED:
        __import__(module)
    gc.freeze()
    asked = serve()
    become(asked)
    paths = asked["env"].get("PYTHONPATH", "")
    run(asked["argv"], paths.split(os.pathsep) if paths else [])
