"""The structure of the code is the one that DESIGN.md promises."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import recipes

pytestmark = pytest.mark.quick
ROOT = Path(__file__).parents[1]
# Outside zoo/layers, the modules of zoo that may import TensorFlow: exports are made by its
# converters and checked by its interpreters.
MAY_IMPORT_TENSORFLOW = {
    "zoo.lazy",
    "zoo.quiet",  # mutes its log
    "zoo.exporting.checking",
    "zoo.exporting.conversion",
    "zoo.exporting.quantizing",
}
# Where a tf.distribute strategy's scope is entered.
MAY_ENTER_A_SCOPE = {
    "recipes.training.finished",
    "recipes.training.loop",
    "recipes.evaluation.evaluate",
    "recipes.distribution.keras_fix",  # in place of Keras's own code
}


def modules(package: str) -> dict[str, Path]:
    """Return the files of a package's modules by dotted name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes that are executed, so none of those under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if for_type_checkers(child):
            assert isinstance(child, ast.If)
            for other in child.orelse:
                yield from walk(other)
            continue
        yield child
        yield from walk(child)


def imported(path: Path, known: set[str]) -> set[str]:
    """Return the modules that a file imports anywhere; ours by their most specific name."""
    found = set()
    for node in walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}: relative import"  # noqa: PT018
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else node.module)
    return found


def test_zoo_never_imports_recipes():
    for name, path in modules("zoo").items():
        assert not [m for m in imported(path, set()) if m.split(".")[0] == "recipes"], name


def test_zoo_uses_tensorflow_only_where_it_is_allowed():
    users = set()
    for name, path in modules("zoo").items():
        found = imported(path, {"zoo.lazy.tensorflow"})
        if any(m.split(".")[0] == "tensorflow" or m == "zoo.lazy.tensorflow" for m in found):
            users.add(name)
    outside = {name for name in users if not name.startswith("zoo.layers")}
    assert outside <= MAY_IMPORT_TENSORFLOW, "move it to zoo/layers, or list it with its reason"


def test_a_strategys_scope_is_entered_only_where_it_is_allowed():
    users = {
        name
        for package in ("zoo", "recipes")
        for name, path in modules(package).items()
        for node in walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "scope"
    }
    assert users == MAY_ENTER_A_SCOPE


def test_modules_have_no_import_cycles():
    every = modules("zoo") | modules("recipes")
    known = set(every)
    graph = {name: imported(path, known) & known for name, path in every.items()}
    packages = {"zoo", "recipes"}  # their __init__.py only re-exports names
    state: dict[str, int] = {}

    def visit(name: str, trail: list[str]) -> None:
        if state.get(name) == 2 or name in packages:
            return
        assert state.get(name) != 1, " -> ".join([*trail[trail.index(name) :], name])
        state[name] = 1
        for other in sorted(graph[name]):
            visit(other, [*trail, name])
        state[name] = 2

    for name in graph:
        visit(name, [])


def test_the_layout_in_the_design_lists_every_module():
    text = (ROOT / "DESIGN.md").read_text("utf-8")
    layout = text[text.index("## Layout") : text.index("\n## ", text.index("## Layout") + 5)]
    experiments = {name.split("/")[0] for name in recipes.names()}
    for package in ("zoo", "recipes"):
        for path in modules(package).values():
            folder = path.parent.relative_to(ROOT / package).parts
            if path.name == "__init__.py" or (folder and folder[0] in experiments):
                continue
            if folder[:1] in (("families",), ("studies",)):
                continue  # the catalog lists the families, and `recipes study list` the studies
            assert re.search(rf"\b{re.escape(path.name)}\b", layout), f"{path} is not in the layout"
    for folder in experiments:
        assert f"{folder}/" in layout


def test_no_file_is_much_longer_than_300_lines():
    long = {
        path.relative_to(ROOT).as_posix(): count
        for package in ("zoo", "recipes")
        for path in modules(package).values()
        if (count := len(path.read_text("utf-8").splitlines())) > 375
    }
    assert not long, "a file holds one idea and stays under about 300 lines"


def test_no_submodule_has_the_name_of_a_public_function():
    """A lazy import would return the module in the function's place."""
    import zoo

    for package in (zoo, recipes):
        name = package.__name__
        names = {path.stem for path in (ROOT / name).glob("*.py")}
        names |= {path.name for path in (ROOT / name).iterdir() if path.is_dir()}
        assert not names & set(package.__all__), name
