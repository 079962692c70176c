"""Scale networks by a rule or to a budget. Tan & Le 2019, EfficientNet.

Families need no code for this, because the names of a spec's fields show what they count. A spec
with other names has a method `scaled(depth, width)` that returns the changed fields.
"""

import bisect
import dataclasses
import math
import numbers
from typing import Any

from zoo import complexity
from zoo.options import field_types
from zoo.plan import Plan, checked_network, resolve, sketch
from zoo.style import TooSmallError

# Fields that count channels or units. Those that count blocks are `depths`.
WIDTHS = (
    "width",
    "widths",
    "stem_width",
    "stem_widths",
    "group_width",
    "last_width",
    "growth",
    "hidden",
)
# Fields that are factors of all depths or widths of a network if they are floats. Then only they
# are scaled.
DEPTH_FACTOR, WIDTH_FACTORS = "depth", ("width", "multiplier")
# Image sizes change in multiples of this many pixels, as in EfficientNet B0 to B7.
PIXELS = 4
# fit_budget tries phi from -32 to 12 in steps of a quarter.
QUARTERS = range(-4 * 32, 4 * 12 + 1)


def scale(
    name: str,
    phi: float,
    *,
    alpha: float = 1.2,
    beta: float = 1.1,
    gamma: float = 1.15,
    **options: Any,
) -> dict[str, Any]:
    """Return the options of `zoo.build` for a network scaled by equation 3 of the paper.

    The network is alpha^phi times as deep and beta^phi times as wide, and its images have gamma^phi
    times as many pixels on a side. This takes about (alpha * beta^2 * gamma^2)^phi times as many
    operations: 1.92^phi with the defaults, which are the paper's.
    `zoo.build(name, **zoo.scale(name, 1))` builds it.

    Depths are rounded up, as in the authors' code, or with negative phi to the nearest number of at
    least 1. Widths are rounded to multiples of 8 (of 4, 2 or 1 if the original is no multiple of
    8), but never down by more than a tenth. Groups of convolutions keep their width, and their
    number changes. Image sizes change by multiples of 4 pixels, and stay large enough for the
    network, unless they vary. alexnet, lenet and mlp only change in width and resolution.

    Args:
        name: name of the network.
        phi: the scaling coefficient, any number from -32 to 32. 0 returns the network itself.
        alpha, beta, gamma: bases of depth, width and resolution, from 1 to 4. 1 means no change.
        options: options of `zoo.build` for the network before scaling. They are included in the
            result.

    Raises:
        ValueError: a name or an option is unknown, a factor is out of its range, or the family
            has no field that can be scaled.
    """
    if not _is_number(phi) or not -32 <= phi <= 32:
        raise ValueError(f"phi={phi!r}: must be a number from -32 to 32")
    _check_bases(alpha, beta, gamma)
    phi = float(phi)
    return _scaled(resolve(name, **options), options, alpha**phi, beta**phi, gamma**phi)


