import pytest

from zoo import registry

# The quick tier runs the first toy of each of these families; the default tier runs all of their
# toys and the first toy of each other family; the full tier runs all.
QUICK = ("mlp", "lenet", "alexnet", "vgg", "resnet")


def pytest_generate_tests(metafunc):
    """Run a test that takes `toy` on the toy networks of every family.

    The mark `toy_tiers` leaves out the toys that are too slow for a tier in that test.
    """
    marked = metafunc.definition.iter_markers("parametrize")
    if "toy" not in metafunc.fixturenames or any("toy" in str(m.args[0]) for m in marked):
        return
    mark = metafunc.definition.get_closest_marker("toy_tiers")
    slow = mark.kwargs if mark else {}
    params = []
    for family in registry.families():
        for i, toy in enumerate(registry.family(family).toys):
            first, often = i == 0, family in QUICK
            tiers = [pytest.mark.quick] if first and often else []
            if not (first or often):
                tiers = [pytest.mark.full]
            tiers += [getattr(pytest.mark, tier) for tier, toys in slow.items() if toy in toys]
            params.append(pytest.param(toy, marks=tiers))
    missing = {toy for toys in slow.values() for toy in toys} - {p.values[0] for p in params}
    if missing:
        raise pytest.UsageError(f"toy_tiers of {metafunc.definition.nodeid}: no toys {missing}")
    metafunc.parametrize("toy", params)


@pytest.fixture(scope="module")
def prediction_files(tmp_path_factory):
    """A folder with a run directory, a saved model, weights, three images and a broken one."""
    from tests.zoo.predictions import write_files  # imports TensorFlow

    root = tmp_path_factory.mktemp("predict")
    write_files(root)
    return root


@pytest.fixture
def in_prediction_files(prediction_files, monkeypatch):
    """The folder of prediction_files, as the current directory."""
    monkeypatch.chdir(prediction_files)
    return prediction_files
