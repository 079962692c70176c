"""Train one trial of a search in its own process; recipes.search.tune writes its file."""

import json
import sys
from pathlib import Path

from recipes.recipe import from_json
from zoo.files import one_line, write
from zoo.interrupts import exit_code, remembered
from zoo.quiet import import_keras


def run_one(file: Path) -> int:
    """Train the trial that a JSON file defines, and return the exit code.

    An error is written to a file next to it, with the suffix .error.
    """
    order = json.loads(file.read_text("utf-8"))
    try:
        import_keras()
        from recipes.training.loop import train

        with remembered(second_exits=True):
            train(
                from_json(order["recipe"]), run=order["run"], strategy=order["strategy"],
                test=False, verbose=order["verbose"],
            )  # fmt: skip
    except KeyboardInterrupt as stop:
        return exit_code(stop)
    except ValueError as error:
        text = one_line(error)
        write(file.with_suffix(".error"), lambda out: out.write(text))
        print(f"trial {file.stem}: {text}", file=sys.stderr)
        return 2
    except Exception as error:
        text = f"{type(error).__name__}: {one_line(error, 500)}"
        write(file.with_suffix(".error"), lambda out: out.write(f"its process failed: {text}"))
        raise
    return 0


if __name__ == "__main__":
    sys.exit(run_one(Path(sys.argv[1])))