def fit_budget(
    name: str,
    *,
    macs: float | None = None,
    parameters: float | None = None,
    alpha: float = 1.2,
    beta: float = 1.1,
    gamma: float = 1.15,
    **options: Any,
) -> dict[str, Any]:
    """Return the options of `zoo.build` for the largest scaled network within a budget.

    The search first finds the largest phi for `zoo.scale`, in steps of a quarter. It then uses the
    rest of the budget for depth and resolution, then for one more block in each stage, from the
    last one, and then for pixels. The result is up to about 5 % below a budget of
    multiply-accumulates, and 10 % below one of parameters: without `macs`, the resolution does not
    change. A larger budget never returns a smaller network. `zoo.counts(name, **result)` returns
    the counts. The search takes a few seconds, for 10 to 20 networks without weights.

    Args:
        name: name of the network.
        macs: maximum number of multiply-accumulates for one image.
        parameters: maximum number of trainable parameters. If both are given, both limits apply.
        alpha, beta, gamma: as in `zoo.scale`. gamma=1 keeps the resolution.
        options: options of `zoo.build` for the network before scaling. They are included in the
            result.

    Raises:
        ValueError: no budget is given, even the smallest network (phi=-32) exceeds it, or the
            largest (phi=12, with 2,500 times as many operations) is still below it.
    """
    budget = _checked_budget(macs, parameters)
    _check_bases(alpha, beta, gamma)
    plan = resolve(name, **options)
    if macs is None:
        gamma = 1.0
    elif None in plan.input_shape:
        raise ValueError(
            f"macs={macs!r}: needs a fixed input size, but input_shape={plan.input_shape}; give "
            "height and width"
        )
    known: dict[str, bool] = {}

    def fits(found: dict[str, Any]) -> bool:
        key = str(found)
        if key not in known:
            costs = counts(name, **found)
            known[key] = all(costs[what] <= most for what, most in budget.items())
        return known[key]

    def at(depth: int, width: int, resolution: int) -> dict[str, Any]:
        factors = alpha ** (depth / 4), beta ** (width / 4), gamma ** (resolution / 4)
        return _in_blocks(plan.spec, _scaled(plan, options, *factors))

    fitting = bisect.bisect_right(QUARTERS, False, key=lambda k: not fits(at(k, k, k)))
    if fitting == 0:
        least = at(*(QUARTERS[0],) * 3)
        raise ValueError(
            f"{_settings(budget)}: too small for {name}; its smallest version has "
            f"{_words(counts(name, **least))} ({_settings(least)})"
        )
    if fitting == len(QUARTERS):
        raise ValueError(
            f"{_settings(budget)}: too large for {name}, even if it is scaled up to phi=12; start "
            "from a larger network"
        )
    depth = width = QUARTERS[fitting - 1]
    while depth < QUARTERS[-1] and fits(at(depth + 1, width, depth + 1)):
        depth += 1
    found = at(depth, width, depth)
    for stage in reversed(range(len(found.get("depths", ())) if alpha > 1 else 0)):
        longer = [n + (i == stage) for i, n in enumerate(found["depths"])]
        if fits(more := found | {"depths": tuple(longer)}):
            found = more
    while gamma > 1 and found["input_shape"][0] < 4096 and fits(more := _larger(found, 1)):
        found = more
    return found


def counts(name: str, **options: Any) -> dict[str, Any]:
    """Count the parameters and multiply-accumulates of a network without allocating its weights.

    Args:
        name: name of the network.
        options: options of `zoo.build`.

    Returns:
        A dict of `macs`, the multiply-accumulates for one image (None if sizes vary), and
        `parameters`, the number of trainable parameters.
    """
    plan = resolve(name, **options)
    model = checked_network(plan, sketch)
    costs = [complexity.macs(layer) for layer in model.layers]
    return {
        "macs": None if None in costs else sum(c for c in costs if c is not None),
        "parameters": complexity.parameters(model),
    }


# Scaling of specs and of image sizes


def scaled_fields(spec: Any, depth: float, width: float) -> dict[str, Any]:
    """Return the changed fields of a spec `depth` times as deep and `width` times as wide.

    The dict is empty if no field can be scaled.
    """
    if hasattr(spec, "scaled"):
        return spec.scaled(depth, width)
    own = {name: getattr(spec, name) for name in field_types(type(spec))}
    fields: dict[str, Any] = {}
    if isinstance(own.get(DEPTH_FACTOR), float):
        fields[DEPTH_FACTOR] = own[DEPTH_FACTOR] * depth
    elif "depths" in own:
        least = getattr(spec, "least_depth", 1)
        fields["depths"] = tuple(blocks_of(n, depth, least) for n in own["depths"])
    factors = [name for name in WIDTH_FACTORS if isinstance(own.get(name), float)]
    if factors:
        return fields | {name: own[name] * width for name in factors}
    for name in WIDTHS:
        if isinstance(own.get(name), tuple):
            towers = own.get("towers", 1) if name == "widths" else 1
            fields[name] = tuple(channels(w, width, towers) for w in own[name])
        elif own.get(name) is not None:
            fields[name] = channels(own[name], width)
    return fields | _groups(own, width)


