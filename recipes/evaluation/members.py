"""The members of an evaluation: finished runs, and named networks with pretrained weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipes.evaluation.published import CLASSES, LOSS, Published, is_network, published
from recipes.run import Run, open_run
from zoo import saved_runs
from zoo.inference import Network
from zoo.terminal import plural

Member = Run | Published


def open_members(
    given: str | Path | Run | Sequence[str | Path | Run],
    weights: Any = None,
    preprocess: Any = None,
) -> list[Member]:
    """Return the members of an evaluation: finished runs, and named networks with weights.

    Args:
        given: run directories and names of networks.
        weights, preprocess: those of the named networks; see `published.published`.

    Raises:
        ValueError: there is no member, a run is not finished, a network has no weights for
            ImageNet's classes, or a run in the same ensemble has other classes.
    """
    several = [given] if isinstance(given, (str, Path, Run, Published)) else list(given)
    if not several:
        raise ValueError("run=[]: no run to evaluate; name one or more run directories or networks")
    places = [i for i, each in enumerate(several) if is_network(each)]
    for name, value in (("weights", weights), ("preprocess", preprocess)):
        if value is not None and not places:
            raise ValueError(
                f"{name}={value!r}: only applies to networks that are given by name, such as"
                " resnet50; a run has its own weights and preprocessing"
            )
    names = [str(several[i]) for i in places]
    found = dict(zip(places, published(names, weights, preprocess) if names else (), strict=True))
    members = [found.get(i) or _finished(each) for i, each in enumerate(several)]
    _check_distinct(members)
    for member in members:
        if names and len(member.classes) != CLASSES:
            raise ValueError(
                f"{member.path}: has {plural(len(member.classes), 'class', 'classes')}, and"
                f" {names[0]} ImageNet's 1,000; an ensemble needs members with the same classes"
            )
    return members


def _finished(given: str | Path | Member) -> Member:
    if isinstance(given, Published):
        return given
    run = given if isinstance(given, Run) else open_run(given)
    saved_runs.check(run.path, f"run={str(run.path)!r}")
    return run


def _check_distinct(members: Sequence[Member]) -> None:
    """Check that no member is given twice; its weight in an average would be doubled.

    Raises:
        ValueError: if two paths lead to the same directory, or a network has the same weights.
    """
    known: dict[Any, str] = {}
    for each in members:
        published, name = isinstance(each, Published), str(each.path)
        key = each if isinstance(each, Published) else each.path.resolve()
        if key in known:
            first = "" if name == known[key] else f", as {known[key]!r} before"
            what = "network with these weights" if published else "run"
            raise ValueError(
                f"run={name!r}: this {what} is given twice{first}; give each"
                f" {'network' if published else 'run'} once"
            )
        known[key] = name


def describe(members: Sequence[Member]) -> list[dict[str, Any]]:
    """Return the directory and recipe, or the weights, and the model of each member."""
    return [
        {"run": str(each.path), "recipe": each.about.get("name"), "model": each.recipe.model}
        if isinstance(each, Run)
        else {"run": None, "recipe": None, "model": each.name, "weights": each.source}
        for each in members
    ]


def losses(members: Sequence[Member]) -> list[str]:
    """Return the training loss of each member."""
    return [each.recipe.loss if isinstance(each, Run) else LOSS for each in members]


def check_named_data(members: Sequence[Member], data: str | None) -> bool:
    """Check that named networks have data to be evaluated on; return whether all are runs.

    Raises:
        ValueError: there is neither a data set nor a run.
    """
    runs = sum(isinstance(each, Run) for each in members)
    if data is None and not runs:
        raise ValueError(
            f"data=None: {members[0].path} has no data set of its own; name one, such as"
            " --data=folder:PATH"
        )
    return runs == len(members)


def only_runs(members: Sequence[Member]) -> list[Run]:
    """Return the members of a soup.

    Raises:
        ValueError: there is a named network among them.
    """
    for each in members:
        if not isinstance(each, Run):
            raise ValueError(
                f"average='soup': averages the weights of runs, but {each.path} is a named network;"
                " use average='ensemble'"
            )
    return [each for each in members if isinstance(each, Run)]


def opened_network(member: Member) -> Any:
    """Return the model of a run, or the `zoo.inference.Network` of a named network.

    Raises:
        ValueError: it cannot be opened.
    """
    return saved_runs.open_model(member.path) if isinstance(member, Run) else member.open()


def model_of(network: Any) -> Any:
    """Return the Keras model of what `opened_network` returns."""
    return network.model if isinstance(network, Network) else network
