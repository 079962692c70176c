"""Checks of a network that a command is given, before the seconds that Keras takes to import."""

from pathlib import Path
from typing import Any

from zoo import inference, saved_runs
from zoo.checkpoints import packages
from zoo.checkpoints.sources import place_of, source
from zoo.plan import resolve


def check_network(place: str, weights: str | None, options: dict[str, Any]) -> None:
    """Check a network's name, weights and options, or that a run or a saved model exists.

    Args:
        place: a network's name, a run directory or a saved model.
        weights: the name of a source, or a path.
        options: further arguments of zoo.build.

    Raises:
        ValueError: a name or an option is unknown, or a file or a package is missing.
    """
    if not inference.is_name(place):
        path = Path(place)
        if path.is_dir():
            saved_runs.check(path, f"model={place!r}")
        if not path.exists():
            raise ValueError(f"model={place!r}: there is no such file; check the path")
        return
    for name in (weights, options.get("preprocess")):
        # The sources of timm that are not in the table are read by zoo.build, by the network.
        if isinstance(name, str) and not name.startswith("timm/"):
            found = source(place, name)
            if found is None and not place_of(name)[0].is_file():
                raise ValueError(f"weights={name!r}: there is no such file; check the path")
            if found is not None and found.package and name == weights:
                packages.installed(found)
    apart = ("name", "preprocess", "weights")
    resolve(place, **{name: value for name, value in options.items() if name not in apart})
