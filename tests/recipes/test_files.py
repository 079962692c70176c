"""What is said of a recipe file that cannot be run."""

import pytest

from recipes import recipe_files

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("assert False", "{path}: AssertionError"),
        ("{}['lr']", "{path}: KeyError: 'lr'"),
        ("raise ValueError('lr=0')", "{path}: lr=0"),
        ("x = (", "{path}, line 1: '(' was never closed"),
        ("import its_blocks", "{other}, line 2: '(' was never closed"),
    ],
)
def test_an_error_names_itself_and_its_file(text, said, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path, other = tmp_path / "mine.py", tmp_path / "its_blocks.py"
    path.write_text(text)
    other.write_text("\nx = (")
    with pytest.raises(ValueError, match=r"mine|its") as error:
        recipe_files.read(path)
    assert str(error.value) == said.format(path=path, other=other)
