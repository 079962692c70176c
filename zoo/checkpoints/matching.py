"""Find a network's tensors in a file: the entry, the prefix of their names, and the layout.

Training scripts wrap a network in other modules, whose names then precede those of the network:
"module.", "_orig_mod.", "model.", "backbone.", "module.encoder_q.". There is no list of prefixes
here: a prefix is any text before the names of a known layout. The prefix of most such names is
taken.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.checkpoints import keras_files
from zoo.checkpoints.files import Contents
from zoo.checkpoints.keras_names import APPLICATIONS
from zoo.checkpoints.layouts import Tensor, layouts
from zoo.checkpoints.naming import Layout

log = logging.getLogger(__name__)

# Entries with averaged weights. They are loaded only if the file has no raw weights.
AVERAGES = re.compile(
    r"(^|[._])(ema|averaged?|teacher|target|momentum|encoder_k|swa|shadow|polyak)([._]|$)|_ema|ema_"
)
LISTED = 8


@dataclass(frozen=True)
class Match:
    """A network's tensors in a file.

    Attributes:
        layout: the layout of their names.
        tensors: the tensors of the network.
        arrays: the tensors of the file by name, without the prefix: arrays or `Stored`.
        entry: the entry of the file that contains them; "" for the outermost dict.
        prefix: the prefix of their names in the file, such as "module.", or "".
        outside: the other tensors of the file: those without the prefix and, for the numbered files
            of Keras 3, those of other models within the model.
    """

    layout: Layout
    tensors: list[Tensor]
    arrays: dict[str, Any]
    entry: str
    prefix: str
    outside: dict[str, Any]

    @property
    def label(self) -> str:
        """The entry and the prefix, joined by a dot."""
        return ".".join(part for part in (self.entry, self.prefix.rstrip(".")) if part)

    @property
    def count(self) -> int:
        """The number of the network's tensors whose names are in the file."""
        return sum(tensor.name in self.arrays for tensor in self.tensors)


def match(model, contents: Contents, report: bool = True) -> Match:
    """Return the place in a file that has most of a network's tensors.

    If several places have about as many (at least 90%), such as the weights and their average, raw
    weights are preferred to averages, then more tensors to fewer, then the first in the file.
    `contents.chosen` decides if it is set.

    Args:
        model: a network of `zoo.build`.
        contents: what the file contains.
        report: whether to log what was chosen.

    Raises:
        ValueError: the file has no tensors of the network, or no entry `contents.chosen`.
    """
    found = [m for m in _matches(model, contents) if m.count]
    if not found:
        raise _no_match(model, contents)
    best = max(m.count for m in found)
    found = [m for m in found if m.count >= 0.9 * best]
    entries = Counter(entry for entry, _ in {(m.entry, m.prefix): None for m in found})
    names = {m.label: m.entry if entries[m.entry] == 1 else m.label for m in found}
    chosen = contents.chosen
    if chosen is not None:
        found = [m for m in found if chosen in (m.entry, m.prefix.rstrip("."), m.label)]
        if not found:
            valid = ", ".join(filter(None, names.values()))
            advice = f"valid: {valid}" if valid else f"omit '#{chosen}'"
            raise ValueError(
                f"weights='{contents.path}#{chosen}': the file has no entry {chosen!r} with "
                f"weights of {model.name}; {advice}"
            )
    # If two layouts match the same entry, the one with more matching names is right.
    taken = min(found, key=lambda m: (bool(AVERAGES.search(m.label)), -m.count))
    others = [name for label, name in names.items() if name and label != taken.label]
    if report:
        _report(contents, taken, others if chosen is None else [])
    return taken


def _report(contents: Contents, taken: Match, others: list[str]) -> None:
    """Log which part of a file is loaded, if there are several or if something is left out."""
    parts = []
    if taken.entry and (others or taken.prefix):
        parts.append(f"the entry {taken.entry!r} is loaded")
    if taken.prefix:
        parts.append(f"the prefix {taken.prefix!r} is removed from its names")
        if rest := sorted({".".join(name.split(".")[:2]) for name in taken.outside}):
            parts.append(f"names without it are not loaded unless they are the head ({some(rest)})")
    if others:
        choices = " or ".join(f"'{contents.path}#{label}'" for label in others)
        parts.append(f"to load other weights of the file, use weights={choices}")
    if parts:
        log.warning("%s: %s", contents.path, "; ".join(parts))


