"""Find the options of `zoo.build` that a local weights file needs, by the names in the file.

Libraries build the same network with different padding, epsilons or pooling borders, which the
shapes of weights do not show. The names show the library: a file in Keras's layout belongs to
keras.applications, one with "blocks.0.0.conv_dw" to timm. If timm has two networks with the same
names (`efficientnet_b0`, `tf_efficientnet_b0`), the architecture named in the file, or the name of
the file, decides. If neither does, a warning tells what differs.
"""

import logging
import re
from typing import Any

from zoo.checkpoints.files import Contents
from zoo.checkpoints.layouts import LAYOUTS
from zoo.checkpoints.matching import match
from zoo.checkpoints.naming import Layout
from zoo.checkpoints.sources import architectures, table
from zoo.graph import layers_of
from zoo.plan import resolve, sketch
from zoo.registry import find

log = logging.getLogger(__name__)

# The settings that determine the output of a layer besides its weights and its activation.
_SETTINGS = ("strides", "padding", "pool_size", "kernel_size", "epsilon", "groups", "window")
# Options that change the shapes of weights.
_SHAPES = ("multiplier", "stem_width")

Candidates = dict[str, dict[str, Any]]


def options_of(name: str, contents: Contents, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `zoo.build` that make the network in a file.

    If the file fits several networks, those of the first are returned, and a warning tells how the
    others differ, unless `given` decides.

    Args:
        name: the name of the network.
        contents: what the file contains.
        given: options from the caller. They are not changed; a warning tells if the network in the
            file has other values.
    """
    found = _fitting(name, contents, _candidates(name, contents), given)
    if not found:
        return {}
    _report(name, contents, found, given)
    label, options = next(iter(found.items()))
    if len(found) == 1:
        for key, value in options.items():
            if given.get(key) is not None and given[key] != value:
                log.warning(
                    "%s=%r: the weights in %s are from %s, which has %r",
                    key, given[key], contents.path, label, value,
                )  # fmt: skip
    return options


def _report(name: str, contents: Contents, found: Candidates, given: dict[str, Any]) -> None:
    """Warn if the file fits several networks that differ in options that are not given."""
    (first, options), *others = found.items()
    for label, other in others:
        differ = [k for k in {**options, **other} if options.get(k) != other.get(k)]
        wanted = [
            f"{k}={other[k]!r}" if k in other else f"the default {k}"
            for k in differ
            if given.get(k) is None
        ]
        log.warning(
            "%s can contain weights of %s or of %s, whose tensors have the same names and shapes; "
            "%s is built as the former; for the latter, pass %s",
            contents.path, first, label, name, ", ".join(wanted),
        )  # fmt: skip


def _candidates(name: str, contents: Contents) -> Candidates:
    """Return the networks of other libraries whose weights a file may contain, and their options.

    The keys are the names for messages, such as "timm's tf_efficientnet_b0".
    """
    if contents.ours:
        return {}
    known = table().get(name, {})
    if contents.kind != "torch":
        return {"keras.applications": known["keras"].options} if "keras" in known else {}
    family = find(name).family
    layout = _layout(family, contents)
    own = {x.name: x.options for x in LAYOUTS.get(family, ())}
    found: Candidates = {layout: dict(own[layout])} if layout and own[layout] else {}
    if layout == "torchvision" and "torchvision" in known:
        found["torchvision"] = known["torchvision"].options
    for theirs, (model, options) in architectures().items():
        # timm uses torchvision's names for the networks that it took from torchvision.
        legacy = theirs.startswith("legacy_")
        naming = "timm legacy" if legacy else "timm" if "timm" in own else "torchvision"
        if model == name and naming == layout:
            found[f"timm's {theirs}"] = options
    return found


def _layout(family: str, contents: Contents) -> str | None:
    """Return the PyTorch layout that most names in a file end with, or None if none does."""
    modules = {name.rsplit(".", 1)[0] for arrays in contents.entries.values() for name in arrays}
    found = {
        layout.name: sum(bool(pattern.search(module)) for module in modules)
        for layout in LAYOUTS.get(family, ())
        if layout.kind == "torch"
        for pattern in [_names(layout)]
    }
    best = max(found, key=lambda name: found[name], default=None)
    return best if best is not None and found[best] else None


def _names(layout: Layout) -> re.Pattern:
    """Return a pattern for names that end with the name of a module of a layout."""
    patterns = [
        re.sub(r"\\\{.*?\\\}", r"\\w+", re.escape(template)) for template in layout.rules.values()
    ]
    return re.compile(rf"(^|\.)({'|'.join(patterns)})$")


def _fitting(name: str, contents: Contents, found: Candidates, given: dict[str, Any]) -> Candidates:
    """Return the candidates that fit a file, one for each set of options that are not given.

    If any candidate agrees with the given options, the others are left out.
    """
    agreeing = {
        label: options
        for label, options in found.items()
        if all(given.get(key) in (None, value) for key, value in options.items())
    }
    found = agreeing or found
    free = {
        label: {k: v for k, v in options.items() if given.get(k) is None}
        for label, options in found.items()
    }
    if len(free) > 1 and any(key in options for options in free.values() for key in _SHAPES):
        counts = {label: _count(name, contents, {**given, **x}) for label, x in free.items()}
        free = {label: x for label, x in free.items() if counts[label] == max(counts.values())}
    noted = f"timm's {_architecture(contents)}"
    different: Candidates = {}
    for label, options in ({noted: free[noted]} if noted in free else free).items():
        if options not in [free[other] for other in different]:
            different[label] = found[label]
    return different


def _count(name: str, contents: Contents, options: dict[str, Any]) -> int:
    """Return how many tensors of a file fit the network with these options, by name and shape."""
    plan = resolve(name, **{**options, "num_classes": 0, "input_shape": None})
    try:
        found = match(sketch(plan), contents, report=False)
    except ValueError:
        return 0
    return sum(t.name in found.arrays and t.fits(found.arrays[t.name]) for t in found.tensors)


def _architecture(contents: Contents) -> str | None:
    """Return timm's name of the network, from the checkpoint or the path of the file, or None."""
    known = architectures()
    if contents.architecture in known:
        return contents.architecture
    # "tf_efficientnet_b0_aa-827b6e33.pth", ".../models--timm--tf_efficientnet_b0.aa_in1k/..."
    for part in reversed(contents.path.parts):
        text = part.removeprefix("models--timm--").removeprefix("timm--")
        fits = [x for x in known if re.match(rf"{x}(?![a-z0-9])", text)]
        if fits:
            return max(fits, key=len)
    return None


def options_like(trained, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `zoo.build`, besides `given`, that a trained network takes from the
    source of its weights. If its layers are those of no known source, warn.

    Args:
        trained: a network of `zoo.build` that was trained from pretrained weights.
        given: options that are already known.
    """
    known = [source.options for source in table().get(trained.name, {}).values()]
    known += [options for model, options in architectures().values() if model == trained.name]
    differ: list[str] = []
    for options in [{}, *known]:
        if not (found := differences(trained, {**options, **given})):
            return {key: value for key, value in options.items() if given.get(key) is None}
        differ = differ or found
    log.warning(
        "%s was trained with layers that differ from every known source: %s",
        trained.name,
        and_more(differ),
    )
    return {}


def check(model, contents: Contents) -> None:
    """Warn if the layers of a network differ from those of the network in a file."""
    found = _fitting(model.name, contents, _candidates(model.name, contents), {})
    found = {label: x for label, x in found.items() if not set(_SHAPES) & set(x)}
    differ = {label: differences(model, options) for label, options in found.items()}
    if not differ:
        return
    label = min(differ, key=lambda x: len(differ[x]))
    if differ[label]:
        log.warning(
            "%s: the file contains weights of %s; this %s will give other logits, because %s; "
            "build it with zoo.build(%r, weights=FILE)",
            contents.path, label, model.name, and_more(differ[label]), model.name,
        )  # fmt: skip
    elif len(found) > 1:
        _report(model.name, contents, {label: found[label], **found}, {})


def differences(model, options: dict[str, Any], activations: bool = False) -> list[str]:
    """Return how the layers of a network differ from `zoo.build(model.name, **options)`, as texts.

    Only layers with the same name are compared, because a network may be truncated or longer.

    Args:
        model: the network.
        options: the options of the network to compare with.
        activations: whether to compare activations and the types of layers, too.
    """
    shape = tuple(model.input.shape[1:])
    wanted = sketch(resolve(model.name, num_classes=0, input_shape=shape, **options))
    ours, differ = {layer.name: layer for layer in layers_of(model)}, []
    for layer in wanted.layers:
        if layer.name not in ours:
            continue
        mine, theirs = ours[layer.name].get_config(), layer.get_config()
        if activations:
            mine["type"], theirs["type"] = type(ours[layer.name]).__name__, type(layer).__name__
        differ += [
            f"{layer.name} has {key}={mine[key]!r}, not {theirs[key]!r}"
            for key in (*_SETTINGS, "type", "activation")
            if key in mine
            and key in theirs
            and mine[key] != theirs[key]
            # The number of groups of a depthwise convolution follows from its width.
            and not (key == "groups" and mine.get("filters") != theirs.get("filters"))
        ]
    return differ


def and_more(differ: list[str]) -> str:
    """Return the first of several texts, and how many more there are."""
    return differ[0] + (f", and {len(differ) - 1} more" if differ[1:] else "")
