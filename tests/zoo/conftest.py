import pytest

from zoo import registry

# At every change the first toy of these families; in CI all of theirs, and the first of others.
QUICK = ("mlp", "lenet", "alexnet", "vgg", "resnet")


def pytest_generate_tests(metafunc):
    """A test that takes `toy` runs on the toys of every family, by tier."""
    marked = metafunc.definition.iter_markers("parametrize")
    if "toy" not in metafunc.fixturenames or any("toy" in str(m.args[0]) for m in marked):
        return
    params = []
    for family in registry.families():
        for i, toy in enumerate(registry.family(family).toys):
            first, often = i == 0, family in QUICK
            tiers = [pytest.mark.quick] if first and often else []
            if not (first or often):
                tiers = [pytest.mark.full]
            params.append(pytest.param(toy, marks=tiers))
    metafunc.parametrize("toy", params)
