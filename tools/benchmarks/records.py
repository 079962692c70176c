"""Errors of flags, CSV files, and hardware and versions, for all benchmarks."""

import argparse
import csv
import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path

WHERE = ("cpu", "threads", "tensorflow", "keras", "torch", "torchvision", "commit", "date")


class Parser(argparse.ArgumentParser):
    """An argument parser that prints errors in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def where(torch: Mapping[str, str], threads: int) -> dict[str, object]:
    """Return hardware, versions, commit and date as WHERE names them; `torch` has its versions."""
    from recipes import provenance

    versions = provenance.versions()
    return {
        "cpu": provenance.hardware()["cpu"],
        "threads": threads,
        "tensorflow": versions.get("tensorflow"),
        "keras": versions.get("keras"),
        "torch": torch.get("torch"),
        "torchvision": torch.get("torchvision"),
        "commit": provenance.commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
    }


def write(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Write a CSV file atomically."""
    from zoo.files import write as write_whole

    def table(file) -> None:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)

    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, table)
