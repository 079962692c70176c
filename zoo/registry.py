"""The catalog of networks, and the families that build them."""

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
    """A row of the catalog.

    Attributes:
        name: name of the network.
        family: name of its family.
        year: year of the paper.
        paper: authors, year and title of the paper.
        input_shape: (height, width, channels) of the input that the paper used.
        classes: number of classes.
        parameters: number of trainable parameters.
        gmac: billions of multiply-accumulates for one image.
        depth: number of convolutions and dense layers on the longest path, without gates.
        top1, top5: published accuracies in percent.
        source: source of the numbers, where it is not the paper.
    """

    name: str
    family: str
    year: int | None = None
    paper: str = ""
    input_shape: tuple[int, int, int] = (224, 224, 3)
    classes: int = 1000
    parameters: int | None = None
    gmac: float | None = None
    depth: int | None = None
    top1: float | None = None
    top5: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Family:
    """Networks that are built by the same function.

    Attributes:
        network: function from (x, style, spec, num_classes) to logits.
        specs: dict from the names of networks to their specs, frozen dataclasses with the options
            of the family.
        styles: dict from name patterns to styles. The last pattern that matches the name of a
            network gives its default style.
        toys: dict like `specs` of small networks for tests, which are not listed.

    A spec may also have these attributes, as fields, properties or class variables: `residual`,
    which is true if the network has residual blocks, and allows drop_path; `lrn`, which is not
    empty or false if it can have local response normalization; `unused`, the names of the fields of
    Style that have no effect; and a method `scaled(depth, width)`, which returns the changed fields
    of a deeper and wider network if zoo/scaling.py cannot derive them from their names.
    """

    network: Callable[[Any, Style, Any, int], Any]
    specs: Mapping[str, Any]
    styles: Mapping[str, Style]
    toys: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def style(self, name: str) -> Style:
        """Return the default style of a network."""
        return [s for pattern, s in self.styles.items() if fnmatchcase(name, pattern)][-1]


# Other packages declare their families as entry points of this group.
GROUP = "zoo.families"
# Arguments of zoo.build that are not fields of Style; specs cannot have fields of these names.
ARGUMENTS = ("name", "num_classes", "input_shape", "preprocess", "weights", "recompute")

_catalog: dict[str, Model] = {}
_families: dict[str, Family] = {}


