"""Names of networks: what each is, and how it is built."""

import csv
import dataclasses
import functools
import importlib
import importlib.metadata
import importlib.resources
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from zoo.files import one_line
from zoo.lazy import pandas
from zoo.options import field_types, unknown
from zoo.style import Style


@dataclass(frozen=True)
class Model:
    """A row of the catalog. Accuracies are the published ones, in per cent."""

    name: str
    family: str
    year: int | None = None
    paper: str = ""
    input_shape: tuple[int, int, int] = (224, 224, 3)
    classes: int = 1000
    parameters: int | None = None
    gmac: float | None = None
    top1: float | None = None
    top5: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Family:
    """Networks that one function builds: network(x, style, spec, num_classes) -> logits.

    Attributes:
        specs: name -> frozen dataclass with the family's options.
        styles: name pattern -> Style; the last that fits is the default style of a name.
        toys: like specs, small ones for tests, which no list shows.

    A spec whose networks have residual blocks has a true attribute `residual`, which allows
    drop_path; one with local response normalization has its places in `lrn`; `unused` names
    the fields of Style that mean nothing in it; and `scaled(depth, width)` returns the fields of
    a deeper, wider network, where zoo/scaling.py cannot tell them by their names.
    """

    network: Callable[[Any, Style, Any, int], Any]
    specs: Mapping[str, Any]
    styles: Mapping[str, Style]
    toys: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def style(self, name: str) -> Style:
        return [s for pattern, s in self.styles.items() if fnmatchcase(name, pattern)][-1]


# Entry points of this group are families of other packages.
GROUP = "zoo.families"
# What zoo.build takes beside the fields of Style and of specs.
ARGUMENTS = ("name", "num_classes", "input_shape", "preprocess", "weights", "recompute")

_catalog: dict[str, Model] = {}
_families: dict[str, Family] = {}


def catalog() -> Mapping[str, Model]:
    """name -> row, of all models: ours in the catalog's order, then those of other packages.

    The first call reads a file, and imports the modules that installed packages declare.
    """
    if not _catalog:
        text = importlib.resources.files("zoo").joinpath("catalog.csv").read_text()
        for row in csv.DictReader(text.splitlines()):
            _catalog[row["name"]] = Model(
                name=row["name"],
                family=row["family"],
                year=int(row["year"]),
                paper=row["paper"],
                input_shape=tuple(map(int, row["input"].split("x"))),  # type: ignore[arg-type]
                classes=int(row["classes"]),
                parameters=int(row["parameters"]),
                gmac=float(row["gmac"]),
                top1=float(row["top1"]) if row["top1"] else None,
                top5=float(row["top5"]) if row["top5"] else None,
                source=row["source"],
            )
        _register_installed()
    return _catalog


def family(name: str) -> Family:
    """The family of that name; its module is imported at the first call."""
    if name not in _families:
        _add_family(name, _family_of(importlib.import_module(f"zoo.families.{name}")))
    return _families[name]


def _family_of(module: Any) -> Family:
    """What a module of a family holds: network, SPECS, STYLES and perhaps TOYS."""
    return Family(module.network, module.SPECS, module.STYLES, getattr(module, "TOYS", {}))


@functools.cache
def families() -> tuple[str, ...]:
    """The names of all families in the catalog, in its order."""
    return tuple(dict.fromkeys(model.family for model in catalog().values()))


def _add_family(name: str, new: Family) -> None:
    if not callable(new.network):
        raise ValueError(f"family {name!r}: network={new.network!r} is no function")
    specs = {type(spec) for spec in [*new.specs.values(), *new.toys.values()]}
    reserved = {*field_types(Style), *ARGUMENTS}
    for spec in specs:
        if not dataclasses.is_dataclass(spec) or not spec.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise ValueError(f"the specs of family {name!r} are not frozen dataclasses: {spec}")
        if both := sorted(reserved & set(field_types(spec))):
            raise ValueError(f"family {name!r}: zoo.build or Style has {', '.join(both)} already")
    if missing := [
        n for n in [*new.specs, *new.toys] if not any(fnmatchcase(n, p) for p in new.styles)
    ]:
        raise ValueError(f"family {name!r}: no style fits {', '.join(missing)}")
    _families[name] = new


