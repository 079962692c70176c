"""Run a module of this package in a new process with the same import path."""

import sys


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package as a script.

    `python -m` puts the current folder first on the import path, where a user's folder `recipes`
    or `zoo` would replace these packages.

    Args:
        module: full name of the module, such as "recipes.search.trial".
        arguments: command-line arguments of the module.
    """
    program = (
        f"import runpy, sys; sys.path[:] = {sys.path!r}; "
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-P", "-c", program, *arguments]
