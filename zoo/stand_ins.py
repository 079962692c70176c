"""Files that hold something else than their names promise, as downloads leave them."""


def explanation(start: bytes) -> str:
    """Return what a file is that begins like this, and what to do; "" if it may be anything."""
    if not start:
        return "the file is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, not the file; run `git lfs pull` in its repository"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "it is a web page, not the file; download the file again"
    return ""
