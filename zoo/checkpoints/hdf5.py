"""Read groups and arrays of HDF5 files that strangers may have made.

An HDF5 file can refer to other files and devices, contain itself, or hold a few bytes that expand
to more than the memory. Only what Keras writes is read: arrays of numbers in the file itself.
"""

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

DEPTH = 64  # levels of groups in each other
EXPANSION = 16  # largest size of all arrays, compared to that of the file
SMALL = 1 << 28  # bytes of arrays that any file may have
# The numbers of filters of chunks that are accepted
GZIP, SHUFFLE, CHECKSUM, LZF = 1, 2, 3, 32000


class Budget:
    """The number of bytes that may still be read from a file."""

    def __init__(self, path: Path):
        self.left = self.total = EXPANSION * path.stat().st_size + SMALL

    def take(self, count: int, name: str) -> None:
        """Use a number of bytes for an object.

        Raises:
            ValueError: there are not that many left.
        """
        self.left -= count
        if self.left < 0:
            raise ValueError(
                f"{name}: its arrays expand to more than {self.total:,} bytes, {EXPANSION} times"
                " the size of the file"
            )


def child(group: Any, name: str, default: Any = None) -> Any:
    """Return the object at a path in a group, following no links to other places or files.

    Raises:
        ValueError: there is such a link.
        KeyError: there is no such object, and no default.
    """
    for part in name.strip("/").split("/"):
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            if default is not None:
                return default
            raise KeyError(f"there is no {name}")
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{name}: a link to another place, which is not followed")
        group = group[part]
    return group


def walk(group: Any, budget: Budget) -> Iterator[tuple[str, Any]]:
    """Yield the path and object of everything in a group, each object once.

    Raises:
        ValueError: the groups are nested too deeply.
    """
    seen = {_place(group)}
    stack = [("", group, iter(sorted(group)))]
    while stack:
        path, inside, names = stack[-1]
        name = next(names, None)
        if name is None:
            stack.pop()
            continue
        budget.take(len(name), path or name)
        if not isinstance(inside.get(name, getlink=True), h5py.HardLink):
            continue
        item = inside[name]
        if (place := _place(item)) in seen:
            continue
        seen.add(place)
        yield f"{path}{name}", item
        if isinstance(item, h5py.Group):
            if len(stack) > DEPTH:
                raise ValueError(f"{path[:100]}: is nested more than {DEPTH} levels deep")
            stack.append((f"{path}{name}/", item, iter(sorted(item))))


def array(dataset: Any, name: str, budget: Budget) -> np.ndarray:
    """Return the numbers of a dataset.

    Raises:
        ValueError: it is not an array of numbers in the file itself, or expands to too many bytes.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{name}: is not an array")
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{name}: its numbers are in other files, which are not read")
    if dataset.dtype.kind not in "fiub" or dataset.shape is None:
        raise ValueError(f"{name}: its values of type {dataset.dtype} are not numbers")
    budget.take(dataset.nbytes, name)
    if dataset.chunks is not None:
        _check_chunks(dataset, name, budget)
    return dataset[()]


def _check_chunks(dataset: Any, name: str, budget: Budget) -> None:
    """Check that the chunks of a dataset expand to the size that their shape has."""
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    budget.take(size, name)  # a chunk is expanded as a whole
    pipeline = dataset.id.get_create_plist()
    filters = [pipeline.get_filter(number)[0] for number in range(pipeline.get_nfilters())]
    if not {*filters} <= {GZIP, SHUFFLE, CHECKSUM, LZF} or len({*filters}) < len(filters):
        raise ValueError(f"{name}: is compressed in another way than by gzip or lzf")
    if not (gzip := [place for place, each in enumerate(filters) if each == GZIP]):
        return
    if {*filters[gzip[0] + 1 :]} - {CHECKSUM} or LZF in filters:
        raise ValueError(f"{name}: is compressed twice")
    places: list[tuple[tuple[int, ...], int]] = []
    dataset.id.chunk_iter(lambda info: places.append((info.chunk_offset, info.filter_mask)))
    for place, skipped in places:
        if skipped >> gzip[0] & 1:
            continue
        _, content = dataset.id.read_direct_chunk(place)
        # The chunk may end with a checksum of 4 bytes.
        if len(zlib.decompressobj().decompress(content, size + 5)) > size + 4:
            raise ValueError(f"{name}: a chunk expands to more than its {size:,} bytes")


def _place(item: Any) -> tuple[int, Any]:
    info = h5py.h5o.get_info(item.id)
    return info.fileno, info.addr
