"""Names of networks: what each is, and how it is built."""

import csv
import dataclasses
import functools
import importlib
import importlib.resources
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from zoo.lazy import keras, pandas
from zoo.options import checked, field_types, unknown
from zoo.style import Style, TooSmallError


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
    """

    network: Callable[[Any, Style, Any, int], Any]
    specs: Mapping[str, Any]
    styles: Mapping[str, Style]
    toys: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def style(self, name: str) -> Style:
        return [s for pattern, s in self.styles.items() if fnmatchcase(name, pattern)][-1]


@dataclass(frozen=True)
class Plan:
    """All that a build needs, checked: `zoo.build` makes the network of it."""

    name: str
    family: str
    spec: Any
    style: Style
    num_classes: int
    input_shape: tuple[int | None, int | None, int]


_catalog: dict[str, Model] = {}
_families: dict[str, Family] = {}


def catalog() -> Mapping[str, Model]:
    """name -> row, of all models, in the catalog's order; reads a file once, imports nothing."""
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
    return _catalog


def family(name: str) -> Family:
    """The family of that name; its module is imported at the first call."""
    if name not in _families:
        module = importlib.import_module(f"zoo.families.{name}")
        _add_family(
            name, Family(module.network, module.SPECS, module.STYLES, getattr(module, "TOYS", {}))
        )
    return _families[name]


@functools.cache
def families() -> tuple[str, ...]:
    """The names of all families in the catalog, in its order."""
    return tuple(dict.fromkeys(model.family for model in catalog().values()))


def _add_family(name: str, new: Family) -> None:
    specs = {type(spec) for spec in [*new.specs.values(), *new.toys.values()]}
    reserved = set(field_types(Style)) | set(inspect.signature(build).parameters) - {"options"}
    for spec in specs:
        if not dataclasses.is_dataclass(spec) or not spec.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise ValueError(f"the specs of family {name!r} are not frozen dataclasses: {spec}")
        if both := sorted(reserved & set(field_types(spec))):
            raise ValueError(f"family {name!r}: zoo.build or Style has {', '.join(both)} already")
    if missing := [n for n in new.specs if not any(fnmatchcase(n, p) for p in new.styles)]:
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
    if name in families() or name in _families:
        raise ValueError(f"the family {name!r} exists already")
    if taken := sorted(set(new.specs) & set(catalog())):
        raise ValueError(f"the networks {', '.join(taken)} exist already")
    if strangers := sorted(set(rows) - set(new.specs)):
        raise ValueError(f"family {name!r} has no {', '.join(strangers)}")
    _add_family(name, new)
    for network in new.specs:
        row = rows.get(network, Model(network, name))
        _catalog[network] = dataclasses.replace(row, family=name)
    families.cache_clear()


# What there is


def list_models(pattern: str = "*", *more: str, exclude: str | Iterable[str] = ()) -> list[str]:
    """The names that fit any of the wildcard patterns and none of `exclude`, sorted naturally."""
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
    spec, style = _defaults(name, model)
    return {
        **dataclasses.asdict(model),
        "spec": dataclasses.asdict(spec),
        "style": dataclasses.asdict(style),
    }


def table(pattern: str = "*", *more: str, exclude: str | Iterable[str] = ()):
    """The catalog's rows of `list_models(...)` as a pandas DataFrame, indexed by name."""
    rows = [dataclasses.asdict(catalog()[n]) for n in list_models(pattern, *more, exclude=exclude)]
    columns = list(field_types(Model))
    return pandas.DataFrame(rows, columns=columns).set_index("name")


def find(name: str) -> Model:
    """The catalog's row of a name.

    Raises:
        ValueError: no network has that name; gives the nearest and all.
    """
    if name in catalog():
        return catalog()[name]
    for of in families():
        if isinstance(name, str) and name in family(of).toys:
            return Model(name, of, input_shape=(32, 32, 3), classes=10)
    raise unknown("model", name, catalog())


def _defaults(name: str, model: Model) -> tuple[Any, Style]:
    of = family(model.family)
    return (of.specs.get(name) or of.toys[name]), of.style(name)


# From a name to a network


def resolve(
    name: str,
    *,
    act: Any = None,
    norm: Any = None,
    init: Any = None,
    num_classes: int | None = None,
    input_shape: tuple[int | None, int | None, int] | None = None,
    dropout: float | None = None,
    drop_path: float | None = None,
    seed: int | None = None,
    **options: Any,
) -> Plan:
    """Checks what `build` is given, without importing Keras; the arguments are build's.

    Raises:
        ValueError: an unknown name, value or option; it names the nearest and what is valid.
    """
    model = find(name)
    spec, style = _defaults(name, model)
    given = {
        "act": act,
        "norm": norm,
        "init": init,
        "dropout": dropout,
        "drop_path": drop_path,
        "seed": seed,
    }
    of_style = {key: value for key, value in given.items() if value is not None}
    of_spec = {}
    for key, value in options.items():
        if key in field_types(Style):
            of_style[key] = value
        elif key in field_types(type(spec)):
            of_spec[key] = checked(type(spec), key, value)
        else:
            raise unknown(f"option of {name}", key, [*field_types(Style), *field_types(type(spec))])
    spec = dataclasses.replace(spec, **of_spec)
    style = dataclasses.replace(style, **_pairings(style, of_style))
    if style.norm == "lrn" and not getattr(spec, "lrn", ()):
        raise ValueError(f"{name} has no local response normalization in its paper: norm='lrn'")
    if style.drop_path and not hasattr(spec, "residual"):
        raise ValueError(f"drop_path has no meaning in {name}: it has no residual blocks")
    return Plan(
        name,
        model.family,
        spec,
        style,
        _checked_classes(model.classes if num_classes is None else num_classes),
        _checked_shape(model.input_shape if input_shape is None else input_shape),
    )


