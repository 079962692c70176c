"""Keep the checks of image files in the cache: one file per folder of images.

The entry of an image is found by a digest of its path, size and time, so that other images do not
need to be checked again when one is added or changed.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from recipes.data.image_copies import VERSION, digest
from recipes.data.types import write_cached
from zoo.files import cache_dir
from zoo.terminal import print_once

if TYPE_CHECKING:
    from pathlib import Path

    from recipes.data.image_checks import Checks

UNKNOWN = 255  # the turn of a file whose header is not known
FORMAT = 1  # version of the files
_TYPES = {"keys": np.uint64, "turns": np.uint8, "codes": np.uint8, "verified": np.bool_}


def place_of(root: str, channels: int) -> Path:
    """Return the file of the cache for a folder of images."""
    return cache_dir() / "folders" / f"{digest(f'{FORMAT} {VERSION} {channels} {root}')}.npz"


def load(checks: Checks) -> None:
    """Add what the cache knows of the files."""
    found = _read(checks.place)
    if found is None or not len(found["keys"]) or not len(checks.keys):
        return
    order = np.argsort(found["keys"])
    places = np.searchsorted(found["keys"], checks.keys, sorter=order)
    places = order[np.minimum(places, len(order) - 1)]
    same = found["keys"][places] == checks.keys
    places = places[same]
    unknown = same & (checks.codes == 0)
    numbers = _codes(checks, found["sizes"])[found["codes"]]
    checks.codes[unknown] = numbers[places][unknown[same]]
    verified = found["verified"][places]
    newer = ~checks.verified[same] & (verified | (checks.turns[same] == UNKNOWN))
    checks.turns[np.flatnonzero(same)[newer]] = found["turns"][places][newer]
    checks.verified[same] |= verified
    if found["bad"]:
        bad = np.array([*found["bad"]], np.uint64)
        for number in np.flatnonzero(np.isin(checks.keys, bad) & ~checks.verified).tolist():
            checks.bad.setdefault(number, found["bad"][int(checks.keys[number])])


def save(checks: Checks) -> None:
    """Write what is known of the files, with what other processes have found."""
    load(checks)
    bad = {str(checks.keys[i]): why for i, why in checks.bad.items() if i not in checks.temporary}
    content = io.BytesIO()
    np.savez(
        content,
        allow_pickle=False,
        **{name: getattr(checks, name) for name in _TYPES},
        sizes=np.array(checks.sizes, np.int64).reshape(-1, 2),
        bad=np.frombuffer(json.dumps(bad).encode(), np.uint8),
    )
    try:
        write_cached(checks.place, content.getvalue())
    except OSError as error:
        print_once(f"cannot write {checks.place} ({error.strerror}); images are checked each time")


def _codes(checks: Checks, sizes: np.ndarray) -> np.ndarray:
    """Return the code in `checks` for each code in the cache."""
    codes = [checks.code((int(height), int(width))) for height, width in sizes]
    table = np.full(256, 255, np.uint8)
    table[: len(codes) + 1] = [0, *codes]
    return table


def _read(place: Path) -> dict | None:
    """Return the content of a file of the cache; None if it does not exist or is damaged."""
    try:
        with np.load(place, allow_pickle=False) as file:
            found: dict = dict(file)
        found["bad"] = {int(k): str(v) for k, v in json.loads(bytes(found["bad"])).items()}
        count = len(found["keys"])
        whole = all(found[n].shape == (count,) and found[n].dtype == t for n, t in _TYPES.items())
        sizes = found["sizes"]
        whole &= sizes.ndim == 2 and sizes.shape[1] == 2 and len(sizes) < 255
        known = np.isin(found["turns"], (*range(9), 255)).all()
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError):
        return None
    except (zipfile.BadZipFile, zlib.error):
        return None
    return found if whole and known else None
