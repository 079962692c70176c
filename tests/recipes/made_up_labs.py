"""Labs of studies with cells that were not measured."""

from pathlib import Path
from typing import Any

from recipes.studying import Lab


def made_up_lab(cells: dict[str, Any], quick: bool = False) -> Lab:
    """Return a lab with these results, which writes nothing unless it measures."""
    lab = Lab(Path("nowhere"), "made up", quick=quick)
    lab.cells = cells
    return lab
