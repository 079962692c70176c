"""Heads of checkpoints: the network's own, another one, or none."""

import logging
import re
from dataclasses import dataclass, field
from typing import Any

from zoo.checkpoints.layouts import Tensor, is_hidden
from zoo.checkpoints.matching import Match, some
from zoo.registry import defaults, find

log = logging.getLogger(__name__)

# Modules beside a wrapped network that are a head, such as mmpretrain's "backbone." and "head.".
_BESIDE = re.compile(
    r"(.*\.)?(\w*head\w*|fc\w*|\w*classifier|cls|linear|logits|dense\w*|predict\w*)"
)


@dataclass
class Head:
    """What a file has for a network's classifier.

    Attributes:
        arrays: the classifier's tensors that have other names in the file.
        loaded: these other names.
        kept: tensors of the network that keep their initial values where the file lacks them.
        unused: names in the file that belong to a head and are not loaded.
        given: whether the file has a head of any kind.
    """

    arrays: dict[str, Any] = field(default_factory=dict)
    loaded: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)
    given: bool = True


def head_of(model, match: Match) -> Head:
    """How the classifier of a file goes into a network's.

    A head of another number of classes is left out. So is one that is not a single dense layer,
    such as "fc.0" and "fc.3" with an activation in between, unless one of its layers has the
    network's number of classes.

    Raises:
        ValueError: the file has a head for these classes that the network cannot take.
    """
    classifier = {t.name: t for t in match.tensors if t.label.startswith("head_dense/")}
    custom = _custom(match)
    if not classifier:
        return Head(unused=custom)
    hidden = hidden_of(match)
    # Files whose layers are paired by their order have a user's own dense layers there.
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
    modules = {**_modules(match.arrays, custom), **_beside(match)}
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
        f"num_classes={classes}: the head in the file ({some(theirs)}) has as many classes, but "
        f"is not a single dense layer of shape {kernel.shape} like the head of {model.name}; for a "
        "new head, build the network with num_classes=0 and these weights, then call "
        f"zoo.new_head(model, {classes}), or set head='new' in a recipe{without}"
    )


def hidden_of(match: Match) -> dict[str, Tensor]:
    """The dense layers between the features and the classifier, by their tensors' names."""
    return {t.name: t for t in match.tensors if is_hidden(t.label.split("/")[0])}


def without_hidden(model) -> str:
    """The option with which a network has none of them."""
    spec, _ = defaults(model.name, find(model.name))
    return f"pass hidden={'()' if isinstance(spec.hidden, tuple) else '0'}"


def _outputs(array: Any, match: Match) -> int:
    """The number of outputs of a kernel, which torch has first and Keras last."""
    return int(array.shape[0 if match.layout.kind == "torch" else -1])


def _custom(match: Match) -> set[str]:
    """Names of a file that are a head's, but not among the network's: they stand in modules
    that its body does not have, or in the classifier's."""
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
    """ "fc" of "fc.1.weight", "dense_1" of "dense_1/kernel"."""
    return re.split(r"[./]", name)[0]


def _last(name: str) -> str:
    return re.split(r"[./]", name)[-1]


def _modules(arrays: dict[str, Any], names: set[str]) -> dict[str, dict[str, Any]]:
    """The named arrays by the first part of their names."""
    found: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        if name in names:
            found.setdefault(_first(name), {})[name] = array
    return found


def _beside(match: Match) -> dict[str, dict[str, Any]]:
    """Heads outside of the network's prefix, by the module that they stand in."""
    found: dict[str, dict[str, Any]] = {}
    for name, array in match.outside.items():
        parts = re.split(r"[./]", name)
        modules = [".".join(parts[:i]) for i in range(1, len(parts))]
        module = next((m for m in modules if _BESIDE.fullmatch(m)), None)
        if module is not None:
            found.setdefault(module, {})[name] = array
    return found


def _single(classifier: dict[str, Tensor], tensors: dict[str, Any]) -> dict[str, Any]:
    """The arrays of a module that is one dense layer of the classifier's shapes; else none."""
    found = {}
    for name, tensor in classifier.items():
        for given, array in tensors.items():
            if _last(given) == _last(name) and _lengths(array.shape) == _lengths(tensor.shape):
                found[name] = array
    return found if len(found) == len(classifier) == len(tensors) else {}


def _lengths(shape) -> list[int]:
    return [n for n in shape if n != 1]
