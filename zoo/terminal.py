"""Print any text on any terminal or into any pipe, whatever its encoding."""

import codecs
import functools
import os
import sys

JOINERS = "\u200c\u200d"  # invisible, but part of Persian and Indic scripts and of emoji
SPELLED = {"…": "..."}  # what is printed instead of characters that the encoding lacks


def installed_version() -> str:
    """Return the name and the version of this package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"convnet-zoo {version('convnet-zoo')}"
    except PackageNotFoundError:  # it runs from its source folder
        return "convnet-zoo (not installed)"


def plural(count: int, noun: str, nouns: str = "") -> str:
    """Return "1 image" or "2 images"; `nouns` is the plural if it is not `noun` with an s."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


@functools.cache
def print_once(text: str) -> None:
    """Print a line to stderr only once, because a command may open a data set several times."""
    print(text, file=sys.stderr)


def escape(character: str) -> str:
    r"""Return a character as an escape: ``\xe9`` for a byte that is not UTF-8, or ``\u732b``."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def printable(name: str | os.PathLike, encoding: str | None = None) -> str:
    """Return a text or a path in one line, with escapes for characters that cannot be printed.

    These are control characters, which a terminal would execute, bytes that are not UTF-8, and
    characters that the encoding lacks. In a table, they must be escaped before columns are aligned.

    Args:
        name: the text or path.
        encoding: encoding of the output; that of standard output by default. Use "utf-8" for names
            that are stored, such as those of classes, which must not depend on the terminal.
    """
    text = os.fspath(name)
    if text.isascii() and text.isprintable():
        return text
    encoding = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    return "".join(_shown(character, encoding) for character in text)


def _shown(character: str, encoding: str) -> str:
    if not (character.isprintable() or character in JOINERS):
        return escape(character)
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return SPELLED.get(character) or escape(character)
    return character


def escape_unencodable() -> None:
    """Make standard output and error write escapes for characters that their encoding lacks.

    Without this, names that are not UTF-8, or not ASCII if the output is, would raise errors.
    """
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors=_ESCAPED)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(SPELLED.get(c) or escape(c) for c in text), error.end


_ESCAPED = "zoo.escaped"
codecs.register_error(_ESCAPED, _escaped)
