"""The files of the page: HTML, styles, scripts, and plotly.js from the package plotly."""

import importlib.util
from pathlib import Path

HERE = Path(__file__).parent
PLOTLY = "plotly.min.js"
SCRIPTS = (
    "text.js", "colors.js", "panels.js", "figures.js", "parallel.js", "tables.js",
    "comparison.js", "details.js", "page.js",
)  # fmt: skip


def text_of(name: str) -> str:
    """Return the contents of one of the page's own files."""
    return (HERE / name).read_text("utf-8")


def plotly() -> str:
    """Return plotly.js, from the Python package that is installed; it is not imported.

    Raises:
        ValueError: if the package is missing.
    """
    found = importlib.util.find_spec("plotly")
    if found is None or found.origin is None:
        raise ValueError("plotly: the package is not installed; run: pip install 'plotly>=6'")
    return (Path(found.origin).parent / "package_data" / PLOTLY).read_text("utf-8")


def page() -> str:
    """Return the page as the server sends it, with its scripts as files."""
    links = "".join(f'<script src="{name}" defer></script>\n' for name in (PLOTLY, *SCRIPTS))
    return (
        text_of("page.html")
        .replace("<!-- styles -->", '<link rel="stylesheet" href="page.css">')
        .replace("<!-- scripts -->", links)
    )


def whole_page(data: str) -> str:
    """Return the page as one file that needs no other.

    Args:
        data: what the page shows, as JSON.
    """
    policy = (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
    )
    inlined = [f"<script>{script(each)}</script>\n" for each in (plotly(), *map(text_of, SCRIPTS))]
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<style>{text_of('page.css')}</style>"
    )
    kept = f'<script type="application/json" id="kept">{in_script(data)}</script>\n'
    before, after = text_of("page.html").replace("<!-- styles -->", head).split("<!-- scripts -->")
    return before + kept + "".join(inlined) + after


def in_script(json_text: str) -> str:
    """Escape JSON such that nothing in it ends the element of a script."""
    return json_text.replace("<", "\\u003c")


def script(text: str) -> str:
    """Return a script that may stand in an element."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")
