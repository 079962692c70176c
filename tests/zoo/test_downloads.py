"""Downloads from a local server: resumed, interrupted, tampered with, killed."""

import hashlib
import http.server
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest

from zoo import files
from zoo.checkpoints import downloads

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT with ranges; words in the path select what goes wrong."""

    protocol_version = "HTTP/1.1"
    requests: Counter
    ranges: list

    def do_GET(self):
        self.requests[self.path] += 1
        self.ranges.append(self.headers.get("Range"))
        content, tag = CONTENT, '"one"'
        if "missing" in self.path:
            self.send_error(404)
            return
        if "tampered" in self.path:
            content = CONTENT[:-1] + b"?"
        if "replaced" in self.path and self.requests[self.path] > 1:
            content, tag = CONTENT[::-1], '"two"'
        if "endless" in self.path:
            self.send_endlessly()
            return
        start = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted and "norange" not in self.path and self.headers.get("If-Range") == tag:
            start = int(wanted[1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", tag)
        self.end_headers()
        end = len(content)
        often = "always" in self.path
        if ("cut" in self.path and self.requests[self.path] == 1) or often:
            end = start + (len(content) - start) // 2
        if "slow" in self.path:
            for i in range(start, end, 50_000):
                self.wfile.write(content[i : min(i + 50_000, end)])
                self.wfile.flush()
                time.sleep(0.05)
        else:
            self.wfile.write(content[start:end])
        if end < len(content):
            self.close_connection = True

    def send_endlessly(self):
        """Send until the client closes the connection, with a length, in chunks, or neither."""
        self.send_response(200)
        length, chunked = "length" in self.path, "chunks" in self.path
        if length:
            self.send_header("Content-Length", str(10**12))
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        block = CONTENT[: 1 << 16]
        if chunked:
            block = b"%x\r\n%b\r\n" % (len(block), block)
        try:
            while True:
                self.wfile.write(block)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A running server; downloads go to tmp_path / "cache"."""
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = type("Once", (Handler,), {"requests": Counter(), "ranges": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.handler = handler
        running.url = f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def cached_names(tmp_path):
    folder = tmp_path / "cache"
    return sorted(x.name[9:] for x in folder.iterdir()) if folder.exists() else []


@pytest.mark.quick
@pytest.mark.parametrize("expected", [f"sha256:{SHA}", f"sha256:{SHA[:8]}", f"md5:{MD5}"])
def test_a_file_is_downloaded_once(server, tmp_path, expected):
    path = downloads.fetch(f"{server.url}/weights.bin", expected)
    assert path.read_bytes() == CONTENT
    assert downloads.fetch(f"{server.url}/weights.bin", expected) == path
    assert sum(server.handler.requests.values()) == 1
    assert cached_names(tmp_path) == ["weights.bin"]


@pytest.mark.parametrize(("name", "start"), [("cut.bin", 1_500_000), ("cut-norange.bin", 0)])
def test_an_interrupted_download_is_resumed(server, tmp_path, name, start):
    """A server without ranges sends the whole file again."""
    path = downloads.fetch(f"{server.url}/{name}", f"sha256:{SHA}")
    assert path.read_bytes() == CONTENT
    assert server.handler.ranges == [None, "bytes=1500000-"]
    assert cached_names(tmp_path) == [name]


def test_files_of_the_same_name_are_cached_separately(server):
    paths = [downloads.fetch(f"{server.url}/{folder}/weights.bin") for folder in "ab"]
    assert paths[0] != paths[1]


def test_a_file_that_changed_on_the_server_is_downloaded_from_the_start(server, tmp_path):
    path = downloads.fetch(f"{server.url}/cut-replaced.bin")
    assert path.read_bytes() == CONTENT[::-1]


def test_a_server_that_always_disconnects_is_a_one_line_error(server, tmp_path):
    with pytest.raises(ValueError, match=r"ended after 2,625,000 of 3,000,000 bytes") as error:
        downloads.fetch(f"{server.url}/always.bin", f"sha256:{SHA}")
    assert "\n" not in str(error.value)
    assert "always.bin" not in cached_names(tmp_path)


@pytest.mark.parametrize("expected", [f"sha256:{SHA[:8]}", f"md5:{MD5}"])
def test_a_tampered_file_is_not_kept(server, tmp_path, expected):
    with pytest.raises(ValueError, match="is not the expected one, and was removed"):
        downloads.fetch(f"{server.url}/tampered.bin", expected)
    assert cached_names(tmp_path) == []


def test_a_wrong_partial_file_is_discarded(server, tmp_path):
    """The hash shows that it is wrong, and the whole file is downloaded again."""
    begun = downloads.cached(f"{server.url}/weights.bin")
    begun.parent.mkdir()
    begun.with_name(f"{begun.name}.part").write_bytes(b"x" * 1000)
    begun.with_name(f"{begun.name}.part.etag").write_text('"one"')
    path = downloads.fetch(f"{server.url}/weights.bin", f"sha256:{SHA}")
    assert path.read_bytes() == CONTENT
    assert server.handler.ranges == ["bytes=1000-", None]


def test_a_changed_file_in_the_cache_is_replaced(server, tmp_path):
    """Without a known hash, the stored hash of the first download shows the change."""
    for expected in (f"sha256:{SHA}", ""):
        path = downloads.fetch(f"{server.url}/weights.bin", expected)
        path.write_bytes(CONTENT[:-1])
        assert downloads.fetch(f"{server.url}/weights.bin", expected).read_bytes() == CONTENT
        path.unlink()


@pytest.mark.quick
def test_a_missing_file_or_server_is_an_error(server, tmp_path):
    with pytest.raises(ValueError, match=r"cannot download .*missing.bin: 404 Not Found"):
        downloads.fetch(f"{server.url}/missing.bin")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(
        ValueError, match=r"cannot download .*refused; check the internet connection, or"
    ):
        downloads.fetch(f"http://127.0.0.1:{port}/weights.bin")
    assert cached_names(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_an_error(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ValueError, match="cannot download"):
        downloads.fetch(f"{server.url}/weights.bin")


FETCH = "import sys; from zoo.checkpoints import downloads; downloads.fetch(*sys.argv[1:])"


def test_the_next_process_resumes_a_killed_download(server, tmp_path):
    """Until it is complete, its path does not exist."""
    url = f"{server.url}/slow.bin"
    part = downloads.cached(url).with_name(f"{downloads.cached(url).name}.part")
    process = subprocess.Popen([sys.executable, "-c", FETCH, url, f"sha256:{SHA}"])
    while not (part.is_file() and part.stat().st_size > 0):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert "slow.bin" not in cached_names(tmp_path)
    assert downloads.fetch(url, f"sha256:{SHA}").read_bytes() == CONTENT
    assert re.fullmatch(r"bytes=[1-9]\d*-", server.handler.ranges[-1])


def test_two_processes_download_once(server, tmp_path):
    url = f"{server.url}/slow.bin"
    both = [subprocess.Popen([sys.executable, "-c", FETCH, url, f"sha256:{SHA}"]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert cached_names(tmp_path) == ["slow.bin"]
    assert server.handler.requests["/slow.bin"] == 1


def test_environment_variables_choose_the_cache_directory(monkeypatch, tmp_path):
    for name in ("CONVNET_ZOO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.cache_dir() == tmp_path / ".cache" / "convnet-zoo"
    monkeypatch.setenv("XDG_CACHE_HOME", os.path.join(tmp_path, "xdg"))
    assert files.cache_dir() == tmp_path / "xdg" / "convnet-zoo"
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path / "own"))
    assert files.cache_dir() == tmp_path / "own"


@pytest.mark.quick
@pytest.mark.parametrize("kind", ["length", "chunks", "close"])
@pytest.mark.parametrize("limit", ["size", "disk"])
def test_a_download_without_end_is_stopped(server, tmp_path, monkeypatch, kind, limit):
    """It would fill the disk; nothing of it is kept."""
    if limit == "size":
        monkeypatch.setattr(downloads, "LARGEST", 1 << 22)
        words = r"more than 4,194,304 bytes, which no file of weights has; check the address"
    else:
        monkeypatch.setattr(downloads, "LARGEST", 1 << 50)
        usage = downloads.shutil.disk_usage(tmp_path)

        def smaller(path):  # a disk of 1 MB more than what a download leaves free
            used = sum(file.stat().st_size for file in path.iterdir())
            return usage._replace(free=downloads.SPARE + (1 << 20) - used)

        monkeypatch.setattr(downloads.shutil, "disk_usage", smaller)
        words = r"it needs .* more bytes, but only .* are free in .*cache; free some space"
    with pytest.raises(ValueError, match=words):
        downloads.fetch(f"{server.url}/endless-{kind}.h5")
    assert cached_names(tmp_path) == []
