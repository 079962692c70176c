import pytest

from zoo import registry

# At every change the first toy of these families; in CI all toys of all.
QUICK = ("mlp", "lenet", "alexnet", "vgg", "resnet")


def pytest_generate_tests(metafunc):
    """A test that takes `toy` runs on every toy of every family."""
    marked = metafunc.definition.iter_markers("parametrize")
    if "toy" not in metafunc.fixturenames or any("toy" in str(m.args[0]) for m in marked):
        return
    params = []
    for family in registry.families():
        for i, toy in enumerate(registry.family(family).toys):
            quick = family in QUICK and i == 0
            params.append(pytest.param(toy, marks=pytest.mark.quick if quick else ()))
    metafunc.parametrize("toy", params)
