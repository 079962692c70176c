"""The command `recipes plot`."""

from typing import Any

OPTIONS: dict[str, dict[str, Any]] = {
    "--to": {"default": "runs.png", "metavar": "FILE",
             "help": "PNG file to write. (default: runs.png)"},
    "--panels": {"default": "", "metavar": "METRIC,...",
                 "help": "Metrics of metrics.csv to draw, or error and val_error, that "
                 "is, 1 - accuracy; loss+val_loss shows both in one panel. "
                 "(default: loss and accuracy, in training and validation)"},
    "--x": {"default": "epoch", "metavar": "NAME",
            "help": "Horizontal axis; step reads steps.csv. (epoch, step, seconds; "
            "default: epoch)"},
    "--log": {"default": "", "metavar": "AXES",
              "help": "Axes that are logarithmic. (x, y, xy; default: y for a loss that "
              "spans a wide range)"},
    "--highlight": {"default": "", "metavar": "LABEL,...",
                    "help": "Runs to draw in color; all others are gray. (default: all)"},
    "--target": {"default": "", "metavar": "METRIC=VALUE,...",
                 "help": "Values to mark by horizontal lines, such as error=0.25. "
                 "(default: none)"},
    "--csv": {"metavar": "FILE",
              "help": "CSV file for the numbers that are drawn. (default: none)"},
}  # fmt: skip


def plot(
    paths: list[str], to: str, panels: str, x: str, log: str, highlight: str, target: str,
    csv: str | None,
) -> int:  # fmt: skip
    """Draw the curves of any number of runs into one picture."""
    from recipes.watch.plotting import plot as draw

    print(
        draw(
            paths, to, _listed(panels), x=x, log=log, highlight=_listed(highlight),
            target=dict(_target(each) for each in _listed(target)), csv=csv,
        )
    )  # fmt: skip
    return 0


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _target(text: str) -> tuple[str, float]:
    """Parse METRIC=VALUE.

    Raises:
        ValueError: if it has another form.
    """
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise ValueError(f"target={text!r}: must be METRIC=NUMBER, such as error=0.25") from None
