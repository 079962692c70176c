"""Translate the names of our layers to those of other libraries, with tables of patterns.

A rule is a pair of our name and theirs, such as

    "stage{s}_block{b}_{k}_conv": "layer{s}.{b-1}.conv{k}"

On the left, a letter in braces matches a number. On the right, it stands for that number, plus or
minus an offset; `{b:a}` is the b-th letter of the alphabet. `{c}` matches "conv" or "norm", which
becomes "conv" or "bn". The right side can also use the letters that `_places` defines, such as the
number of a block within the network. The first rule that matches a name applies.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.lazy import keras

Rules = Mapping[str, str]


@dataclass(frozen=True)
class Layout:
    """How a library names the tensors of a network.

    Attributes:
        name: the name of the layout, such as "torchvision".
        kind: "torch" or "keras", which order the axes of a kernel differently.
        rules: patterns of our layers' names -> templates of their modules' names.
        convolutions: a regular expression for their modules that are convolutions (1x1, or as
            large as the feature map) where we have dense layers.
        extras: a regular expression for tensors in a file that the network does not need.
        options: options of zoo.build that are the same for all networks of the library. They are
            empty if sources.csv or architectures.csv has the options of each network.
    """

    name: str
    kind: str
    rules: Rules
    convolutions: str = r"(?!)"
    extras: str = r"(?!)"
    options: Mapping[str, Any] = field(default_factory=dict)


def modules(model, layout: Layout) -> dict[str, str] | None:
    """Return our layer -> their module for all layers with weights; None if one has no rule."""
    places, found = _places(model), {}
    for layer in weighted(model):
        name = _translate(layer.name, layout.rules, places)
        if name is None:
            return None
        found[layer.name] = name
    return found


def weighted(model) -> list:
    """Return the layers with weights, without preprocessing layers."""
    return [x for x in model.layers if x.weights and not x.name.startswith("input_")]


def by_number(name: str) -> list:
    """Return a key that sorts the names of layers from input to output.

    The stem comes first, and a reduction before the blocks of its stage.
    """
    name = name.replace("stem", "stage0").replace("reduction", "block0")
    return [(not part.isdigit(), part.zfill(6)) for part in re.split(r"(\d+)", name)]


def _translate(name: str, rules: Rules, places: Mapping[str, dict]) -> str | None:
    for pattern, template in rules.items():
        match = re.fullmatch(_regex(pattern), name)
        if match:
            block = re.match(r"stage\d+_block\d+", name)
            values = {
                **places[""],
                **places.get(block[0] if block else "", {}),
                **places.get(name, {}),
                **match.groupdict(),
            }
            letters = re.findall(r"\{(\w)", template)
            if not set(letters) <= set(values):
                return None
            return _fill(template, values)
    return None


def _fill(template: str, values: Mapping) -> str:
    return re.sub(r"\{(\w)([+-]\d+)?(:a)?\}", lambda m: _value(values[m[1]], m[2], m[3]), template)


def _regex(pattern: str) -> str:
    pattern = pattern.replace("{c}", "(?P<c>conv|norm)").replace("{w}", r"\w+")
    return re.sub(r"\{(\w)\}", r"(?P<\1>\\d+)", pattern)


def _value(value, offset: str | None, letter: str | None) -> str:
    if value in ("conv", "norm"):
        return {"conv": "conv", "norm": "bn"}[value]
    if not offset and not letter:
        return str(value)
    number = int(value) + int(offset or 0)
    return chr(ord("a") + number - 1) if letter else str(number)


def _places(model) -> dict[str, dict]:
    """Return the letters that a template may use besides the numbers in a layer's name.

    The keys are names of blocks, names of layers, and "" for the whole network.

    Of the whole network:
        n: the number of blocks.
        t: the number of stages.
        u, v: the number of blocks in the first stage, and in the first two.
    Of a block:
        n: its number in the network, from 1.
        d, e, p: the positions of the depthwise convolution, the squeeze-and-excitation and the
            last 1x1 convolution in a block of mobile networks, from 0.
        l: "l" (for linear) if that 1x1 convolution is the second one of its block, else "".
    Of a layer:
        f: the position of a convolution among convolutions, norms, activations and pools (VGG),
            from 0. A norm has that of its convolution.
        j: the number of a convolution with a norm, and of that norm, in the order of names, from 1.
    """
    names = {layer.name for layer in model.layers}
    blocks = [re.match(r"stage\d+_block\d+", name) for name in sorted(names, key=by_number)]
    numbered = list(dict.fromkeys(match[0] for match in blocks if match))
    stages = {name.split("_")[0] for name in numbered}
    u, v = (sum(re.match("stage(.*?)_", x)[1] in some for x in numbered) for some in ("1", "12"))  # type: ignore[index]
    places: dict[str, dict] = {"": {"n": len(numbered), "t": len(stages), "u": u, "v": v}}
    for n, block in enumerate(numbered, 1):
        d = int(f"{block}_expand_conv" in names)
        e = d + 1
        p = e + int(f"{block}_se_squeeze_conv" in names)
        places[block] = {"n": n, "d": d, "e": e, "p": p, "l": "l" * d}
    place = 0
    for layer in sorted(model.layers, key=lambda layer: _vgg_order(layer.name)):
        if re.fullmatch(r"stage\d+_block\d+_conv", layer.name):
            normed = layer.name.replace("_conv", "_norm")
            places[layer.name] = {"f": place}
            places[normed] = {"f": place}
            place += 3 if normed in names else 2
        elif re.fullmatch(r"stage\d+_pool", layer.name):
            place += 1
    convs = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    rows = [name.removesuffix("_conv") for name in convs if not name.startswith("head")]
    rows = [name for name in rows if f"{name}_norm" in names]
    for j, name in enumerate(sorted(rows, key=by_number), 1):
        for part in (f"{name}_conv", f"{name}_norm"):
            places.setdefault(part, {})["j"] = j
    return places


def _vgg_order(name: str) -> list:
    """Return a key like by_number, with the pool of a stage after its blocks."""
    return by_number(name.replace("_pool", "_block999999"))