def register(name: str, new: Family, models: Iterable[Model] = ()) -> None:
    """Adds somebody's family: its networks are then built, listed and described as ours.

    Args:
        name: of the family.
        models: rows for the catalog; a network without one gets its name alone.

    Raises:
        ValueError: a name is taken; a spec is not a frozen dataclass, or has a field that
            `Style` or `zoo.build` has; a row is of no network.
    """
    rows = {model.name: model for model in models}
    if not isinstance(new, Family):
        raise ValueError(f"family {name!r}: {new!r} is not a zoo.Family")
    for table in ("specs", "styles", "toys"):
        if not isinstance(getattr(new, table), Mapping):
            raise ValueError(f"family {name!r}: {table} is not a dict")
    if name in families() or name in _families:
        raise ValueError(f"the family {name!r} exists already")
    toys = {toy for of in families() for toy in family(of).toys}
    if taken := sorted({*new.specs, *new.toys} & {*catalog(), *toys}):
        raise ValueError(f"the networks {', '.join(taken)} exist already")
    if strangers := sorted(set(rows) - set(new.specs)):
        raise ValueError(f"family {name!r} has no {', '.join(strangers)}")
    _add_family(name, new)
    for network in new.specs:
        row = rows.get(network, Model(network, name))
        _catalog[network] = dataclasses.replace(row, family=name)
    families.cache_clear()


def _register_installed() -> None:
    """Registers the families that installed packages declare as entry points, GROUP.

    The name is the family's; the value is a module like ours in zoo/families, with the rows of
    the catalog in MODELS. One that is broken is left out, with a warning.
    """
    for entry in importlib.metadata.entry_points(group=GROUP):
        try:
            module = entry.load()
            register(entry.name, _family_of(module), getattr(module, "MODELS", ()))
        except (Exception, SystemExit) as error:
            package = entry.dist.name if entry.dist else "an unknown package"
            warnings.warn(
                f"zoo leaves out the family {entry.name!r} of {package}: "
                f"{type(error).__name__}: {one_line(error)}",
                stacklevel=2,
            )


# What there is


def list_models(pattern: str = "*", *more: str, exclude: str | Iterable[str] = ()) -> list[str]:
    """The names that fit any of the patterns and none of `exclude`, in the catalog's order."""
    excluded = [exclude] if isinstance(exclude, str) else list(exclude)
    return [
        name
        for name in catalog()
        if any(fnmatchcase(name, p) for p in (pattern, *more))
        and not any(fnmatchcase(name, p) for p in excluded)
    ]


def describe(name: str) -> dict[str, Any]:
    """The catalog's row, the spec and the default style of a network, as plain values."""
    model = find(name)
    spec, style = defaults(name, model)
    return {
        **dataclasses.asdict(model),
        "spec": dataclasses.asdict(spec),
        "style": dataclasses.asdict(style),
    }


def table(pattern: str = "*", *more: str, exclude: str | Iterable[str] = ()):
    """The catalog's rows of `list_models(...)` as a pandas DataFrame, indexed by name."""
    rows = [dataclasses.asdict(catalog()[n]) for n in list_models(pattern, *more, exclude=exclude)]
    columns = list(field_types(Model))
    frame = pandas.DataFrame(rows, columns=columns).set_index("name")
    return frame.astype({"parameters": "Int64", "year": "Int64"})


def find(name: str) -> Model:
    """The catalog's row of a name.

    Raises:
        ValueError: no network has that name; gives the nearest and all.
    """
    if isinstance(name, str) and name in catalog():
        return catalog()[name]
    for of in families():
        if isinstance(name, str) and name in family(of).toys:
            return Model(name, of, input_shape=(32, 32, 3), classes=10)
    raise unknown("model", name, catalog(), "`zoo list`")


def defaults(name: str, model: Model) -> tuple[Any, Style]:
    """The spec and the default style of a network."""
    of = family(model.family)
    return (of.specs.get(name) or of.toys[name]), of.style(name)