def _pairings(default: Style, given: dict[str, Any]) -> dict[str, Any]:
    """The given fields of a style, and what goes with them where nothing is said."""
    fields = {key: checked(Style, key, value) for key, value in given.items()}
    act, norm = fields.get("act", default.act), fields.get("norm", default.norm)
    if act == "selu" and norm == "none":
        fields.setdefault("init", "lecun_normal")
    if str(fields.get("init")).startswith("fixup"):
        fields.setdefault("head_init", "zeros")
    return fields


def _checked_classes(n: Any) -> int:
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise ValueError(f"num_classes={n!r} is not a whole number from 0")
    return n


def _checked_shape(shape: Any) -> tuple[int | None, int | None, int]:
    try:
        height, width, channels = shape
    except (TypeError, ValueError):
        raise ValueError(
            f"input_shape={shape!r} is not (height, width, channels), such as (224, 224, 3)"
        ) from None
    for n, free in ((height, True), (width, True), (channels, False)):
        if not (n is None and free) and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
            raise ValueError(
                f"input_shape={shape!r}: sizes are whole numbers from 1 (None if they vary), "
                "channels a whole number from 1"
            )
    return (height, width, channels)


def build(
    name: str,
    *,
    act: Any = None,
    norm: Any = None,
    init: Any = None,
    num_classes: int | None = None,
    input_shape: tuple[int | None, int | None, int] | None = None,
    preprocess: Any = None,
    dropout: float | None = None,
    drop_path: float | None = None,
    weights: str | None = None,
    seed: int | None = None,
    **options: Any,
):
    """A network, as a functional keras.Model from images to float32 logits.

    `None` means what the paper did.

    Args:
        name: one of `list_models()`.
        act, norm, init: a name (a number may follow: "leaky_relu:0.1", "group:16",
            "normal:0.05"), a Keras object, which is rebuilt at each place, or a callable.
        num_classes: of the last dense layer; 0 ends at what it would see.
        input_shape: (height, width, channels); None for sizes that vary.
        preprocess: a Keras layer that stands before the stem, from raw pixels 0-255 to what
            the network takes; None if images come preprocessed.
        dropout: probability of dropping a unit before the last dense layer, and after each
            hidden one.
        drop_path: probability of dropping the last residual branch; earlier ones less.
        weights: the path of a `.weights.h5` file of the same network.
        seed: of all initial weights and dropout masks; None draws one.
        options: fields of `zoo.Style` (`bias_init`, `zero_gamma`, `padding`, ...) or of the
            family's spec (`groups`, `stem`, `hidden`, ...): `describe(name)` has them all.

    Raises:
        ValueError: an unknown name, value or option, or an input that is too small: it says
            what is valid, and the least size.
    """
    plan = resolve(
        name,
        act=act,
        norm=norm,
        init=init,
        num_classes=num_classes,
        input_shape=input_shape,
        dropout=dropout,
        drop_path=drop_path,
        seed=seed,
        **options,
    )
    if preprocess is not None and not isinstance(preprocess, keras.layers.Layer):
        raise ValueError(f"preprocess={preprocess!r} is not a Keras layer")
    if weights is not None and not str(weights).endswith(".weights.h5"):
        raise ValueError(f"weights={weights!r} is not the path of a .weights.h5 file")
    if keras.config.image_data_format() != "channels_last":
        raise ValueError("zoo builds networks of channels_last images: set image_data_format so")
    model = checked_network(plan, lambda plan: network(plan, preprocess))
    if weights is not None:
        model.load_weights(weights)
    return model


def network(plan: Plan, preprocess=None):
    """The functional model of a plan.

    Raises:
        TooSmallError: the input is too small for the network or its norm.
    """
    inputs = keras.Input(plan.input_shape, name="input_image")
    x = inputs
    if preprocess is not None:
        if not preprocess.name.startswith("input_"):
            raise ValueError(f"the preprocess layer {preprocess.name!r} needs a name input_*")
        x = preprocess(x)
    x = family(plan.family).network(x, plan.style.seeded(), plan.spec, plan.num_classes)
    return keras.Model(inputs, x, name=plan.name)


def sketch(plan: Plan):
    """The model of a plan without memory for its weights: for shapes and counts alone."""
    with keras.StatelessScope(initialize_variables=False):
        return network(plan)


def checked_network(plan: Plan, make: Callable[[Plan], Any]):
    """make(plan), whose input may be too small: then the ValueError gives the least size."""
    try:
        return make(plan)
    except TooSmallError as error:
        raise _with_least_size(plan, error) from None


def _with_least_size(plan: Plan, error) -> ValueError:
    """The error with the least square input that the network takes, found by trying."""

    def fits(n: int) -> bool:
        try:
            sketch(dataclasses.replace(plan, input_shape=(n, n, plan.input_shape[2])))
        except TooSmallError:
            return False
        return True

    low, high = 0, 1
    while not fits(high):
        low, high = high, high * 2
        if high > 4096:
            return ValueError(f"{plan.name}: {error}, at any size")
    while high - low > 1:
        middle = math.ceil((low + high) / 2)
        low, high = (low, middle) if fits(middle) else (middle, high)
    given = "x".join(map(str, plan.input_shape[:2]))
    stage = error.layer.split("_")[0]
    return ValueError(
        f"{plan.name} needs an input of at least {high}x{high}, {given} was given: "
        f"{error.reason} in {stage} ({error.layer})"
    )


def load(path):
    """A saved model (.keras) of ours, not compiled.

    Raises:
        ValueError: there is no such file, or it is not a saved model.
    """
    try:
        importlib.import_module("zoo.layers")
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"cannot open {str(path)!r} as a saved model: {error}") from error
