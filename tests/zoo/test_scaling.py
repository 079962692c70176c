"""Compound scaling of networks (Tan & Le 2019, equation 3), and networks within a budget."""

import math
import subprocess
import sys

import pytest

import zoo
from zoo import registry
from zoo.families.efficientnet import SPECS as EFFICIENTNETS
from zoo.scaling import blocks_of, channels

# One or more networks of each family with stages; the default tier tests the first ones.
FULL_SIZE = (
    "resnet50",
    "vgg16",
    "mobilenet_v1",
    "wrn_16_8",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "se_resnet50",
    "preact_resnet50",
    "senet154",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "inception_resnet_v2",
    "nasnet_mobile",
)
GROWTH = 1.2 * 1.1**2 * 1.15**2


def first_few(names, few):
    return [pytest.param(n, marks=[] if i < few else pytest.mark.full) for i, n in enumerate(names)]


@pytest.mark.quick
@pytest.mark.parametrize("family", registry.families())
def test_phi_0_is_the_network_itself(family):
    for name in [*registry.family(family).specs, *registry.family(family).toys]:
        assert zoo.resolve(name, **zoo.scale(name, 0)) == zoo.resolve(name)


@pytest.mark.parametrize("family", first_few(registry.families(), 5))
def test_phi_0_has_the_counts_of_the_catalog(family):
    name = next(iter(registry.family(family).specs))
    assert zoo.counts(name, **zoo.scale(name, 0))["parameters"] == registry.find(name).parameters


@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "phi", "expected"),
    [
        # ceil(1.2 * (3, 4, 6, 3)); width 70.4 is rounded to the nearest multiple of 8, and size
        # 257.6 to 224 plus a multiple of 4.
        ("resnet50", 1, {"depths": (4, 5, 8, 4), "width": 72, "input_shape": (256, 256, 3)}),
        ("resnet50", -1, {"depths": (2, 3, 5, 2), "width": 56, "input_shape": (196, 196, 3)}),
        ("resnet50", 0.5, {"depths": (4, 5, 7, 4), "width": 64, "input_shape": (240, 240, 3)}),
        # 128 * 1.1 = 140.8 channels become 144, in groups of 4.
        ("resnext50_32x4d", 1, {"width": 72, "group_width": 4, "groups": 36}),
        ("wide_resnet50_2", 1, {"width": 72, "group_width": 144}),
        ("senet154", 1, {"width": 72, "groups": 72, "stem_widths": (72, 72, 144)}),
        ("vgg11", 1, {"depths": (2, 2, 3, 3, 3), "hidden": (4504, 4504)}),
        ("mobilenet_v2", 1, {"depths": (2, 3, 4, 5, 4, 4, 2), "multiplier": 1.1}),
        ("efficientnet_b0", 1, {"depth": 1.2, "width": 1.1, "input_shape": (256, 256, 3)}),
        ("inception_v3", 1, {"depths": (4, 5, 3), "width": 1.1, "input_shape": (343, 343, 3)}),
        ("nasnet_mobile", 1, {"depths": (5, 5, 5), "width": 48, "stem_width": 32}),
        ("alexnet", 1, {"widths": (104, 280, 424, 424, 280), "input_shape": (263, 263, 3)}),
        ("lenet5", 3, {"widths": (8, 24), "hidden": (160, 112), "input_shape": (48, 48, 1)}),
        ("mlp", 1, {"hidden": (56,), "input_shape": (36, 36, 3)}),
        ("densenet121", 2, {"depths": (9, 18, 35, 24), "growth": 40, "stem_width": 80}),
    ],
)
def test_scaling_follows_the_rule_computed_by_hand(name, phi, expected):
    found = zoo.scale(name, phi)
    assert expected.items() <= found.items()
    zoo.resolve(name, **found)


@pytest.mark.quick
def test_scaling_starts_from_the_given_options():
    found = zoo.scale("resnet50", 1, act="elu", width=32, input_shape=(64, 96, 3), num_classes=5)
    assert found["act"] == "elu"
    assert found["width"] == 32  # 32 is at least 0.9 * 35.2
    assert found["input_shape"] == (72, 112, 3)
    assert zoo.scale("vgg16", 2, input_shape=(None, None, 3))["input_shape"] == (None, None, 3)
    assert zoo.scale("resnet50", 3, beta=1, gamma=1)["width"] == 64
    assert zoo.scale("alexnet", 1, towers=3)["widths"] == (96, 288, 432, 432, 288)


