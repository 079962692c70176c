"""tools/readme runs the commands of the pages in order, and stops at the first that fails."""

import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick
TOOL = Path(__file__).parents[1] / "tools/readme"


@pytest.fixture
def tool(tmp_path):
    """Return the tool for two pages, each of which appends to the file `log`."""
    loader = importlib.machinery.SourceFileLoader("readme", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("readme", loader))
    loader.exec_module(module)
    module.ROOT, module.PAGES = tmp_path, ("first.md", "second.md")
    (tmp_path / "first.md").write_text(
        "```bash\necho bash >> log\n```\n"
        "```sh\necho sh >> log\n```\n"
        "```python\nprint('python', file=open('log', 'a'))\n```\n"
        "```py\nraise ValueError\n```\n"
    )
    (tmp_path / "second.md").write_text(
        "```bash\necho second >> log\n```\n```bash\nexit 3\n```\n```bash\necho never >> log\n```\n"
    )
    return module


@pytest.mark.parametrize(
    ("chosen", "code", "run"),
    [
        ([], 3, ["bash", "python", "second"]),
        (["2"], 0, ["bash", "python"]),
        (["first.md"], 0, ["bash", "python"]),
        (["second.md"], 3, ["second"]),
    ],
)
def test_blocks_run_in_order_until_one_fails(chosen, code, run, tool, tmp_path):
    assert tool.main(*chosen) == code
    assert (tmp_path / "log").read_text().split() == run


def test_an_unknown_page_is_a_one_line_error(tool, capsys):
    assert tool.main("third.md") == 2
    assert capsys.readouterr().err == (
        "readme: 'third.md': must be a number or one of first.md, second.md\n"
    )
