"""Check the gradients against finite differences, in float64 on a small input.

For each stage, compare the slope (L(w + h d) - L(w - h d)) / 2h with the gradient's along
directions d that are half the stage's gradient and half random. ReLU has kinks, so the best of
several step sizes h counts, and the median over several directions. Dropout is off; norms are in
training mode, where they depend on the batch alone. Weights and images get a little noise, because
a feature map that is exactly zero would lie on a kink.

The relative error is at most 1e-7 for smooth functions and mostly up to 1e-4 with kinks. The check
fails above 1e-2, as in the lecture notes. Above 1e-4, the same network is also checked with
softplus. If its error is small, the kinks explain the difference (norms that divide by a small
number multiply them); otherwise the verdict is "note".
"""

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from recipes import optimize
from recipes.diagnostics.context import Context, Shape, shape_of
from recipes.diagnostics.plots import legend, panels
from recipes.diagnostics.results import CheckResult
from recipes.drawing import GREEN, GREY, INK, ORANGE, RED
from recipes.recipe import Recipe, replace
from recipes.training.network import dtype_policy
from zoo.graph import layers_of
from zoo.surgery import stage_of
from zoo.terminal import plural

IMAGES = 4
SIDES = (8, 16, 32, 64, 96, 128)  # image sizes to try, if smaller than the recipe's
DIRECTIONS = 3
# Step sizes relative to the norm of the stage's weights, tried until the error is below ENOUGH.
STEPS = (1e-6, 1e-7, 1e-8, 1e-5)
NOISE = 0.02
GOOD, BAD = 1e-4, 1e-2
ENOUGH = 1e-7
LEAST, MOST = 1e-12, 1e3  # range of the picture; NaN is drawn at the top
SMOOTH = "softplus"  # an activation without kinks


def check(context: Context) -> CheckResult:
    """Run the check; the module's docstring describes it."""
    errors, shape = _errors(context, context.plain)
    worst = max(errors, key=lambda stage: errors[stage])
    verdict = "pass" if errors[worst] <= GOOD else "note" if errors[worst] <= BAD else "fail"
    values: dict[str, Any] = {"errors": errors, "shape": list(shape), "images": IMAGES}
    smooth = None
    if verdict != "pass":
        values["smooth"], _ = _errors(context, replace(context.plain, act=SMOOTH))
        smooth = max(values["smooth"].values())
    if verdict == "note" and smooth is not None and smooth <= GOOD:
        verdict = "pass"
    figure = f"largest relative error {errors[worst]:.1e}, in {worst}"
    if smooth is not None:
        figure += f", {smooth:.1e} with {SMOOTH}"
    figure += f" ({IMAGES} images of {'x'.join(map(str, shape))}, {plural(len(errors), 'stage')})"
    why = {
        "pass": "",
        "note": "the error is more than the activation's kinks explain, because it is as large with"
        f" {SMOOTH}; look for another function that is not smooth",
        "fail": f"the gradient of {worst} is wrong: check the custom gradients of "
        + ("the activation" if smooth is not None and smooth <= GOOD else "its layers")
        + ", and look for values that are rounded or not float64",
    }[verdict]

    def draw(part):
        _draw(part, errors, values.get("smooth"))

    return CheckResult("gradient_check", verdict, figure, why, values, draw)


def _errors(context: Context, recipe: Recipe) -> tuple[dict[str, float], Shape]:
    """Return the relative error of each stage's gradient, and the shape of the images."""
    generator = np.random.default_rng(recipe.seed)
    model, shape = _small(context, recipe)
    images, labels = _images(context, shape, generator)
    for variable in model.trainable_variables:
        noise = generator.normal(0, NOISE, variable.shape)
        variable.assign(np.array(variable) + noise)
    loss_of, gradients_of = _functions(context, model, images, labels)
    stages: dict[str, list[keras.Variable]] = {}
    for layer in layers_of(model):
        if layer.trainable_variables:
            stages.setdefault(stage_of(layer), []).extend(layer.trainable_variables)
    found = dict(
        zip([v.path for v in model.trainable_variables], gradients_of(), strict=True)
    )  # fmt: skip
    end = time.monotonic() + context.seconds
    errors: dict[str, float] = {}
    for stage, variables in stages.items():
        own = [np.array(found[v.path]) for v in variables]
        tries: list[float] = []
        while len(tries) < DIRECTIONS and (not tries or time.monotonic() < end):
            tries.append(_error(loss_of, variables, own, generator))
        errors[stage] = float(np.median(tries))
    return errors, shape


