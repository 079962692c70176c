"""Recipe files: errors, and how often a command reads one."""

import runpy
import sys

import pytest

import recipes
import zoo
from recipes import recipe_files, worker


@pytest.mark.quick
@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("assert False", "{path}: AssertionError"),
        ("{}['lr']", "{path}: KeyError: 'lr'"),
        ("raise ValueError('lr=0')", "{path}: lr=0"),
        ("x = (", "{path}, line 1: '(' was never closed"),
        ("import its_blocks", "{other}, line 2: '(' was never closed"),
    ],
)
def test_an_error_in_a_recipe_file_is_named_with_the_file(text, printed, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path, other = tmp_path / "mine.py", tmp_path / "its_blocks.py"
    path.write_text(text)
    other.write_text("\nx = (")
    with pytest.raises(ValueError, match=r"mine|its") as error:
        recipe_files.read(path)
    assert str(error.value) == printed.format(path=path, other=other)


@pytest.fixture
def counted(tiny, tmp_path):
    """A recipe file with a space and two choices, and a function that counts its executions."""
    path, log = tmp_path / "mine.py", tmp_path / "executions"
    small = recipes.replace(tiny, epochs=1, validation=0.5)
    lines = (
        f"open({str(log)!r}, 'a').write('.')",
        "def space(hp):\n    return {'lr': hp.Choice('lr', [0.01, 0.02])}",
        "choices = {'a': {}, 'b': {'act': 'elu'}}",
        "if __name__ == '__main__':\n    main(__file__)\n",
    )
    text = recipes.source(small).partition("\nif __name__")[0]
    path.write_text("\n\n".join((text, *lines)))
    return path, lambda: len(log.read_text())


COMMANDS = {
    "train mine.py": 1,
    "look mine.py": 1,
    "show mine.py": 1,
    "check mine.py --only=initial_loss": 1,
    "compare mine.py": 2,  # once for each choice
    "tune mine.py --run=search --trials=1": 1,
    "as a script": 1,
}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_executes_the_file_once_and_checks_each_network_once(
    line, counted, here, tmp_path, monkeypatch
):
    path, executions = counted
    networks = []
    resolve = zoo.resolve
    monkeypatch.setattr(zoo, "resolve", lambda *a, **b: networks.append(a) or resolve(*a, **b))
    # A trial has its own process, which reads its recipe from a file of the search.
    monkeypatch.setattr(worker, "command", lambda *_: [sys.executable, "-c", "raise SystemExit(2)"])
    if line == "as a script":
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["mine.py"])
        monkeypatch.setattr(sys, "path", [*sys.path])
        with pytest.raises(SystemExit) as done:
            runpy.run_path(str(path), run_name="__main__")
        code = done.value.code
        assert recipes.open(tmp_path / "runs" / "mine").finished
    else:
        code = here(*line.split()).returncode
    assert code == (2 if line.startswith("tune") else 0)  # all trials failed
    assert (executions(), len(networks)) == (1, COMMANDS[line])