def catalog() -> Mapping[str, Model]:
    """Return the rows of all networks by name: those of zoo first, then those of other packages.

    The first call reads the file and imports the families that installed packages declare.
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
                depth=int(row["depth"]),
                top1=float(row["top1"]) if row["top1"] else None,
                top5=float(row["top5"]) if row["top5"] else None,
                source=row["source"],
            )
        _register_installed()
    return _catalog


def family(name: str) -> Family:
    """Return the family of a name, importing its module at the first call."""
    if name not in _families:
        _add_family(name, _family_of(importlib.import_module(f"zoo.families.{name}")))
    return _families[name]


def _family_of(module: Any) -> Family:
    """Return the family that a module defines with network, SPECS, STYLES and, optionally, TOYS."""
    return Family(module.network, module.SPECS, module.STYLES, getattr(module, "TOYS", {}))


@functools.cache
def families() -> tuple[str, ...]:
    """Return the names of all families in the order of the catalog."""
    return tuple(dict.fromkeys(model.family for model in catalog().values()))


def _add_family(name: str, new: Family) -> None:
    if not callable(new.network):
        raise ValueError(f"family {name!r}: network={new.network!r}: must be a function")
    specs = {type(spec) for spec in [*new.specs.values(), *new.toys.values()]}
    reserved = {*field_types(Style), *ARGUMENTS}
    for spec in specs:
        if not dataclasses.is_dataclass(spec) or not spec.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise ValueError(
                f"family {name!r}: its specs must be frozen dataclasses, but {spec.__name__} is not"
            )
        if both := sorted(reserved & set(field_types(spec))):
            raise ValueError(
                f"family {name!r}: rename the fields {', '.join(both)} of {spec.__name__}, which "
                "are already arguments of zoo.build or fields of Style"
            )
    if missing := [
        n for n in [*new.specs, *new.toys] if not any(fnmatchcase(n, p) for p in new.styles)
    ]:
        raise ValueError(
            f"family {name!r}: no pattern in its styles matches {', '.join(missing)}; add '*'"
        )
    _families[name] = new


def register(name: str, new: Family, models: Iterable[Model] = ()) -> None:
    """Add a family, whose networks can then be built, listed and described like those of zoo.

    Args:
        name: name of the family.
        new: the family.
        models: rows of the catalog. A network without a row gets one with only its name.

    Raises:
        ValueError: a name is already taken, a spec is not a frozen dataclass or has a field of the
            same name as one of `Style` or an argument of `zoo.build`, or a row belongs to no
            network of the family.
    """
    rows = {model.name: model for model in models}
    if not isinstance(new, Family):
        raise ValueError(f"family {name!r}: must be a zoo.Family, not {new!r}")
    for table in ("specs", "styles", "toys"):
        if not isinstance(getattr(new, table), Mapping):
            raise ValueError(f"family {name!r}: {table} must be a dict")
    if name in families() or name in _families:
        raise ValueError(f"family {name!r}: a family of this name already exists; rename one")
    toys = {toy for of in families() for toy in family(of).toys}
    if taken := sorted({*new.specs, *new.toys} & {*catalog(), *toys}):
        raise ValueError(
            f"family {name!r}: networks named {', '.join(taken)} already exist; rename them"
        )
    if unknown_rows := sorted(set(rows) - set(new.specs)):
        raise ValueError(
            f"family {name!r}: models has rows for {', '.join(unknown_rows)}, which specs lacks"
        )
    _add_family(name, new)
    for network in new.specs:
        row = rows.get(network, Model(network, name))
        _catalog[network] = dataclasses.replace(row, family=name)
    families.cache_clear()


def packages() -> set[str]:
    """Return the import names of the installed packages that define families."""
    found = importlib.metadata.entry_points(group=GROUP)
    return {entry.module.partition(".")[0] for entry in found}


def _register_installed() -> None:
    """Register the families that installed packages declare as entry points of GROUP.

    The name of an entry point is the name of the family. Its value is a module like those in
    zoo/families, with rows of the catalog in MODELS. A family that cannot be imported or registered
    is left out with a warning.
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


# Queries


def list_models(pattern: str = "*", *more: str, exclude: str | Iterable[str] = ()) -> list[str]:
    """List the names of networks in the order of the catalog.

    Args:
        pattern, more: shell patterns, such as "res*". A name must match one of them.
        exclude: one or several patterns of names that are left out.
    """
    excluded = [exclude] if isinstance(exclude, str) else list(exclude)
    return [
        name
        for name in catalog()
        if any(fnmatchcase(name, p) for p in (pattern, *more))
        and not any(fnmatchcase(name, p) for p in excluded)
    ]


def describe(name: str) -> dict[str, Any]:
    """Return the catalog's row of a network, its spec and its default style, as a dict.

    Raises:
        ValueError: no network has this name.
    """
    model = find(name)
    spec, style = defaults(name, model)
    return {
        **dataclasses.asdict(model),
        "spec": dataclasses.asdict(spec),
        "style": dataclasses.asdict(style),
    }


def table(pattern: str = "*", *more: str, exclude: str | Iterable[str] = ()):
    """Return the rows of the catalog as a pandas DataFrame; the arguments are list_models'."""
    rows = [dataclasses.asdict(catalog()[n]) for n in list_models(pattern, *more, exclude=exclude)]
    columns = list(field_types(Model))
    frame = pandas.DataFrame(rows, columns=columns).set_index("name")
    return frame.astype(dict.fromkeys(("parameters", "year", "depth"), "Int64"))


def find(name: str) -> Model:
    """Return the catalog's row of a network.

    Raises:
        ValueError: no network has this name. The message gives the nearest names.
    """
    if isinstance(name, str) and name in catalog():
        return catalog()[name]
    for of in families():
        if isinstance(name, str) and name in family(of).toys:
            return Model(name, of, input_shape=(32, 32, 3), classes=10)
    raise unknown("model", name, catalog(), "`zoo list`")


def defaults(name: str, model: Model) -> tuple[Any, Style]:
    """Return the spec and the default style of a network."""
    of = family(model.family)
    return (of.specs.get(name) or of.toys[name]), of.style(name)
