"""Recognize files that do not contain what their names say, such as failed downloads."""


def explanation(start: bytes) -> str:
    """Explain what a file with these first bytes is, and what to do; "" if it cannot be told."""
    if not start:
        return "the file is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, not the file; run `git lfs pull` in its repository"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "it is a web page, not the file; download the file again"
    return ""
