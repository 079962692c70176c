"""Two photos that every installation has, named `sample:china` and `sample:flower`.

They are files of scikit-learn, which is not imported.
"""

import functools
import importlib.util
import os
from pathlib import Path

from zoo.options import unknown

PREFIX = "sample:"


def located(place: str | os.PathLike) -> Path:
    """Return the path of a sample photo, or `place` as a path if it is not a name like these.

    A file "sample:NAME" in the working directory is "./sample:NAME".

    Raises:
        ValueError: there is no such sample photo, or scikit-learn is not installed.
    """
    if not isinstance(place, str) or not place.startswith(PREFIX):
        return Path(place)
    photos = _photos()
    if not photos:
        raise ValueError(
            f"images={place!r}: needs the photos of scikit-learn; pip install scikit-learn"
        )
    if place not in photos:
        raise unknown("sample photo", place, photos)
    return photos[place]


def name_of(path: Path) -> str:
    """Return the name of a sample photo, or the path as text."""
    return next((name for name, photo in _photos().items() if photo == path), str(path))


@functools.cache
def _photos() -> dict[str, Path]:
    spec = importlib.util.find_spec("sklearn")
    places = (spec.submodule_search_locations if spec else None) or []
    files = [path for place in places for path in Path(place, "datasets", "images").glob("*.jpg")]
    return {f"{PREFIX}{path.stem}": path for path in sorted(files)}