@pytest.mark.quick
def test_channels_are_multiples_of_8_and_at_most_a_tenth_less():
    """The rule of _make_divisible by MobileNet's authors, for widths that are multiples of 8."""

    def make_divisible(v):
        new = max(8, int(v + 4) // 8 * 8)
        return new + 8 if new < 0.9 * v else new

    for w in (8, 16, 64, 320):
        for percent in range(5, 400):
            assert channels(w, percent / 100) == make_divisible(w * percent / 100)
    assert [channels(w, 1.0) for w in (1, 3, 6, 12, 44, 100)] == [1, 3, 6, 12, 44, 100]
    assert channels(44, 1.1) == 48
    assert channels(128, 1.1, 12) % 24 == 0
    assert [blocks_of(n, 1.2**2) for n in (1, 2, 25)] == [2, 3, 36]
    assert [blocks_of(n, 0.4) for n in (1, 2, 6)] == [1, 1, 2]


@pytest.mark.parametrize("name", first_few(FULL_SIZE, 4))
def test_each_step_of_phi_about_doubles_the_macs(name):
    """Only about, because depths are rounded up, with the largest effect on stages of one block."""
    phi = 3
    before, after = (zoo.counts(name, **zoo.scale(name, p)) for p in (0, phi))
    growth = (after["macs"] / before["macs"]) ** (1 / phi)
    assert growth == pytest.approx(GROWTH, rel=0.12)


@pytest.mark.parametrize(
    ("name", "options"), [("resnet50", {}), ("mobilenet_v1", {}), ("vgg16", {"hidden": ()})]
)
def test_twice_the_depth_width_or_size_gives_2_4_or_4_times_the_macs(name, options):
    """Except in the stem and the head."""
    options = {**options, "num_classes": 0}
    base = zoo.counts(name, **options)["macs"]
    for factor, times in (("alpha", 2), ("beta", 4), ("gamma", 4)):
        bases = {"alpha": 1, "beta": 1, "gamma": 1, factor: 2}
        found = zoo.scale(name, 1, **bases, **options)
        assert zoo.counts(name, **found)["macs"] / base == pytest.approx(times, rel=0.15), factor


@pytest.mark.parametrize("name", ["efficientnet_b1", "efficientnet_b2", "efficientnet_b3"])
def test_published_factors_give_the_published_efficientnets(name):
    spec, row = EFFICIENTNETS[name], registry.find(name)
    bases = {"alpha": spec.depth, "beta": spec.width, "gamma": row.input_shape[0] / 224}
    found = zoo.scale("efficientnet_b0", 1, **bases)
    assert found["input_shape"] == row.input_shape
    costs = zoo.counts("efficientnet_b0", **found)
    assert costs["parameters"] == row.parameters
    assert costs["macs"] / 1e9 == pytest.approx(row.gmac, rel=0.01)


@pytest.mark.quick
def test_phi_of_one_half_and_1_give_about_efficientnet_b1_and_b2():
    """With the published depths, and nearly the published resolutions."""
    for phi, name in ((0.5, "efficientnet_b1"), (1, "efficientnet_b2")):
        found, spec = zoo.scale("efficientnet_b0", phi), EFFICIENTNETS[name]
        depths = [math.ceil(found["depth"] * n) for n in spec.depths]
        assert depths == [math.ceil(spec.depth * n) for n in spec.depths]
        assert abs(found["input_shape"][0] - registry.find(name).input_shape[0]) <= 4


def test_shrinking_stops_at_the_smallest_valid_values():
    assert zoo.scale("alexnet", -20)["input_shape"] == (67, 67, 3)
    assert zoo.scale("vgg16", -32)["input_shape"] == (32, 32, 3)
    assert zoo.scale("googlenet", -10, aux=True)["depths"] == (2, 3, 2)
    for name in ("resnext50_32x4d", "senet154", "densenet40_k12", "lenet5"):
        found = zoo.scale(name, -32)
        assert set(found.get("depths", [1])) == {1}
        assert zoo.counts(name, **found)["parameters"] < zoo.counts(name)["parameters"] / 20


def test_scaled_toys_build(toy):
    for phi in (-2, 1):
        found = zoo.scale(toy, phi)
        assert zoo.build(toy, **found).count_params()


# Budgets


def achieved(name, **budget):
    found = zoo.fit_budget(name, **budget)
    options = {k: v for k, v in budget.items() if k not in ("alpha", "beta", "gamma")}
    costs = zoo.counts(name, **found)
    return costs, [
        costs[what] / options[what] for what in ("macs", "parameters") if what in options
    ]


@pytest.mark.parametrize(
    "name",
    first_few(("vgg11", "resnet50", "resnext50_32x4d", "mobilenet_v2", "efficientnet_b0"), 1),
)
@pytest.mark.parametrize("times", [0.4, 1.2])
def test_fit_budget_nearly_reaches_the_budget(name, times):
    base = zoo.counts(name)
    assert 0.9 <= achieved(name, macs=times * base["macs"])[1][0] <= 1
    assert 0.85 <= achieved(name, parameters=times * base["parameters"])[1][0] <= 1


@pytest.mark.quick
@pytest.mark.not_quick
def test_fit_budget_works_for_small_networks():
    for name in ("toy_basic", "lenet5", "mlp"):
        base = zoo.counts(name)
        for times in (0.5, 1.3):
            assert 0.75 <= achieved(name, macs=times * base["macs"])[1][0] <= 1
        same = zoo.fit_budget(name, **base)
        assert zoo.counts(name, **same) == base


@pytest.mark.full
def test_a_larger_budget_gives_a_larger_network():
    for what, cost in zoo.counts("toy_plain").items():
        found = [achieved("toy_plain", **{what: cost * 1.3**i})[0][what] for i in range(10)]
        assert found == sorted(found)
        assert len(set(found)) > 8


def test_fit_budget_keeps_both_limits():
    base = zoo.counts("toy_basic")
    for macs, parameters in ((2, 1), (1, 2), (3, 3)):
        budget = {"macs": macs * base["macs"], "parameters": parameters * base["parameters"]}
        _, shares = achieved("toy_basic", **budget)
        assert max(shares) <= 1
        assert max(shares) > 0.85


@pytest.mark.quick
def test_fixed_ends_stay_fixed_within_a_budget():
    """EfficientNet-Lite's first and last stage do not scale: its own costs give it back."""
    base = zoo.counts("toy_efficientnet", fixed_ends=True)
    found = zoo.fit_budget("toy_efficientnet", macs=1.0001 * base["macs"], fixed_ends=True)
    assert zoo.counts("toy_efficientnet", **found) == base
    assert found["depths"] == (1, 1)


@pytest.mark.quick
def test_dimensions_with_a_factor_of_1_are_not_scaled():
    base = zoo.counts("toy_basic")
    found = zoo.fit_budget("toy_basic", macs=3 * base["macs"], gamma=1, act="elu")
    assert found["input_shape"] == (32, 32, 3)
    assert found["act"] == "elu"
    found = zoo.fit_budget("toy_basic", macs=3 * base["macs"], alpha=1)
    assert found["depths"] == (1, 1)
    found = zoo.fit_budget("toy_basic", parameters=3 * base["parameters"])
    assert found["input_shape"] == (32, 32, 3)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: zoo.scale("resnet5", 1), "did you mean 'resnet5"),
        (lambda: zoo.scale("resnet50", "1"), "phi='1': must be a number from -32 to 32"),
        (lambda: zoo.scale("resnet50", float("nan")), "phi=nan"),
        (lambda: zoo.scale("resnet50", 1e9), "phi=1000000000.0"),
        (lambda: zoo.scale("resnet50", 1, alpha=0.5), "alpha=0.5: must be a number from 1 to 4"),
        (lambda: zoo.scale("resnet50", 1, deph=(1,)), "did you mean 'depths'"),
        (lambda: zoo.fit_budget("resnet50"), "macs, parameters: give one of them or both"),
        (lambda: zoo.fit_budget("resnet50", macs=-1), "macs=-1: must be a finite number above 0"),
        (lambda: zoo.fit_budget("resnet50", macs=float("inf")), "macs=inf"),
        (
            lambda: zoo.fit_budget("resnet20", macs=1e9, input_shape=(None, None, 3)),
            "macs=1000000000.0: needs a fixed input size",
        ),
        (
            lambda: zoo.fit_budget("resnet20", parameters=100),
            "parameters=100: too small for resnet20; its smallest version has",
        ),
        (lambda: zoo.fit_budget("lenet5", macs=1e12), "macs=1000000000000.0: too large for lenet5"),
    ],
)
def test_a_wrong_argument_is_a_one_line_error(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.quick
def test_counting_parameters_takes_no_memory():
    """VGG-16 with 100 times as many hidden units would have 1.8e11 weights."""
    assert zoo.counts("vgg16", hidden=(409_600, 409_600))["parameters"] > 1.7e11


@pytest.mark.quick
def test_scaling_imports_no_framework():
    program = (
        "import sys, zoo; zoo.scale('resnet50', 2); "
        "sys.exit(bool({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=300).returncode == 0
