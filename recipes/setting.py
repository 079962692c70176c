"""Describe the fields of a recipe where they are defined: topic, help, valid values, default."""

import dataclasses
from typing import Any

NETWORK = "network"
START = "initial weights"
IMAGES = "images"
OPTIMIZATION = "optimization"
SCHEDULE = "learning rate schedule"
LOSS = "loss"
MONITORING = "monitoring"
MACHINE = "precision and seed"
TOPICS = (NETWORK, START, IMAGES, OPTIMIZATION, SCHEDULE, LOSS, MONITORING, MACHINE)


def setting(
    topic: str,
    default: Any = dataclasses.MISSING,
    help: str = "",
    valid: str | tuple[str, ...] = "",
) -> Any:
    """Return a dataclass field that `--help` can describe.

    Args:
        topic: the group of flags that `--help` shows the field in, one of TOPICS.
        default: the default value, or `dict` for an empty dict.
        help: one plain sentence.
        valid: the valid values, where neither the field's type nor its range says them: names,
            or a phrase.
    """
    metadata = {"topic": topic, "help": help, "valid": valid}
    if default is dict:
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
