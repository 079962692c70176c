"""An option that changes nothing in a network is refused there, and no other option is."""

import dataclasses
import re

import numpy as np
import pytest

import zoo
from zoo.plan import network

OTHER = {"padding": ("symmetric", "tf"), "pool_border": (False, True), "zero_gamma": (False, True)}


def outcome(plan, x):
    """Logits and weights; None of what the network itself refuses."""
    try:
        model = network(plan)
    except ValueError:
        return None
    return [np.asarray(model(x)), *model.get_weights()]


def check(name, **options):
    """Builds past the check: the option changes weights or logits just where it is allowed."""
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


def test_what_changes_nothing_is_refused(toy):
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
def test_it_depends_on_the_options(name, options):
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
def test_constants_of_a_norm_that_has_none(options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        zoo.resolve("resnet50", **options)


@pytest.mark.quick
def test_a_networks_own_style_is_no_request():
    """mobilenet_v1 has padding, epsilon and momentum of its own, vgg16_bn biases."""
    for norm in ("batch", "sync_batch"):
        assert zoo.resolve("resnet50", norm=norm, norm_momentum=0.5).style.norm_momentum == 0.5
    for name in zoo.list_models():
        for norm in ("layer", "none", "batch"):
            style = zoo.resolve(name, norm=norm).style
            given = {field: value for field, value in vars(style).items() if value is not None}
            assert zoo.resolve(name, **given).style == style
