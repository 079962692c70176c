"""Networks made larger or smaller, by a rule or to a budget. Tan & Le 2019, EfficientNet.

A family needs no code for it: the names of its spec's fields say what they count. A spec with
other names has a method `scaled(depth, width)` that returns the changed fields.
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
# Fields that are factors on all of a network's depths or widths, if they are floats: they alone
# are scaled then.
DEPTH_FACTOR, WIDTH_FACTORS = "depth", ("width", "multiplier")
# Sizes of images grow and shrink by so many pixels, as those of EfficientNet B0 to B7 do.
PIXELS = 4
# fit_budget tries phi in quarters, from -32 to 12.
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
    """The options for `build` of a network scaled as a whole: equation 3 of the paper.

    It is alpha^phi times as deep, beta^phi times as wide, and sees gamma^phi times as many
    pixels on a side, which takes about (alpha * beta^2 * gamma^2)^phi times the operations:
    1.92^phi with the defaults, the paper's. `zoo.build(name, **zoo.scale(name, 1))` builds it.

    Depths are rounded up, as in the authors' code; below 1 to the nearest, and to 1 at least.
    Widths become multiples of 8 (of less, where the original is) that are less by a tenth at
    most; a convolution's groups keep their width, and there are more of them. Sizes change by
    multiples of 4 pixels and stay large enough for the network; those that vary are left. What
    has no depth (alexnet, lenet, mlp) grows in width and resolution.

    Args:
        phi: from -32 to 32; any number between is allowed, and 0 gives the network itself.
        alpha, beta, gamma: at least 1; 1 leaves depth, width or resolution as it is.
        options: build's, of the network that is scaled; they are in what is returned.

    Raises:
        ValueError: an unknown name or option; a factor out of its bounds; a family without
            any field that can be scaled.
    """
    if not _is_number(phi) or not -32 <= phi <= 32:
        raise ValueError(f"phi={phi!r} is not a number from -32 to 32")
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
    """The options for `build` of the largest network, scaled from `name`, within a budget.

    First phi, as in `scale`, in quarters. What rounding leaves of the budget goes to depth and
    resolution, where the next width is too much; then to one more block in a stage, from the
    last; then to pixels. The budget is met from below: to some 5 % in operations, to some 10 %
    in parameters, which have no pixels to fill it with: without `macs` the resolution stays. A
    larger budget never gives a smaller network. `zoo.counts(name, **found)` are its counts.

    All is counted on shapes, in 10 to 20 sketches of the network: some seconds in all.

    Args:
        macs: multiply-accumulates for one image, at most.
        parameters: trainable ones, at most. With both, the network keeps to both.
        alpha, beta, gamma: as in `scale`; gamma=1 keeps the resolution.
        options: build's, of the network that is scaled; they are in what is returned.

    Raises:
        ValueError: no budget; one that even the least network (phi=-32) is above; or one that
            the network stays below even at phi=12, with 2,500 times the operations.
    """
    budget = _checked_budget(macs, parameters)
    _check_bases(alpha, beta, gamma)
    plan = resolve(name, **options)
    if macs is None:
        gamma = 1.0
    elif None in plan.input_shape:
        raise ValueError(f"macs={macs!r} needs a fixed input size: input_shape={plan.input_shape}")
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
        cost = _words(counts(name, **least))
        raise ValueError(f"the least of {name} has {cost}, not {_words(budget)} at most: {least}")
    if fitting == len(QUARTERS):
        raise ValueError(f"{_words(budget)} are too many for {name}: start from a larger network")
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
    """The `macs` and trainable `parameters` of what `build` would make, without its memory.

    The multiply-accumulates are for one image; None where sizes vary.
    """
    plan = resolve(name, **options)
    model = checked_network(plan, sketch)
    costs = [complexity.macs(layer) for layer in model.layers]
    return {
        "macs": None if None in costs else sum(c for c in costs if c is not None),
        "parameters": complexity.parameters(model),
    }


# The rule, on a spec and on the size of images


def scaled_fields(spec: Any, depth: float, width: float) -> dict[str, Any]:
    """The fields of a spec `depth` times as deep and `width` times as wide; {} if none can be."""
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
    """More groups of the same width, as RegNets have them (Radosavovic et al. 2020)."""
    groups, each, w = own.get("groups", 1), own.get("group_width"), own.get("width")
    if groups == 1 or w is None:
        return {}
    if each is not None:
        return {"groups": channels(groups * each, width, each) // each, "group_width": each}
    wider = channels(w, width, w // math.gcd(w, groups))
    return {"width": wider, "groups": groups * wider // w}


def blocks_of(n: int, depth: float, least: int = 1) -> int:
    """`n` blocks times `depth`, rounded up; where that is fewer, to the nearest from `least`."""
    if depth < 1:
        return max(round(n * depth), min(n, least))
    return math.ceil(n * depth - 1e-9)  # 25 * 1.2**2 is a little more than 36


def channels(w: int, width: float, unit: int = 1) -> int:
    """`w` times `width` in multiples of `unit` and of 8, or of 4, 2, 1 where `w` is one of those.

    It is less by a tenth at most: the MobileNet authors' rule; and 8 at least, or `w`.
    """
    step = math.lcm(math.gcd(w, 8), unit)
    least = math.ceil(min(w, 8) / step) * step
    nearest = max(int(w * width + step / 2) // step * step, least)
    return nearest if nearest >= 0.9 * w * width else nearest + step


def _scaled(plan: Plan, options: dict[str, Any], depth: float, width: float, resolution: float):
    """The options with the fields and the input shape of a network scaled by these factors."""
    fields = scaled_fields(plan.spec, depth, width)
    if not fields:
        names = ", ".join(field_types(type(plan.spec))) or "none"
        raise ValueError(
            f"{plan.name} has no field that can be scaled (its fields: {names}); "
            "a method scaled(depth, width) of its spec can say how"
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
    """`found` with the least input of its size or more that its network takes."""
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
    """`found` with images `n` steps larger."""
    *sizes, channels_in = found["input_shape"]
    return found | {"input_shape": (*(size + PIXELS * n for size in sizes), channels_in)}


# The budget


def _in_blocks(spec: Any, found: dict[str, Any]) -> dict[str, Any]:
    """The same network, with the blocks of each stage in place of a factor on all of them."""
    if DEPTH_FACTOR not in found or not hasattr(spec, "depths"):
        return found
    depths = tuple(math.ceil(found[DEPTH_FACTOR] * n) for n in spec.depths)
    return found | {DEPTH_FACTOR: 1.0, "depths": depths}


def _words(costs: dict[str, Any]) -> str:
    return " and ".join(f"{n:,.0f} {what}" for what, n in costs.items() if n is not None)


def _checked_budget(macs: float | None, parameters: float | None) -> dict[str, float]:
    given = {"macs": macs, "parameters": parameters}
    for what, most in given.items():
        if most is not None and not (_is_number(most) and 0 < most < math.inf):
            raise ValueError(f"{what}={most!r} is not a number above 0")
    if macs is None and parameters is None:
        raise ValueError("fit_budget needs macs=, parameters= or both, such as macs=1e9")
    return {what: most for what, most in given.items() if most is not None}


def _check_bases(alpha: float, beta: float, gamma: float) -> None:
    for name, base in (("alpha", alpha), ("beta", beta), ("gamma", gamma)):
        if not _is_number(base) or not 1 <= base <= 4:
            raise ValueError(f"{name}={base!r} is not a number from 1 to 4")


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
