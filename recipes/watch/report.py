"""Write the page as one HTML file that needs neither a server nor other files."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipes.watch import details, places
from recipes.watch.assets import whole_page
from recipes.watch.estimates import estimate
from recipes.watch.state import State
from zoo.files import finite, write
from zoo.terminal import plural, printable

LOG_BYTES = 8 * 1024  # of the log of each run
PICTURE_BYTES = 4 * 1024 * 1024  # of all pictures


def report(paths: Sequence[str | Path], to: str | Path | None = None) -> tuple[Path, str]:
    """Write a report about searches and runs.

    Args:
        paths: directories of searches, runs and comparisons.
        to: the file. Default: report.html in the first directory.

    Returns:
        The file, and one line about what it shows.

    Raises:
        ValueError: if a path contains neither a search nor a run.
        OSError: if the file cannot be written.
    """
    checked = places.check(paths)
    path = checked[0] / "report.html" if to is None else Path(to)
    if path.suffix not in (".html", ".htm"):
        raise ValueError(f"to={str(path)!r}: must end in .html")
    if not path.parent.is_dir():
        raise ValueError(f"to={str(path)!r}: there is no directory {str(path.parent)!r}")
    state = State(checked, importance=lambda folder, count: estimate(folder) if count else [])
    data = state.since(None)
    assert data is not None  # a state that is asked for the first time has everything
    kept = {"data": data, "details": _details(state, data["runs"])}
    text = whole_page(json.dumps(finite(kept), allow_nan=False, separators=(",", ":")))
    write(path, lambda file: file.write(text))
    return path, _summary(data["runs"].values())


def _summary(runs: Any) -> str:
    every = list(runs)
    scored = sum(run["status"] == "finished" and run["score"] is not None for run in every)
    return plural(len(every), "run") + ("" if scored else "; none of them has finished yet")


def _details(state: State, runs: dict[str, Any]) -> dict[str, Any]:
    """Return the details of each run; the pictures are those of the best runs, as far as they fit.

    The curves are left out, because the page draws them itself.
    """
    found, room = {}, PICTURE_BYTES
    for key in sorted(runs, key=lambda key: _rank(runs[key])):
        folder, search, trial = state.folders[key]
        one = details.details(folder, search, trial, LOG_BYTES)
        kept: list[dict[str, str]] = []
        missing = 0
        for name, path in details.pictures(folder):
            if name == "curves.png" or runs[key]["status"] == "same":
                continue
            try:
                content = path.read_bytes()
            except OSError:
                continue
            if len(content) > room:
                missing += 1
                continue
            room -= len(content)
            source = "data:image/png;base64," + base64.b64encode(content).decode()
            kept.append({"name": printable(name, "utf-8"), "src": source})
        if missing:
            left = f"{plural(missing, 'picture')} not included, to keep this file small: {folder}"
            one["left_out"] = left
        one["log_left_out"] = bool(one["log"]) and len(one["log"].encode()) > LOG_BYTES - 512
        found[key] = one | {"pictures": kept}
    return found


def _rank(run: dict[str, Any]) -> tuple[bool, float]:
    """Return a key that sorts the best runs to the front."""
    from recipes.training.selection import METRICS

    score = run["score"]
    if score is None:
        return (True, 0.0)
    return (False, -score if METRICS[run["by"]] == "max" else score)
