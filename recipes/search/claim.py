"""Check that the directory of a search contains no other one."""

import json
from pathlib import Path
from typing import Any

from recipes.recipe import difference, from_json
from recipes.values import continues_stages
from zoo.files import write_json


def claim(path: Path, wanted: dict[str, Any]) -> None:
    """Check that a directory is empty or contains the same search, and note the search there.

    Args:
        path: directory of the search.
        wanted: the search: "recipe", "first" (the recipe of its first trial), "tuner", "space" (the
            axes as Keras Tuner describes them), "stages".

    Raises:
        ValueError: if it contains another search.
    """
    file = path / "search.json"
    wanted = json.loads(json.dumps(wanted, default=str))
    if not file.exists():
        write_json(file, wanted)
        return
    held = json.loads(file.read_text("utf-8"))
    if held["tuner"] != wanted["tuner"]:
        raise ValueError(
            f"run={str(path)!r}: contains another search (tuner={held['tuner']} there,"
            f" {wanted['tuner']} now); choose another --run"
        )
    if held["space"] != wanted["space"]:
        raise ValueError(
            f"run={str(path)!r}: contains a search of another space"
            f" ({_difference(held['space'], wanted['space'])}); choose another --run"
        )
    before, now = held.get("stages"), wanted["stages"]
    if not continues_stages(before, now):
        raise ValueError(
            f"run={str(path)!r}: contains another search (stages={before} there, {now} now); only"
            " more stages, or more trials in the last one, continue it; choose another --run"
        )
    if before != now:
        write_json(file, held | {"stages": now})
    # Compare the first trial's recipe, too: the function space may have changed.
    for key, where in (("recipe", "there"), ("first", "in its first trial")):
        old, new = (from_json(each.get(key, wanted[key])) for each in (held, wanted))
        changes = difference(old, new)
        if changes:
            shown = "; ".join(f"{n}={a!r} {where}, {b!r} now" for n, (a, b) in changes.items())
            raise ValueError(
                f"run={str(path)!r}: contains another search ({shown}); choose another --run"
            )


def _difference(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> str:
    """Describe the axes that differ, in the form of --space."""
    old, new = ({axis["config"]["name"]: _text(axis) for axis in axes} for axes in (before, now))
    changes = [
        f"{name}={old[name]} there, {name}={new[name]} now"
        if name in old and name in new
        else f"{name}={old[name]} only there"
        if name in old
        else f"{name}={new[name]} only now"
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]
    return "; ".join(changes) or "its axes have other conditions or another order"


def _text(axis: dict[str, Any]) -> str:
    config = axis["config"]
    if "min_value" in config:
        scale = "" if config["sampling"] == "linear" else f"{config['sampling']}:"
        step = "" if config["step"] in (None, 1) else f":{config['step']:g}"
        return f"{scale}{config['min_value']:g}:{config['max_value']:g}{step}"
    values = config.get("values", [config["value"]] if "value" in config else [False, True])
    return ",".join(map(str, values))
