"""Run a module of ours in a process that imports what this one imports."""

import sys


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package as a script.

    `python -m` puts the current folder first on the import path, and a folder `recipes` or `zoo`
    of the user's would take the place of these packages.

    Args:
        module: its full name, such as "recipes.search.trial".
        arguments: what its sys.argv holds.
    """
    program = (
        f"import runpy, sys; sys.path[:] = {sys.path!r}; "
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-P", "-c", program, *arguments]
