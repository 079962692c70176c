"""All that the page shows, and what of it changed since a browser last asked."""

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recipes.training.selection import METRICS
from recipes.watch import places, runs, searches
from recipes.watch.fields import defaults, differing, place
from recipes.watch.reading import Files, locked_inodes
from zoo.files import finite

_WITH_SCORES = ("finished", "stopped")
FIND_SECONDS = 10.0  # how often the directories are searched for new runs


class State:
    """The searches and runs in some directories, as JSON.

    Attributes:
        folders: key of a run or trial -> its run directory, its search's directory (or None) and
            its ID in it.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        every: float = 1.0,
        importance: Callable[[Path, int], list[dict[str, Any]]] | None = None,
    ):
        """Begin to read.

        Args:
            paths: directories of searches and runs.
            every: shortest time in seconds between two readings.
            importance: function from the directory of a search and the number of its scores to the
                importance of its hyperparameters, for searches that have not ended.
        """
        self.paths, self.every, self._importance = list(paths), every, importance
        self.folders: dict[str, tuple[Path, Path | None, str]] = {}
        self._boot = f"{os.getpid():x}{time.time_ns():x}"
        self._files = Files()
        self._lock = threading.Lock()
        self._places: tuple[list[Path], list[Path]] = ([], [])
        self._keys: dict[Path, str] = {}
        self._number = itertools.count()
        self._found = self._read = -float("inf")
        self._version, self._points = 0, _points(0)
        self._collections: list[dict[str, Any]] = []
        self._runs: dict[str, dict[str, Any]] = {}
        self._since: dict[str, int] = {}

    def since(self, version: str | None) -> dict[str, Any] | None:
        """Return what changed since a version, or everything; None if nothing changed.

        Args:
            version: the "version" of an earlier result.
        """
        with self._lock:
            self._refresh()
            now = f"{self._boot}.{self._version}"
            if version == now:
                return None
            boot, _, number = (version or "").partition(".")
            seen = int(number) if boot == self._boot and number.isdecimal() else -1
            made: dict[str, Any] = {
                "version": now,
                "now": time.time(),
                "collections": self._collections,
                "runs": {k: run for k, run in self._runs.items() if self._since[k] > seen},
            }
            if seen < 0:
                made["defaults"] = defaults()
                made["whole"] = True
            return finite(made)

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._read < self.every:
            return
        if now - self._found >= FIND_SECONDS:
            self._places, self._found = places.find_all(self.paths), now
        collections, found = self._collect()
        if self._points != (points := _points(len(found))):
            self._points = points
            collections, found = self._collect()
        if collections != self._collections or found != self._runs:
            self._version += 1
            for key, run in found.items():
                if run != self._runs.get(key):
                    self._since[key] = self._version
            self._collections, self._runs = collections, found
        self._read = time.monotonic()

    def _collect(self) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
        locks = locked_inodes()
        found: dict[str, dict[str, Any]] = {}
        collections = []
        folders, plain = self._places
        for folder in folders:
            search, trials = searches.entries(self._files, folder, locks, self._points)
            if self._importance is not None and (search["alive"] or not search["importance"]):
                ended = [each for each in trials.values() if each["status"] in _WITH_SCORES]
                search["importance"] = self._importance(folder, len(ended)) or search["importance"]
            key = self._key(folder, "s")
            for trial, entry in trials.items():
                entry |= {"label": f"trial {trial}", "path": str(folder / "trials" / trial)}
                found[f"{key}:{trial}"] = entry
                where = folder / "trials" / (entry["same_as"] or trial)
                self.folders[f"{key}:{trial}"] = (where, folder, trial)
            order = [f"{key}:{trial}" for trial in trials]
            collections.append({"id": key, "order": order, **search})
        order = []
        for folder, label in zip(plain, places.labels(plain), strict=True):
            key = self._key(folder, "r")
            made = runs.entry(self._files, folder, locks, self._points)
            found[key] = made | {"label": label, "path": str(folder)}
            self.folders[key] = (folder, None, "")
            order.append(key)
        if plain:
            collections.append(_of_runs("runs", "Runs", order, found))
        if len(collections) > 1:
            names = {c["id"]: c["name"] for c in collections if c["kind"] == "search"}
            for key in found:
                own, _, trial = key.partition(":")
                if trial and len(names) > 1:
                    found[key] = found[key] | {"label": f"{names[own]}/{trial}"}
            # In front, because whoever names several directories wants to compare them
            collections.insert(0, _of_runs("all", "All", list(found), found))
        return collections, found

    def _key(self, folder: Path, prefix: str) -> str:
        if folder not in self._keys:
            self._keys[folder] = f"{prefix}{next(self._number)}"
        return self._keys[folder]


def _points(count: int) -> int:
    """Return the number of epochs to show of each of several runs, in few different values."""
    return 1000 if count <= 20 else 250 if count <= 80 else 100


def _of_runs(
    name: str, title: str, order: list[str], found: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return a collection of runs whose axes are the fields in which their recipes differ."""
    axes = differing({key: found[key]["recipe"] for key in order})
    usual = defaults()
    for key in order:
        recipe = found[key]["recipe"]
        values = {
            n: place(one, "none" if (v := recipe.get(n, usual.get(n))) is None else v)
            for n, one in axes.items()
        }
        # Trials keep the values of their own search, too.
        found[key] = found[key] | {"fields" if "values" in found[key] else "values": values}
    metrics = {found[key]["by"] for key in order}
    by = metrics.pop() if len(metrics) == 1 else "val_accuracy"
    return {
        "id": name, "kind": "runs", "name": title, "path": None, "by": by, "goal": METRICS[by],
        "axes": list(axes.values()), "stages": [], "importance": [], "workers": [], "alive": None,
        "wanted": None, "order": order,
    }  # fmt: skip