def _small(context: Context, recipe: Recipe) -> tuple[keras.Model, Shape]:
    """Build the network in float64 at the smallest of SIDES that it supports."""
    height, width, channels = shape_of(recipe, context.data)
    shapes = [(side, side, channels) for side in SIDES if side < min(height, width)]
    shapes.append((height, width, channels))
    with dtype_policy("float64"):
        for shape in shapes[:-1]:
            try:
                return context.make(recipe, context.data, shape), shape
            except ValueError:  # the input is too small
                continue
        return context.make(recipe, context.data, shapes[-1]), shapes[-1]


def _images(context: Context, shape: Shape, generator) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 images of a shape with mean 0 and standard deviation 1, and their labels."""
    images, labels = context.sample(IMAGES)
    images = tf.image.resize(images, shape[:2]).numpy().astype("float64")
    images = (images - images.mean()) / max(images.std(), 1e-3)
    return images + generator.normal(0, 0.1, images.shape), labels.astype("float64")


def _functions(context: Context, model, images, labels) -> tuple[Callable, Callable]:
    """Return functions for the loss of the batch and its gradients."""
    loss = optimize.loss(context.plain)
    x, y = tf.constant(images), tf.constant(labels)

    def compute():
        # loss(y, z) would round to float32.
        return tf.reduce_mean(loss.call(y, keras.tree.flatten(model(x, training=True))[0]))

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            value = compute()
        variables = [v.value for v in model.trainable_variables]
        zero = tf.UnconnectedGradients.ZERO
        return tape.gradient(value, variables, unconnected_gradients=zero)

    return tf.function(compute), gradients


def _error(loss_of, variables, gradient: list[np.ndarray], generator) -> float:
    """Return the relative error of the slope along one direction, at the best step size."""
    held = [np.array(v) for v in variables]
    direction = [d + r for d, r in zip(_unit(gradient), _unit(
        [generator.normal(size=g.shape) for g in gradient]
    ), strict=True)]  # fmt: skip
    slope = sum(float(np.sum(g * d)) for g, d in zip(gradient, direction, strict=True))
    errors = []
    for share in STEPS:
        h = share * max(_norm(held), 1e-3)
        ends = []
        for sign in (1, -1):
            for variable, value, d in zip(variables, held, direction, strict=True):
                variable.assign(value + sign * h * d)
            ends.append(float(loss_of()))
        measured = (ends[0] - ends[1]) / (2 * h)
        rounding = 1e-14 * abs(ends[0]) / h
        error = abs(measured - slope) / max(abs(measured), abs(slope), rounding / GOOD, 1e-300)
        errors.append(error if math.isfinite(error) else math.inf)
        if errors[-1] < ENOUGH:
            break
    for variable, value in zip(variables, held, strict=True):
        variable.assign(value)
    return min(errors)


def _unit(arrays: list[np.ndarray]) -> list[np.ndarray]:
    norm = _norm(arrays)
    return [a / norm if norm else a for a in arrays]


def _norm(arrays: list[np.ndarray]) -> float:
    return float(np.sqrt(sum(np.sum(np.square(a)) for a in arrays)))


def _draw(part, errors: dict[str, float], smooth: dict[str, float] | None = None) -> None:
    (axes,) = panels(part, ["relative error of the gradient by stage"])
    names, shown = list(errors), np.clip(list(errors.values()), LEAST, MOST)
    shown = np.where(np.isnan(shown), MOST, shown)
    axes.axhspan(LEAST / 10, GOOD, color=GREEN, alpha=0.10, lw=0)
    axes.axhspan(BAD, 10 * MOST, color=RED, alpha=0.08, lw=0)
    colors = [GREEN if e <= GOOD else ORANGE if e <= BAD else RED for e in shown]
    axes.vlines(names, LEAST / 10, shown, color=GREY, lw=1)
    axes.scatter(names, shown, c=colors, s=70, zorder=3)
    if smooth:
        seen = np.nan_to_num(np.clip(list(smooth.values()), LEAST, MOST), nan=MOST)
        axes.scatter(
            list(smooth), seen, s=70, zorder=3, label=f"with {SMOOTH}", facecolor="none", color=INK
        )
        legend(axes, 1)
    axes.set_yscale("log")
    axes.set_ylim(LEAST / 10, max(10.0, 10 * shown.max()))
    axes.set_xlim(-0.5, len(names) - 0.5)
    if len("".join(names)) > 60:
        axes.tick_params(axis="x", rotation=30)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.axhline(GOOD, color=INK, lw=0.8, ls=":")
    axes.axhline(BAD, color=INK, lw=0.8, ls=":")
    for height, text in (
        (GOOD, f"above: kinks, if the error with {SMOOTH} is small"),
        (BAD, "above: wrong"),
    ):
        axes.annotate(text, (1, height), (-3, 2), ("axes fraction", "data"), "offset points",
                      ha="right", fontsize=8, color=GREY)  # fmt: skip
