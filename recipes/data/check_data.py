"""Check all images of a folder before training, and summarize what is in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from recipes.data import folder_layout
from recipes.data.folder import examined
from recipes.data.image_checks import Checks
from zoo.terminal import plural, printable


def check_data(name: str, channels: int = 3) -> tuple[list[str], int]:
    """Read all images of a folder, and keep the results in the cache.

    Files are read even if the cache has earlier results. Training on the folder, with any seed and
    any fraction of validation images, then starts with these results.

    Args:
        name: "folder:PATH" or PATH, a folder as in `recipes.data.batches.open_data`.
        channels: the number of channels with which the images will be read.

    Returns:
        Lines of text, and the number of files that cannot be read.

    Raises:
        ValueError: the folder does not exist, or its layout is not that of a data set.
    """
    root = folder_layout.find_root(name if name.startswith("folder:") else f"folder:{name}")
    lines, bad, most, total = [], [], 0, 0
    for part, listing in _listings(root).items():
        checks = examined(listing.files, channels, known=False)
        checks.verify_all(range(len(listing.files)), f"reading {part or 'all'} images")
        counts = np.bincount(listing.files.labels, minlength=len(listing.classes))
        lines += _summary(part, checks, counts)
        bad += [f"{printable(checks.files.paths[i])}: {checks.bad[i]}" for i in sorted(checks.bad)]
        most, total = max(most, len(checks.bad)), total + len(listing.files)
    lines += [f"cannot read {each}" for each in bad]
    if bad:
        lines.append(
            f"{len(bad):,} of {plural(total, 'image')} cannot be read; repair or remove"
            f" {'it' if len(bad) == 1 else 'them'}, or train with --bad_images={most}"
        )
    else:
        lines.append(f"all {plural(total, 'image')} can be read")
    return lines, len(bad)


def _listings(root: Path) -> dict[str, folder_layout.Listing]:
    """Return the images of each split, or those of a folder of classes."""
    splits = folder_layout.splits_of(root)
    if not splits:
        found = {"": folder_layout.list_training(root)}
    else:
        found = {"train": folder_layout.list_training(splits["train"])}
        classes = found["train"].classes
        for part in ("validation", "test"):
            if part in splits:
                found[part] = folder_layout.list_known(splits[part], classes)
    folder_layout.print_skipped(root, sum((each.skipped for each in found.values()), Counter()))
    return found


def _summary(part: str, checks: Checks, counts: np.ndarray) -> list[str]:
    """Return lines about the images of a set."""
    name = f"{part}: " if part else ""
    present = counts[counts > 0]
    low, high = int(present.min()), int(present.max())
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    formats = sorted(checks.formats.items(), key=lambda item: -item[1])
    lines = [
        f"{name}{plural(len(checks.files), 'image')} of"
        f" {plural(len(present), 'class', 'classes')}, {each} per class"
    ]
    if formats:
        lines.append(f"{name}formats: {', '.join(f'{n:,} {kind}' for kind, n in formats)}")
    if checks.extremes:
        (h1, w1), (h2, w2) = checks.extremes
        one = len(np.unique(checks.codes[checks.codes > 0])) == 1
        same = f"all {h1}x{w1}" if one else f"from {h1}x{w1} to {h2}x{w2}"
        lines.append(f"{name}sizes (height x width): {same}")
    return lines
