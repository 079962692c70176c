"""Text in pictures: shorten names in the middle, and escape characters that no font can draw.

File and class names come from users. They may contain line breaks, bytes that are not UTF-8, or
characters of scripts for which no font is installed. Such characters are written as escapes,
because a missing glyph would be drawn as an empty box, and a lone surrogate is an error.
"""

from __future__ import annotations

import functools
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from zoo.terminal import escape

FAMILY = "DejaVu Sans"  # comes with matplotlib
# Fonts that draw boxes or formulas, or the same characters as FAMILY.
_UNFIT = ("Last Resort", "STIX", "cm", "DejaVu")


def visible(text: str) -> str:
    r"""Return the text on one line, with the characters that cannot be drawn as escapes.

    A line break becomes ``\n``, a byte that is not UTF-8 ``\xe9``, and a character that no
    installed font has ``\u732b``.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if _is_drawn(c) else escape(c) for c in text)


def families(texts: Iterable[str]) -> list[str]:
    """Return the font families that together can draw the texts, matplotlib's own first."""
    needed = sorted({c for text in texts for c in text if c.isprintable() and not c.isascii()})
    found = (font for c in needed if (font := _font_with(c)) is not None)
    return list(dict.fromkeys([FAMILY, *(family for family, _ in found)]))


def pillow_font(text: str, size: float) -> Any:
    """Return the installed font that has the most characters of a text, for Pillow."""
    from matplotlib import font_manager
    from PIL import ImageFont

    fonts = Counter(font[1] for c in text if not c.isascii() and (font := _font_with(c)))
    default = font_manager.findfont(FAMILY)
    path = fonts.most_common(1)[0][0] if fonts else default
    return ImageFont.truetype(path, size)


def covered(text: str, font: Any) -> str:
    """Return the text with escapes for the characters that a Pillow font does not have."""
    glyphs = _glyphs(font.path)
    return "".join(c if c.isprintable() and glyphs(ord(c)) else escape(c) for c in text)


def width(text: str) -> int:
    """Return the width of a text in columns. CJK characters and emoji take two columns."""
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def shorter(text: str, most: int, end: int | None = None) -> str:
    """Return the text shortened to at most `most` columns, with an ellipsis.

    Args:
        text: the text.
        most: the maximum number of columns.
        end: the number of columns to keep at the end; None for half, so that the middle is removed.
    """
    if width(text) <= most:
        return text
    end = (most - 1) // 2 if end is None else end
    last = _start(text[::-1], end)[::-1]
    return f"{_start(text, most - 1 - end)}…{last}"


def shortened(
    names: Sequence[str], most: int = 16, fit: Callable[[str], str] = visible
) -> list[str]:
    """Return the names shortened to at most `most` columns, all different.

    Names are shortened in the middle. If that makes some of them equal, more of their start or end
    is kept. Names that are still equal get their index at the end.

    Args:
        names: the names.
        most: the maximum number of columns.
        fit: a function that escapes what cannot be drawn or printed.
    """
    names = [fit(name) for name in names]
    found: dict[int, str] = {}
    for end in ((most - 1) // 2, 0, *range(1, most)):
        cut = [shorter(name, most, end) for name in names]
        often = Counter([*cut, *found.values()])
        found |= {i: cut[i] for i in range(len(cut)) if i not in found and often[cut[i]] == 1}
        if len(found) == len(names):
            break
    return [
        found.get(i) or f"{shorter(name, most - len(str(i)), 0)}{i}" for i, name in enumerate(names)
    ]


def fitted(text: str, limit: float, measure: Callable[[str], float]) -> str:
    """Return the text, shortened in the middle until `measure(text)` is at most `limit`."""
    text = visible(text)
    most = width(text)
    while most > 3 and measure(shorter(text, most)) > limit:
        most -= 1
    return shorter(text, most)


def _start(text: str, columns: int) -> str:
    """Return the start of a text that fits into a number of columns."""
    used = 0
    for place, character in enumerate(text):
        used += width(character)
        if used > columns:
            return text[:place]
    return text


def _is_drawn(character: str) -> bool:
    return character.isprintable() and (character.isascii() or _font_with(character) is not None)


@functools.cache
def _font_with(character: str) -> tuple[str, str] | None:
    """Return the family and the file of the first font that has a character, or None."""
    return next((font for font in _fonts() if _glyphs(font[1])(ord(character))), None)


@functools.cache
def _fonts() -> list[tuple[str, str]]:
    """Return the installed fonts, one file for each family.

    Matplotlib's own comes first, then sans-serif fonts, then the others.
    """
    from matplotlib import font_manager

    entries = [e for e in font_manager.fontManager.ttflist if not e.name.startswith(_UNFIT)]
    entries.sort(key=lambda e: ("Sans" not in e.name, e.style != "normal", _heaviness(e.weight)))
    found = {FAMILY: str(font_manager.findfont(FAMILY))}
    for entry in entries:
        found.setdefault(entry.name, str(entry.fname))
    return list(found.items())


def _heaviness(weight: int | str) -> int:
    """Return the distance of a font's weight from the regular weight."""
    return (
        abs(weight - 400) if isinstance(weight, int) else int(weight not in ("normal", "regular"))
    )


@functools.lru_cache(64)  # an open font is an open file
def _glyphs(path: str) -> Callable[[int], int]:
    """Return a function from a character to its glyph in a font file, or 0 if it has none.

    Fonts without outlines have none, because they cannot be scaled.
    """
    from matplotlib import ft2font

    try:
        font = ft2font.FT2Font(path)
        scalable = bool(font.face_flags & ft2font.FaceFlags.SCALABLE)
    except (OSError, RuntimeError):
        scalable = False
    return font.get_char_index if scalable else lambda _: 0
