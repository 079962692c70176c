"""Find the head (the classifier) in a weights file: the network's own, a custom one, or none."""

import logging
import re
from dataclasses import dataclass, field
from typing import Any

from zoo.checkpoints.layouts import Tensor, is_hidden
from zoo.checkpoints.matching import Match, some
from zoo.registry import defaults, find

log = logging.getLogger(__name__)

# Modules that are a head next to a wrapped network, as in mmpretrain: "head." and "backbone.".
_HEAD_MODULE = re.compile(
    r"(.*\.)?(\w*head\w*|fc\w*|\w*classifier|cls|linear|logits|dense\w*|predict\w*)"
)


@dataclass
class Head:
    """What a file has for the classifier of a network.

    Attributes:
        arrays: tensors of the classifier that have other names in the file.
        loaded: these other names.
        kept: names of tensors that keep their initial values if the file has none that fit.
        unused: names in the file that belong to a head and are not loaded.
        given: whether the file has any head.
    """

    arrays: dict[str, Any] = field(default_factory=dict)
    loaded: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)
    given: bool = True


def head_of(model, match: Match) -> Head:
    """Return how to load the classifier of a file into that of a network.

    A head with another number of classes is not loaded. Neither is a head that is not a single
    dense layer, such as "fc.0" and "fc.3" with an activation in between; but that is an error if
    one of its layers has as many outputs as the network has classes.

    Raises:
        ValueError: the head in the file has the network's number of classes, but cannot be loaded.
    """
    classifier = {t.name: t for t in match.tensors if t.label.startswith("head_dense/")}
    custom = _custom(match)
    if not classifier:
        return Head(unused=custom)
    hidden = hidden_of(match)
    # In files whose layers are paired by their order, custom dense layers can have these names.
    custom |= {n for n, t in hidden.items() if n in match.arrays and not t.fits(match.arrays[n])}
    name, kernel = next((n, t) for n, t in classifier.items() if t.label.endswith("/kernel"))
    classes = kernel.variable.shape[-1]
    if classifier.keys() & match.arrays.keys():
        given = match.arrays.get(name)
        if given is None or (kernel.fits(given) and _outputs(given, match) == classes):
            return Head()
        if _outputs(given, match) == classes:
            raise _misfit(model, kernel, [name], hidden)
        return Head(kept={*classifier, *hidden}, unused=custom)
    modules = {**_modules(match.arrays, custom), **_outside(match)}
    for tensors in modules.values():
        if arrays := _single(classifier, tensors):
            log.warning("the head of %s is loaded from %s", model.name, some(list(tensors)))
            return Head(arrays=arrays, unused=custom, loaded=set(tensors))
    for tensors in modules.values():
        if classes in {_outputs(array, match) for array in tensors.values() if array.ndim > 1}:
            raise _misfit(model, kernel, list(tensors), hidden)
    return Head(kept={*classifier, *hidden}, unused=custom, given=bool(modules))


def _misfit(model, kernel: Tensor, theirs: list[str], hidden: dict[str, Tensor]) -> ValueError:
    classes = kernel.variable.shape[-1]
    without = f"; for a network without hidden layers, {without_hidden(model)}" if hidden else ""
    return ValueError(
        f"num_classes={classes}: the head in the file ({some(theirs)}) also has {classes} classes, "
        f"but is not a single dense layer of shape {kernel.shape} like the head of {model.name}; "
        "for a new head, build the network with num_classes=0 and these weights, then call "
        f"zoo.new_head(model, {classes}), or set head='new' in a recipe{without}"
    )


def hidden_of(match: Match) -> dict[str, Tensor]:
    """Return the tensors of dense layers between the features and the classifier, by name."""
    return {t.name: t for t in match.tensors if is_hidden(t.label.split("/")[0])}


def without_hidden(model) -> str:
    """Return how to build a network without hidden dense layers, as text."""
    spec, _ = defaults(model.name, find(model.name))
    return f"pass hidden={'()' if isinstance(spec.hidden, tuple) else '0'}"


def _outputs(array: Any, match: Match) -> int:
    """Return the number of outputs of a kernel: the first axis in PyTorch, the last in Keras."""
    return int(array.shape[0 if match.layout.kind == "torch" else -1])


def _custom(match: Match) -> set[str]:
    """Return the names in a file that belong to a head, but are not names of the network.

    They are in modules that the network's body does not have, or in that of the classifier.
    """
    known = {tensor.name for tensor in match.tensors}
    heads = {_first(theirs) for ours, theirs in match.layout.rules.items() if ours == "head_dense"}
    body = {_first(t.name) for t in match.tensors if not t.label.startswith("head_dense/")} - heads
    return {
        name
        for name, array in match.arrays.items()
        if name not in known
        and _first(name) not in body
        and not re.fullmatch(match.layout.extras, name)
        and sum(n > 1 for n in array.shape) <= 2
    }


def _first(name: str) -> str:
    """Return "fc" for "fc.1.weight" and "dense_1" for "dense_1/kernel"."""
    return re.split(r"[./]", name)[0]


def _last(name: str) -> str:
    return re.split(r"[./]", name)[-1]


def _modules(arrays: dict[str, Any], names: set[str]) -> dict[str, dict[str, Any]]:
    """Group the arrays with these names by the first part of their names."""
    found: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        if name in names:
            found.setdefault(_first(name), {})[name] = array
    return found


def _outside(match: Match) -> dict[str, dict[str, Any]]:
    """Return the tensors of heads outside of the network's prefix, by module."""
    found: dict[str, dict[str, Any]] = {}
    for name, array in match.outside.items():
        parts = re.split(r"[./]", name)
        modules = [".".join(parts[:i]) for i in range(1, len(parts))]
        module = next((m for m in modules if _HEAD_MODULE.fullmatch(m)), None)
        if module is not None:
            found.setdefault(module, {})[name] = array
    return found


def _single(classifier: dict[str, Tensor], tensors: dict[str, Any]) -> dict[str, Any]:
    """Return the classifier's arrays if a module is one dense layer of its shapes, else none."""
    found = {}
    for name, tensor in classifier.items():
        for given, array in tensors.items():
            if _last(given) == _last(name) and _lengths(array.shape) == _lengths(tensor.shape):
                found[name] = array
    return found if len(found) == len(classifier) == len(tensors) else {}


def _lengths(shape) -> list[int]:
    return [n for n in shape if n != 1]
