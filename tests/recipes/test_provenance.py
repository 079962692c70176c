"""The commit that is recorded with the result of a run."""

import subprocess

import pytest

from recipes import provenance

pytestmark = pytest.mark.quick


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_commit_is_recorded_only_if_it_contains_this_package(tmp_path, monkeypatch):
    """The package may be installed in a folder of another repository."""
    file = tmp_path / "venv" / "recipes" / "provenance.py"
    file.parent.mkdir(parents=True)
    file.write_text("")
    monkeypatch.setattr(provenance, "__file__", str(file))
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "mine")
    assert provenance.commit() is None
    git(tmp_path, "add", "venv")
    git(tmp_path, "commit", "-q", "-m", "both")
    assert provenance.commit() == git(tmp_path, "rev-parse", "HEAD")
    file.write_text("changed")
    assert provenance.commit() == git(tmp_path, "rev-parse", "HEAD") + "-dirty"
