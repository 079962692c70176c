"""`zoo names`: print the valid names of a kind, one per line."""

from collections.abc import Iterable

from zoo import registry
from zoo.checkpoints import sources
from zoo.options import unknown
from zoo.vocabulary import ACTS, INITS, NORMS

KINDS = ("act", "architectures", "init", "models", "norm", "weights")


def names(kind: str, model: str | None = None) -> int:
    """Print the names of a kind; for weights, of one network or of all.

    Raises:
        ValueError: the kind or the network is unknown, or the kind takes no network.
    """
    if kind not in KINDS:
        raise unknown("kind of names", kind, KINDS)
    if model is not None and kind != "weights":
        raise ValueError(f"MODEL={model}: `zoo names {kind}` takes no network")
    for line in _lines(kind, model):
        print(line)
    return 0


def _lines(kind: str, model: str | None) -> Iterable[str]:
    if kind == "act":
        return [_numbered(name, number) for name, (_, number) in ACTS.items()]
    if kind == "init":
        return [_numbered(name, number) for name, (_, number) in INITS.items()]
    if kind == "norm":
        return [_numbered(name, norm.number) for name, norm in NORMS.items()]
    if kind == "models":
        return registry.catalog()
    if kind == "architectures":
        return [f"timm/{name:<36}{of}" for name, (of, _) in sources.architectures().items()]
    if model is not None:
        return sources.table().get(registry.find(model).name, {})
    return [f"{of:<24}{name}" for of, held in sources.table().items() for name in held]


def _numbered(name: str, number: float | None) -> str:
    """A name and, where a number may follow it, that number's default."""
    return name if number is None else f"{name:<16}takes a number, {name}:{number:g} by default"
