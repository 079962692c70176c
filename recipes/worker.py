"""Run a module of this package in a new process with the same import path."""

import os
import signal
import sys
import threading
import time

END_SECONDS = 30  # that a process has to save its work after the one that started it has ended


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package as a script.

    `python -m` puts the current folder first on the import path, where a user's folder `recipes`
    or `zoo` would replace these packages.

    Args:
        module: full name of the module, such as "recipes.search.workers.process".
        arguments: command-line arguments of the module.
    """
    program = (
        f"import runpy, sys; sys.path[:] = {sys.path!r}; "
        f"from recipes import worker; worker.end_with({os.getpid()}); "
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-P", "-c", program, *arguments]


def end_with(parent: int) -> None:
    """Interrupt this process, as Ctrl-C does, when the process that started it has ended.

    Otherwise a killed search would leave a trial behind that trains on. If the process does not
    end within END_SECONDS, it ends at once.
    """

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(END_SECONDS)
        os._exit(130)

    threading.Thread(target=watch, daemon=True).start()
