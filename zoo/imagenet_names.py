"""ImageNet's 1,000 classes (ILSVRC 2012): their names, WordNet ids, and the meaning of a text.

imagenet_classes.csv has the classes in the order of the logits, which is that of the WordNet ids.
A name is the first lemma of WordNet's synset, so that two classes may share one.
"""

import csv
import functools
import importlib.resources
import re
import unicodedata
from collections import Counter

_WORDNET = re.compile(r"(n\d{8})(?!\d)", re.IGNORECASE)
_BEFORE = re.compile(r"(\d+)[\s._-]+(\D.*)")  # 134_crane
_AFTER = re.compile(r"(.*\D)[\s_]*\((\d+)\)")  # crane (134)


@functools.cache
def _rows() -> tuple[dict[str, str], ...]:
    text = importlib.resources.files("zoo").joinpath("imagenet_classes.csv").read_text("utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def names() -> tuple[str, ...]:
    """Return the names of the classes, in the order of the logits. Two names occur twice."""
    return tuple(row["name"] for row in _rows())


def wordnet_ids() -> tuple[str, ...]:
    """Return the WordNet ids of the classes, such as "n01440764", in the order of the logits."""
    return tuple(row["wnid"] for row in _rows())


@functools.cache
def unique_names() -> tuple[str, ...]:
    """Return the names, with the class's number behind each that occurs twice: "crane (134)"."""
    counts = Counter(names())
    return tuple(f"{n} ({i})" if counts[n] > 1 else n for i, n in enumerate(names()))


def classes_of(text: str, case: bool = True) -> tuple[int, ...]:
    """Return the numbers of the classes that a text may mean: () for none, several if ambiguous.

    A text is a WordNet id, alone or before a name ("n02085620-Chihuahua"); a class's number from
    0 to 999; or a name, alone ("tiger shark"), before its synonyms ("tench, Tinca tinca"), or with
    its number ("134_crane", "crane (134)"). Spaces and punctuation do not matter.

    Args:
        text: the text.
        case: whether the case of letters distinguishes names that are otherwise equal: Cardigan is
            a dog, cardigan is clothing.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if found := _WORDNET.match(text):
        ids = wordnet_ids()
        return (ids.index(found[1].lower()),) if found[1].lower() in ids else ()
    if text.isascii() and text.isdecimal():
        return (int(text),) if int(text) < len(names()) else ()
    if found := _BEFORE.fullmatch(text):
        number, name = found.groups()
    elif found := _AFTER.fullmatch(text):
        name, number = found.groups()
    else:
        return _of_name(text, case)
    # A number that its name contradicts belongs to another data set.
    return (int(number),) if int(number) in _of_name(name, case) else ()


def _of_name(text: str, case: bool) -> tuple[int, ...]:
    found = _by_spelling().get(_spelled(text), ())
    written = text.replace("_", " ")
    exact = tuple(i for i in found if names()[i] == written)
    return exact if case and exact else found


@functools.cache
def _by_spelling() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for i, name in enumerate(names()):
        found[_spelled(name)] = (*found.get(_spelled(name), ()), i)
    return found


def _spelled(text: str) -> str:
    """Return the letters and digits before the first comma, in lower case."""
    return "".join(c for c in text.split(",")[0].casefold() if c.isalnum())
