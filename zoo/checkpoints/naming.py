"""From the names of our layers to those of other libraries, by tables of patterns.

A rule is a pair such as

    "stage{s}_block{b}_{k}_conv": "layer{s}.{b-1}.conv{k}"

A letter in braces stands for a number on the left, and on the right for that number plus or
minus what follows; `{b:a}` is the b-th letter from `a` on. `{c}` is "conv" or "norm", which
elsewhere is "conv" or "bn". Of a block, the right side also knows what the places below say.
The first rule that fits holds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from zoo.lazy import keras

Rules = Mapping[str, str]


@dataclass(frozen=True)
class Layout:
    """How a library names the tensors of a network.

    Attributes:
        name: of the layout.
        kind: of library: "torch" or "keras", which differ in the order of a kernel's axes.
        rules: our layer -> their module.
        convolutions: a regular expression of modules that are 1x1 convolutions, or convolutions
            over whole maps, where we have dense layers.
        extras: a regular expression of tensors that a file may hold beside the network's.
    """

    name: str
    kind: str
    rules: Rules
    convolutions: str = r"(?!)"
    extras: str = r"(?!)"


def modules(model, layout: Layout) -> dict[str, str] | None:
    """Our layer -> their module, of all layers with weights; None if a layer has no rule."""
    places, found = _places(model), {}
    for layer in weighted(model):
        name = _translate(layer.name, layout.rules, places)
        if name is None:
            return None
        found[layer.name] = name
    return found


def weighted(model) -> list:
    """The layers with weights, without preprocessing."""
    return [x for x in model.layers if x.weights and not x.name.startswith("input_")]


def by_number(name: str) -> list:
    """Sorts layers as they were made: the stem first, a reduction before its stage's blocks."""
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
            asked = re.findall(r"\{(\w)", template)
            if not set(asked) <= set(values):
                return None
            return _filled(template, values)
    return None


def _filled(template: str, values: Mapping) -> str:
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
    """What a rule may ask beside the numbers in a name, by block ("" for all) or by layer.

    n: the number of the block in the network, from 1; in all, the number of blocks.
    t: the number of stages.
    d, e, p: where the depthwise convolution, the squeeze-and-excitation and the last 1x1 come
        in a block of mobile networks, from 0.
    l: "l", for linear, where that 1x1 is the second of its block.
    f: of a convolution in a row of convolutions and pools (VGG), its place from 0.
    j: of a convolution with a norm, and of the norm, the place in the order of their names.
    u, v: in all, the number of blocks in the first stage and in the first two.
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
    """A stage's pool behind its blocks."""
    return by_number(name.replace("_pool", "_block999999"))
