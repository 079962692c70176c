"""The command `recipes study`."""

import re
import sys
from pathlib import Path

from recipes.early_checks import check_backend, check_data
from zoo.files import one_line
from zoo.quiet import import_keras


def study(name: str, quick: bool, to: str | None, data: str | None, seeds: int | None) -> int:
    """Run one study or all of them, or list them; return 1 if one of several failed."""
    from recipes.studying import running  # imports NumPy, which `recipes --help` does not need

    if name == "list":
        for each in running.names():
            text = running.docstring(each)
            cost = re.search(r"^Cost: (.*?)[.\n]", text, re.M)
            print(f"{each:<22}{text.splitlines()[0]} ({cost[1] if cost else 'cost unknown'})")
        return 0
    chosen = running.names() if name == "all" else [name]
    for each in chosen:
        running.docstring(each)
    running.check_seeds(seeds, quick)
    check_backend()
    if data is not None:
        check_data(data)
    import_keras()
    failed = []
    for each in chosen:
        place = Path(to) / each if to is not None and name == "all" else to
        if name == "all":
            print(f"{each}: {running.docstring(each).splitlines()[0]}", flush=True)
        try:
            running.study(each, quick=quick, to=place, data=data, seeds=seeds)
        except (ValueError, OSError) as error:
            if name != "all":
                raise
            failed.append(each)
            print(f"study: {each}: {one_line(error)}", file=sys.stderr, flush=True)
    if failed:
        print(f"study: {len(failed)} of {len(chosen)} failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0
