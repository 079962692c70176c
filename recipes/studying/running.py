"""Find studies, run them, and write what they find."""

import ast
import csv
import importlib
import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from recipes import drawing, provenance
from recipes.locking import locked
from recipes.studying.lab import Lab, code_of
from recipes.studying.report import about, line
from recipes.studying.verdicts import Finding, finding
from zoo.files import write, write_json
from zoo.options import unknown

STUDIES = Path(__file__).parents[1] / "studies"
RUNS = Path("runs/studies")
CIFAR10 = "cifar10"


class Study(NamedTuple):
    """A study's module and its directory."""

    name: str
    module: ModuleType
    source: str


def names() -> list[str]:
    """Return the sorted names of the studies."""
    return sorted(path.stem for path in STUDIES.glob("*.py") if path.stem != "__init__")


def docstring(name: str) -> str:
    """Return the docstring of a study without importing it.

    Raises:
        ValueError: if there is no such study.
    """
    if name not in names():
        raise unknown("study", name, names(), "`recipes study list`")
    return ast.get_docstring(ast.parse((STUDIES / f"{name}.py").read_text("utf-8"))) or ""


def find(name: str) -> Study:
    """Import a study.

    Raises:
        ValueError: if there is no such study.
    """
    docstring(name)
    module = importlib.import_module(f"recipes.studies.{name}")
    return Study(name, module, (STUDIES / f"{name}.py").read_text("utf-8"))


def check_seeds(seeds: int | None, quick: bool) -> None:
    """Raise a ValueError if a number of seeds is not positive, or given for a quick run."""
    if seeds is not None and (quick or seeds < 1):
        why = "a quick run has a single seed" if quick else "must be at least 1"
        raise ValueError(f"seeds={seeds}: {why}")


def study(
    name: str,
    *,
    quick: bool = False,
    to: str | Path | None = None,
    data: str | None = None,
    seeds: int | None = None,
    verbose: bool = True,
) -> list[Finding]:
    """Run a study of the lectures' claims, or what is left of it after an interruption.

    It writes verdict.json, table.csv and figure.png into its directory, next to the cells, in which
    everything measured is kept, and the directories of its runs.

    Args:
        name: name of the study; `recipes study list` prints the names.
        quick: test in seconds that everything runs, on little or made-up data. No verdicts are
            reported.
        to: directory. Default: runs/studies/NAME, or NAME-quick.
        data: CIFAR-10 for the studies that use it, a value of a recipe's field `data`, such as
            "folder:PATH". Default: "cifar10", from TFDS.
        seeds: least number of seeds, for the parts of the study that have fewer. What was measured
            with fewer seeds is kept. Default: the study's own numbers.
        verbose: whether to print the progress and the verdicts.

    Returns:
        The claims with their verdicts.

    Raises:
        ValueError: if there is no such study, its data does not exist, the number of seeds is not
            positive or the run quick, or another process runs the study.
    """
    check_seeds(seeds, quick)
    found = find(name)
    path = Path(to) if to is not None else RUNS / (f"{name}-quick" if quick else name)
    note = (lambda text: print(f"  {text}", flush=True)) if verbose else (lambda text: None)
    with locked(path):
        lab = Lab(
            path, code_of(found.source), quick=quick, data=data or CIFAR10, seeds=seeds, note=note
        )  # fmt: skip
        found.module.measure(lab)
        findings = _findings(found, lab)
        _write(found, lab, findings)
    if verbose:
        for each in findings:
            print(line(each, verdict=not quick), flush=True)
        end = "; a quick run has no verdicts" if quick else ""
        print(f"{name}: figure.png, table.csv and verdict.json are in {path}{end}", flush=True)
    return findings


def _findings(found: Study, lab: Lab) -> list[Finding]:
    claims, evidence = found.module.CLAIMS, found.module.judge(lab)
    if set(claims) != set(evidence):
        raise RuntimeError(
            f"{found.name}: judge() is about {sorted(evidence)}, the claims are {sorted(claims)}"
        )
    return [finding(claim, evidence[key]) for key, claim in claims.items()]


def _write(found: Study, lab: Lab, findings: Sequence[Finding]) -> None:
    path = lab.directory
    rows = found.module.table(lab) if hasattr(found.module, "table") else _rows(lab)
    write(path / "table.csv", lambda file: file.write(_csv(rows)))
    drawing.attempt(path / "figure.png", lambda to: found.module.picture(lab, to))
    records = list(lab.records.values())
    write_json(
        path / "verdict.json",
        {
            "study": found.name,
            "title": (found.module.__doc__ or "").split("\n")[0],
            "quick": lab.quick,
            "seeds": lab.at_least,
            "data": sorted({name for record in records for name in record["data"]}),
            "seconds": sum(record["seconds"] for record in records),
            "commits": sorted({str(record["commit"]) for record in records}),
            "hardware": provenance.hardware(),
            "versions": provenance.versions(),
            "written": time.strftime("%Y-%m-%d", time.gmtime()),
            "claims": [
                {"key": key} | about(each, verdict=not lab.quick)
                for key, each in zip(found.module.CLAIMS, findings, strict=True)
            ],
        },
    )


def _rows(lab: Lab) -> list[dict[str, Any]]:
    """Return one row for each cell: its settings, and the single values of its result."""
    rows = []
    for name, record in lab.records.items():
        result = record["result"] if isinstance(record["result"], dict) else {}
        values = record["settings"] | result
        single = {k: v for k, v in values.items() if isinstance(v, str | int | float | None)}
        rows.append({"cell": name} | single | {"seconds": round(record["seconds"], 2)})
    return rows


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_verdicts(path: Path) -> dict[str, Any]:
    """Return verdict.json of a study's directory.

    Raises:
        ValueError: if the directory has none, or it is of a quick run.
    """
    try:
        found = json.loads((path / "verdict.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not the directory of a finished study") from error
    if found["quick"]:
        raise ValueError(f"{path}: a quick run of a study has no verdicts")
    return found