def _matches(model, contents: Contents) -> Iterable[Match]:
    candidates = layouts(model)
    if not candidates:
        raise ValueError(
            f"weights={str(contents.path)!r}: {model.name} has no counterpart in torchvision, timm "
            "or keras.applications; pass a .weights.h5 file that model.save_weights wrote for a "
            f"network made by zoo.build({model.name!r}, ...)"
        )
    for entry, given in contents.entries.items():
        kind = "torch" if contents.kind == "torch" else "keras"
        arrays: Mapping[str, Any] = {_new_name(name): x for name, x in given.items()}
        if kind == "torch":
            arrays = _with_names_of_children(arrays)
        if kind == "keras" and (application := APPLICATIONS.get(model.name)):
            arrays = keras_files.named(dict(given), application)
        others = {k: v for e, x in contents.entries.items() if e != entry for k, v in x.items()}
        if contents.kind != "numbered":
            others = {}
        for layout, tensors in candidates:
            if layout.kind != kind:
                continue
            wanted = {tensor.name for tensor in tensors}
            for prefix in prefixes(arrays, wanted) if kind == "torch" else ("",):
                inside = {n[len(prefix) :]: x for n, x in arrays.items() if n.startswith(prefix)}
                outside = {n: x for n, x in arrays.items() if not n.startswith(prefix)}
                outside |= keras_files.unnumbered(others)
                yield Match(layout, tensors, inside, entry, prefix, outside)


def prefixes(names: Iterable[str], wanted: set[str]) -> list[str]:
    """Return the texts that precede the wanted names, the most frequent first."""
    found: Counter[str] = Counter()
    for name in names:
        start = 0
        while True:
            if name[start:] in wanted:
                found[name[:start]] += 1
            start = name.find(".", start) + 1
            if not start:
                break
    return [prefix for prefix, _ in found.most_common(4)]


# The numbers of modules in nn.Sequential(*resnet.children()), the usual way to remove the head of
# torchvision's ResNet -> their names in the ResNet.
_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


def _with_names_of_children(arrays: Mapping[str, Any]) -> Mapping[str, Any]:
    """Rename the arrays of such a file to the names of the ResNet. Keep those of other files."""
    ends = ("0.weight", "1.running_mean", "4.0.conv1.weight", "7.0.conv1.weight")
    prefixes = [name.removesuffix(ends[-1]) for name in arrays if name.endswith(ends[-1])]
    for prefix in prefixes:
        if all(prefix + end in arrays for end in ends):
            pattern = re.compile(rf"(?<=^{re.escape(prefix)})(\d+)(?=\.)")
            return {
                pattern.sub(lambda m: _CHILDREN.get(m[0], m[0]), name): x
                for name, x in arrays.items()
            }
    return arrays


def _new_name(name: str) -> str:
    """Return DenseNet's names as in torchvision since 0.3: older files have norm.1 for norm1."""
    return re.sub(r"(denselayer\d+\.)(norm|conv)\.(\d)\.", r"\1\2\3.", name)


def _no_match(model, contents: Contents) -> ValueError:
    kind = "torch" if contents.kind == "torch" else "keras"
    known = [layout for layout, _ in layouts(model)]
    names = [name for arrays in contents.entries.values() for name in arrays]
    if not any(layout.kind == kind for layout in known):
        libraries = " or ".join(dict.fromkeys(layout.name for layout in known))
        format_ = "PyTorch" if kind == "torch" else "Keras"
        return ValueError(
            f"weights={str(contents.path)!r}: this is a {format_} file, but {model.name} has no "
            f"{format_} counterpart; pass a file of {libraries}, or a .weights.h5 file of zoo"
        )
    libraries = " or ".join(dict.fromkeys(x.name for x in known if x.kind == kind))
    return ValueError(
        f"weights={str(contents.path)!r}: the file has no tensors of {model.name} under the names "
        f"of {libraries}; it contains: {some(names)}"
    )


def some(names: list[str]) -> str:
    """Return the first of a list of names as text, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
