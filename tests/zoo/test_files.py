"""Files are replaced completely or not at all."""

import errno
import os

import pytest

from zoo import files


def test_writing_replaces_the_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "a.txt"
    files.write(path, lambda file: file.write("old"))
    files.write(path, lambda file: file.write(b"n\xe9w"), "wb")
    assert path.read_bytes() == b"n\xe9w"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_an_error_during_writing_leaves_the_file_unchanged(tmp_path, stop):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def half(file):
        file.write("ne")
        raise stop

    with pytest.raises(stop):
        files.write(path, half)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_is_replaced_completely(tmp_path):
    path = tmp_path / "saved"
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "old").touch()
    with files.replacing(path) as place:
        (place / "deep").mkdir(parents=True)
        (place / "deep" / "new").write_text("new")
        assert (path / "deep" / "old").exists()
    assert [p.relative_to(path).as_posix() for p in path.rglob("*")] == ["deep", "deep/new"]
    assert os.listdir(tmp_path) == ["saved"]


def test_a_file_is_flushed_before_it_is_moved_into_place(tmp_path, monkeypatch):
    events = []
    flush, move = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("flush"), flush(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("move"), move(a, b)))
    files.write(tmp_path / "a", lambda file: file.write("x"))
    assert events == ["flush", "move", "flush"]  # flushes the file, then the folder


def test_an_error_names_the_file(tmp_path):
    path = tmp_path / "nosuch" / "a"
    with pytest.raises(OSError, match="No such file") as found:
        files.write(path, lambda file: file.write("x"))
    assert found.value.filename == str(path)
    assert found.value.errno == errno.ENOENT


def test_one_line_joins_and_shortens_messages():
    assert files.one_line(ValueError("a\n  b\tc")) == "a b c"
    assert files.one_line(ValueError("abcdef"), 6) == "abcdef"
    assert files.one_line(ValueError("abcdefg"), 6) == "abc..."
    assert files.one_line(ValueError("\x1b[1mSorry\x1b[0m, \x1b[31;1mno"), 9) == "Sorry, no"
    assert files.one_line(KeyError()) == "KeyError"