def _groups(own: dict[str, Any], width: float) -> dict[str, Any]:
    """Return the fields for more or fewer groups of the same width (Radosavovic et al. 2020)."""
    groups, each, w = own.get("groups", 1), own.get("group_width"), own.get("width")
    if groups == 1 or w is None:
        return {}
    if each is not None:
        return {"groups": channels(groups * each, width, each) // each, "group_width": each}
    wider = channels(w, width, w // math.gcd(w, groups))
    return {"width": wider, "groups": groups * wider // w}


def blocks_of(n: int, depth: float, least: int = 1) -> int:
    """Return n blocks times `depth`, rounded up; for depth < 1 to the nearest, at least `least`."""
    if depth < 1:
        return max(round(n * depth), min(n, least))
    return math.ceil(n * depth - 1e-9)  # 25 * 1.2**2 is a little more than 36


def channels(w: int, width: float, unit: int = 1) -> int:
    """Return w channels times `width`, rounded to a multiple of 8 and of `unit`.

    If w is a multiple of only 4, 2 or 1, so is the result. Rounding takes away a tenth at most, as
    in the MobileNet authors' rule. The result is at least 8, or w if that is smaller.
    """
    step = math.lcm(math.gcd(w, 8), unit)
    least = math.ceil(min(w, 8) / step) * step
    nearest = max(int(w * width + step / 2) // step * step, least)
    return nearest if nearest >= 0.9 * w * width else nearest + step


def _scaled(plan: Plan, options: dict[str, Any], depth: float, width: float, resolution: float):
    """Return the options with the fields and the input shape scaled by these factors."""
    fields = scaled_fields(plan.spec, depth, width)
    if not fields:
        names = ", ".join(field_types(type(plan.spec))) or "none"
        raise ValueError(
            f"{plan.name}: none of its fields can be scaled ({names}); give its spec a method "
            "scaled(depth, width) that returns the changed fields"
        )
    height, wide, channels_in = plan.input_shape
    shape = _pixels(height, resolution), _pixels(wide, resolution), channels_in
    found = options | fields | {"input_shape": shape}
    resolve(plan.name, **found)
    return found if resolution >= 1 else _large_enough(plan, found, width)


def _pixels(size: int | None, resolution: float) -> int | None:
    if size is None:
        return None
    return max(size + PIXELS * round(size * (resolution - 1) / PIXELS), size % PIXELS or PIXELS)


def _large_enough(plan: Plan, found: dict[str, Any], width: float) -> dict[str, Any]:
    """Return the options with an input shape that is large enough for the network."""
    shallow = dataclasses.replace(plan.spec, **scaled_fields(plan.spec, 1e-3, width))

    def takes(n: int) -> bool:
        shape = _larger(found, n)["input_shape"]
        try:
            sketch(dataclasses.replace(plan, spec=shallow, input_shape=shape))
        except TooSmallError:
            return False
        return True

    if None in found["input_shape"] or takes(0):
        return found
    return _larger(found, bisect.bisect_left(range(128), True, key=takes))


def _larger(found: dict[str, Any], n: int) -> dict[str, Any]:
    """Return the options with images that are n steps larger."""
    *sizes, channels_in = found["input_shape"]
    return found | {"input_shape": (*(size + PIXELS * n for size in sizes), channels_in)}


# The budget


def _in_blocks(spec: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Return the options with the number of blocks in each stage instead of a factor of it."""
    if DEPTH_FACTOR not in found or not hasattr(spec, "depths"):
        return found
    # A spec with stages that do not scale has the numbers in `repeats`.
    scaled = dataclasses.replace(spec, **{DEPTH_FACTOR: found[DEPTH_FACTOR]})
    depths = getattr(scaled, "repeats", [math.ceil(scaled.depth * n) for n in spec.depths])
    return found | {DEPTH_FACTOR: 1.0, "depths": tuple(depths)}


def _settings(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


def _words(costs: dict[str, Any]) -> str:
    return " and ".join(f"{n:,.0f} {what}" for what, n in costs.items() if n is not None)


def _checked_budget(macs: float | None, parameters: float | None) -> dict[str, float]:
    given = {"macs": macs, "parameters": parameters}
    for what, most in given.items():
        if most is not None and not (_is_number(most) and 0 < most < math.inf):
            raise ValueError(f"{what}={most!r}: must be a finite number above 0")
    if macs is None and parameters is None:
        raise ValueError("macs, parameters: give one of them or both, such as macs=1e9")
    return {what: most for what, most in given.items() if most is not None}


def _check_bases(alpha: float, beta: float, gamma: float) -> None:
    for name, base in (("alpha", alpha), ("beta", beta), ("gamma", gamma)):
        if not _is_number(base) or not 1 <= base <= 4:
            raise ValueError(f"{name}={base!r}: must be a number from 1 to 4")


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
