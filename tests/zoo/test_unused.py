"""Options that have no effect on a network are rejected for it, and no other options are."""

import dataclasses
import re

import numpy as np
import pytest

import zoo
from zoo.plan import network

OTHER = {"padding": ("symmetric", "tf"), "pool_border": (False, True), "zero_gamma": (False, True)}


def outcome(plan, x):
    """Return logits and weights, or None if the network cannot be built."""
    try:
        model = network(plan)
    except ValueError:
        return None
    return [np.asarray(model(x)), *model.get_weights()]


def check(name, **options):
    """Check that options are rejected if, without this check, they would change nothing."""
    plan = zoo.resolve(name, norm="batch", seed=0, **options)
    x = np.random.default_rng(0).normal(size=(1, *plan.input_shape)).astype("float32")
    expected = outcome(plan, x)
    for key, values in OTHER.items():
        given = {key: next(v for v in values if v != getattr(plan.style, key))}
        other = outcome(
            dataclasses.replace(plan, style=dataclasses.replace(plan.style, **given)), x
        )
        same = map(np.array_equal, expected, other) if other else [True]
        if all(same):
            with pytest.raises(ValueError, match=f"{key}=.*: has no effect in {name}"):
                zoo.resolve(name, norm="batch", **given, **options)
        else:
            zoo.resolve(name, norm="batch", **given, **options)


def test_options_without_effect_are_rejected(toy):
    check(toy)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("toy_resnet", {"stride_first": True}),
        ("toy_resnet", {"stride_first": True, "stem": "imagenet"}),
        ("toy_resnet", {"depths": (1,)}),
        ("toy_preact_resnet", {"stride_first": True}),
        ("toy_preact_resnet", {"bottleneck": False}),
        ("toy_densenet", {"stem": "imagenet"}),
        ("toy_googlenet", {"stem": "imagenet"}),
        pytest.param(
            "toy_inception",
            {"stem": "imagenet", "input_shape": (96, 96, 3)},
            marks=pytest.mark.full,
        ),
    ],
    ids=str,
)
def test_other_options_decide_whether_an_option_has_an_effect(name, options):
    check(name, **options)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"norm": "layer", "norm_momentum": 0.5},
            "norm_momentum=0.5: has no effect with norm='layer'",
        ),
        ({"norm": "group:8", "norm_momentum": 0.5}, "with norm='group:8'"),
        ({"norm": "instance", "norm_momentum": 0.5}, "with norm='instance'"),
        ({"norm": "none", "norm_momentum": 0.5}, "norm_momentum=0.5: has no effect"),
        ({"norm": "none", "norm_epsilon": 0.5}, "norm_epsilon=0.5: has no effect with norm='none'"),
        ({"norm": "none", "norm_bias": True}, "norm_bias=True: has no effect with norm='none'"),
    ],
)
def test_constants_that_a_norm_does_not_have_are_rejected(options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        zoo.resolve("resnet50", **options)


@pytest.mark.quick
def test_defaults_of_a_network_without_effect_are_accepted():
    """Such as padding, epsilon and momentum of mobilenet_v1, and the biases of vgg16_bn."""
    for norm in ("batch", "sync_batch"):
        assert zoo.resolve("resnet50", norm=norm, norm_momentum=0.5).style.norm_momentum == 0.5
    for name in zoo.list_models():
        for norm in ("layer", "none", "batch"):
            style = zoo.resolve(name, norm=norm).style
            given = {field: value for field, value in vars(style).items() if value is not None}
            assert zoo.resolve(name, **given).style == style
