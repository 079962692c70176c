"""Serve the page on this machine: read-only, without anything from another server."""

import errno
import functools
import gzip
import json
import os
import socket
import sys
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from recipes.watch import details, places
from recipes.watch.assets import PLOTLY, SCRIPTS, page, plotly, text_of
from recipes.watch.estimates import Estimates
from recipes.watch.state import State
from zoo.terminal import printable

PORT = 8750
ADDRESS = "127.0.0.1"
# Another page must not read this one through a name that leads to 127.0.0.1. The port is free,
# because a tunnel may give it another number.
HOSTS = ("127.0.0.1", "localhost")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}


def serve(paths: Sequence[str | Path], port: int = PORT) -> None:
    """Serve the page about searches and runs until Ctrl-C.

    Args:
        paths: directories of searches, runs and comparisons.
        port: the port on 127.0.0.1.

    Raises:
        ValueError: if a path contains neither a search nor a run, or the port cannot be used.
    """
    if not 1 <= port <= 65535:
        raise ValueError(f"port={port}: must be from 1 to 65535")
    state = State(places.check(paths), importance=Estimates().latest)
    with _bound(port, state) as server:
        print(f"The page is at http://{ADDRESS}:{port}/ until you press Ctrl-C.", flush=True)
        server.serve_forever(poll_interval=0.2)


def _bound(port: int, state: State) -> "Server":
    try:
        return Server((ADDRESS, port), state)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ValueError(
                f"port={port}: another program uses this port; use --port={_free_port(port)}"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise ValueError(
                f"port={port}: not permitted; use a port above 1023, such as {_free_port(PORT)}"
            ) from None
        raise ValueError(f"port={port}: {error.strerror}") from None


def _free_port(start: int) -> int:
    """Return a port that nothing uses, one of the next ones if possible."""
    for port in [*range(start + 1, min(start + 50, 65536)), 0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                continue
            return probe.getsockname()[1]
    return start


class Server(ThreadingHTTPServer):
    """A server of the page about one state."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], state: State):
        self.state = state
        super().__init__(address, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):  # a browser that went away
            print(f"watch: {type(error).__name__}: {error}", file=sys.stderr)


class Handler(BaseHTTPRequestHandler):
    """Answers one request; each kind of address has a method."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 60
    server_version, sys_version = "recipes", ""

    def do_GET(self) -> None:
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in HOSTS:
            self._send(HTTPStatus.FORBIDDEN, b"Only http://127.0.0.1 and http://localhost.\n")
            return
        parts = urlsplit(self.path)
        query = {
            name: values[0]
            for name, values in parse_qs(parts.query, errors="surrogateescape").items()
        }
        name = parts.path.lstrip("/")
        if name in ("", "page.css", *SCRIPTS):
            kind = TYPES.get(Path(name).suffix, "text/html")
            self._send(HTTPStatus.OK, (text_of(name) if name else page()).encode(), kind)
        elif name == PLOTLY:
            # A browser keeps it for a day. Compressed, because of tunnels.
            self._send(
                HTTPStatus.OK, _plotly(), TYPES[".js"], {"Content-Encoding": "gzip"}, seconds=86400
            )
        elif name == "data":
            self._data(query.get("since"))
        elif name == "run":
            self._details(query.get("key", ""))
        elif name == "picture":
            self._picture(query.get("key", ""), query.get("name", ""))
        else:
            self._missing()

    do_HEAD = do_GET  # noqa: N815

    def _data(self, since: str | None) -> None:
        found = self.server.state.since(since)
        if found is None:
            self._send(HTTPStatus.NOT_MODIFIED, b"")
        else:
            self._json(found)

    def _details(self, key: str) -> None:
        where = self.server.state.folders.get(key)
        if where is None:
            self._missing()
            return
        found = details.details(*where)
        found["pictures"] = [
            {
                "name": printable(name, "utf-8"),
                "src": f"picture?key={quote(key)}&name={quote(os.fsencode(name))}",
            }
            for name, _ in details.pictures(where[0])
        ]
        self._json(found)

    def _picture(self, key: str, name: str) -> None:
        folder = self.server.state.folders.get(key, (None,))[0]
        path = None if folder is None else dict(details.pictures(folder)).get(name)
        try:
            content = b"" if path is None else path.read_bytes()
        except OSError:  # removed since
            content = b""
        self._send(HTTPStatus.OK, content, TYPES[".png"]) if content else self._missing()

    def _json(self, value: Any) -> None:
        content = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
        headers = {}
        if len(content) > 20_000 and "gzip" in self.headers.get("Accept-Encoding", ""):
            content, headers = gzip.compress(content, 1), {"Content-Encoding": "gzip"}
        self._send(HTTPStatus.OK, content, "application/json", headers)

    def _missing(self) -> None:
        self._send(HTTPStatus.NOT_FOUND, b"There is nothing at this address.\n")

    def _send(
        self,
        status: HTTPStatus,
        content: bytes,
        kind: str = "text/plain",
        headers: dict[str, str] | None = None,
        seconds: int = 0,
    ) -> None:
        self.send_response(status)
        charset = "" if kind.startswith("image/") else "; charset=utf-8"
        sent = {
            "Content-Type": kind + charset,
            "Content-Length": str(len(content)),
            "Cache-Control": f"max-age={seconds}" if seconds else "no-store",
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in (sent | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing about requests."""


@functools.cache
def _plotly() -> bytes:
    return gzip.compress(plotly().encode(), 5)
