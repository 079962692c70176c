"""The recorded weights and logits of other libraries in tests/zoo/fixtures, with their tiers."""

from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent / "fixtures"
QUICK = ("torchvision--resnet18",)


def recorded(often):
    """Return a parameter for each file: QUICK in the quick tier, `often` in the default tier.

    The default tier tests one small network of each family and naming; the full tier tests all.
    """
    for path in sorted(FIXTURES.glob("*.npz")):
        tier = [pytest.mark.quick] if path.stem in QUICK else []
        if path.stem not in (*QUICK, *often):
            tier = [pytest.mark.full]
        yield pytest.param(path, id=path.stem, marks=tier)
