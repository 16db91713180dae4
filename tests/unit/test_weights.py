"""Which weights are taken, and what a download does when the Hub misbehaves.

The Hub is a server on this machine: huggingface_hub builds its addresses from one template.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from mobilesam import WeightsError
from mobilesam.model.download import (
    HUB_REPOSITORY,
    OFFICIAL_BYTES,
    OFFICIAL_NAME,
    OFFICIAL_SHA256,
    WEIGHTS_DIR,
    Download,
    discard_partial_downloads,
)
from mobilesam.model.weights import resolve_weights

CONTENT = bytes(range(256)) * 4096
"""What stands in for the official checkpoint: 1 MiB."""
DOWNLOAD = Download(
    size_bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest(), timeout_s=5
)

Reply = Callable[[BaseHTTPRequestHandler], None]


def send(handler: BaseHTTPRequestHandler, content: bytes, claimed: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content) if claimed is None else claimed))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty Hub cache, and a Hub at a port that refuses."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        point_hub_at(monkeypatch, unused.getsockname()[1])


def point_hub_at(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", constants.ENDPOINT + template)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Reply], list[str]]]:
    """serve(reply): starts the Hub with it; returns the list of paths that were asked for."""
    servers: list[ThreadingHTTPServer] = []

    def start(reply: Reply) -> list[str]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name that http.server looks for
                asked.append(self.path)
                reply(self)

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        point_hub_at(monkeypatch, server.server_port)
        return asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty weights folder."""
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture
def folder_with_bundled(folder: Path) -> Path:
    """A weights folder with the smallest thing that passes for bundled weights."""
    shard = folder / "model-00001-of-00001.safetensors"
    shard.write_bytes(b"bundled")
    sums = f"{hashlib.sha256(b'bundled').hexdigest()}  {shard.name}\n"
    (folder / "SHA256SUMS").write_text(sums)
    return folder


def hub_cache_file(content: bytes) -> Path:
    """Lays a file where huggingface_hub's cache would have it."""
    repository = Path(constants.HF_HUB_CACHE) / f"models--{HUB_REPOSITORY.replace('/', '--')}"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    (snapshot / OFFICIAL_NAME).write_bytes(content)
    return snapshot / OFFICIAL_NAME


def test_the_official_checkpoint_is_the_one_that_public_repositories_pin():
    assert Download() == Download(
        "dhkim2810/MobileSAM", "mobile_sam.pt", 40_728_226, OFFICIAL_SHA256
    )
    assert Download().size_bytes == OFFICIAL_BYTES
    assert OFFICIAL_SHA256.startswith("6dbb90523a35330f")
    assert Download().timeout_s < 10


def test_a_named_path_is_taken_before_all_else(folder, serve, tmp_path):
    asked = serve(lambda handler: send(handler, CONTENT))
    (folder / OFFICIAL_NAME).write_bytes(CONTENT)
    named = tmp_path / "mine.pt"
    named.write_bytes(b"anything")
    for name in (named, str(named)):
        weights = resolve_weights(name, folder=folder, download=DOWNLOAD)
        assert (weights.path, weights.kind) == (named, "custom")
        assert "mine.pt" in weights.reason
    assert asked == []


def test_a_named_folder_is_held_to_its_own_checksums(folder_with_bundled, tmp_path):
    shard = next(folder_with_bundled.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match=shard.name):
        resolve_weights(folder_with_bundled)


def test_a_named_path_that_does_not_exist_is_refused(folder_with_bundled, tmp_path):
    with pytest.raises(WeightsError, match=r"missing\.pt"):
        resolve_weights(tmp_path / "missing.pt", folder=folder_with_bundled, download=DOWNLOAD)


def test_bundled_means_bundled_even_where_the_official_weights_are(folder_with_bundled, serve):
    asked = serve(lambda handler: send(handler, CONTENT))
    (folder_with_bundled / OFFICIAL_NAME).write_bytes(CONTENT)
    weights = resolve_weights("bundled", folder=folder_with_bundled, download=DOWNLOAD)
    assert (weights.path, weights.kind) == (folder_with_bundled, "bundled")
    assert asked == []


@pytest.mark.parametrize("name", [None, "official"])
def test_the_official_file_in_the_folder_is_taken_before_the_cache_and_the_hub(folder, serve, name):
    asked = serve(lambda handler: send(handler, CONTENT))
    hub_cache_file(CONTENT)
    (folder / OFFICIAL_NAME).write_bytes(CONTENT)
    weights = resolve_weights(name, folder=folder, download=DOWNLOAD)
    assert (weights.path, weights.kind) == (folder / OFFICIAL_NAME, "official")
    assert asked == []


def test_another_file_under_the_official_name_is_used_but_not_called_official(folder):
    (folder / OFFICIAL_NAME).write_bytes(CONTENT[::-1])
    weights = resolve_weights(folder=folder, download=DOWNLOAD)
    assert (weights.path, weights.kind) == (folder / OFFICIAL_NAME, "custom")


@pytest.mark.parametrize("name", [None, "official"])
def test_the_hubs_cache_is_taken_before_a_download(folder, serve, name):
    asked = serve(lambda handler: send(handler, CONTENT))
    cached = hub_cache_file(CONTENT)
    weights = resolve_weights(name, folder=folder, download=DOWNLOAD)
    assert (weights.path, weights.kind) == (cached, "official")
    assert asked == []


def test_the_hubs_cache_serves_when_the_hub_is_switched_off(folder, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    cached = hub_cache_file(CONTENT)
    assert resolve_weights(folder=folder, download=DOWNLOAD).path == cached


def test_a_damaged_file_in_the_hubs_cache_is_passed_over(folder, serve):
    hub_cache_file(CONTENT[::-1])
    serve(lambda handler: send(handler, CONTENT))
    weights = resolve_weights(folder=folder, download=DOWNLOAD)
    assert weights.path == folder / OFFICIAL_NAME
    assert weights.path.read_bytes() == CONTENT


@pytest.mark.parametrize("name", [None, "official"])
def test_a_download_is_checked_and_kept(folder, serve, name, caplog):
    caplog.set_level(logging.INFO, "mobilesam")
    asked = serve(lambda handler: send(handler, CONTENT))
    weights = resolve_weights(name, folder=folder, download=DOWNLOAD)
    assert asked == [f"/{HUB_REPOSITORY}/resolve/main/{OFFICIAL_NAME}"]
    assert (weights.path, weights.kind) == (folder / OFFICIAL_NAME, "official")
    assert [file.name for file in folder.iterdir()] == [OFFICIAL_NAME]
    assert weights.path.read_bytes() == CONTENT
    assert "100%" in caplog.text
    assert resolve_weights(name, folder=folder, download=DOWNLOAD).path == weights.path
    assert len(asked) == 1


def test_a_download_follows_the_hubs_redirect(folder, serve):
    def reply(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/elsewhere":
            return send(handler, CONTENT)
        handler.send_response(302)
        handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return None

    asked = serve(reply)
    assert resolve_weights(folder=folder, download=DOWNLOAD).kind == "official"
    assert asked[1:] == ["/elsewhere"]


def cut_off(handler: BaseHTTPRequestHandler) -> None:
    send(handler, CONTENT[: len(CONTENT) // 3], claimed=len(CONTENT))


def end_early(handler: BaseHTTPRequestHandler) -> None:
    send(handler, CONTENT[: len(CONTENT) // 3])


def wrong_bytes(handler: BaseHTTPRequestHandler) -> None:
    send(handler, CONTENT[::-1])


def too_long(handler: BaseHTTPRequestHandler) -> None:
    send(handler, CONTENT * 4)


def not_found(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


FAILURES = {
    cut_off: "could not be reached",
    end_early: "ended after",
    wrong_bytes: "SHA-256",
    too_long: "ended after",
    not_found: "404",
    hang_up: "could not be reached",
}


@pytest.mark.parametrize(
    ("reply", "reason"), FAILURES.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_a_failed_download_is_one_sentence_and_leaves_nothing(folder, serve, reply, reason):
    serve(reply)
    with pytest.raises(WeightsError, match=reason):
        resolve_weights("official", folder=folder, download=DOWNLOAD)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("reply", "reason"), FAILURES.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_a_failed_download_falls_back_to_the_bundled_weights_and_says_why(
    folder_with_bundled, serve, reply, reason, caplog
):
    serve(reply)
    before = sorted(folder_with_bundled.iterdir())
    weights = resolve_weights(folder=folder_with_bundled, download=DOWNLOAD)
    assert (weights.path, weights.kind) == (folder_with_bundled, "bundled")
    assert reason in weights.reason
    assert reason in caplog.text
    assert sorted(folder_with_bundled.iterdir()) == before


def test_a_hub_that_refuses_connections_is_one_sentence_and_leaves_nothing(folder):
    with pytest.raises(WeightsError, match="could not be reached"):
        resolve_weights("official", folder=folder, download=DOWNLOAD)
    assert list(folder.iterdir()) == []


def test_a_hub_that_accepts_and_never_answers_is_given_up(folder, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        point_hub_at(monkeypatch, silent.getsockname()[1])
        impatient = Download(size_bytes=len(CONTENT), sha256=DOWNLOAD.sha256, timeout_s=1)
        start = time.monotonic()
        with pytest.raises(WeightsError, match=r"did not answer|could not be reached"):
            resolve_weights("official", folder=folder, download=impatient)
        assert time.monotonic() - start < 10
    assert list(folder.iterdir()) == []


def test_a_hub_that_falls_silent_in_the_middle_is_given_up(folder, serve):
    release = threading.Event()

    def reply(handler: BaseHTTPRequestHandler) -> None:
        cut_off(handler)
        release.wait(20)

    serve(reply)
    impatient = Download(size_bytes=len(CONTENT), sha256=DOWNLOAD.sha256, timeout_s=1)
    try:
        with pytest.raises(WeightsError, match=r"did not answer|could not be reached"):
            resolve_weights("official", folder=folder, download=impatient)
    finally:
        release.set()
    assert list(folder.iterdir()) == []


def test_a_name_look_up_that_hangs_is_given_up(folder, monkeypatch):
    release = threading.Event()

    def hang(*args: object, **kwargs: object) -> object:
        release.wait(20)
        raise OSError("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    impatient = Download(size_bytes=len(CONTENT), sha256=DOWNLOAD.sha256, timeout_s=1)
    try:
        with pytest.raises(WeightsError, match="did not answer"):
            resolve_weights("official", folder=folder, download=impatient)
    finally:
        release.set()
    assert list(folder.iterdir()) == []


def test_nothing_is_asked_of_a_hub_that_is_switched_off(folder_with_bundled, serve, monkeypatch):
    asked = serve(lambda handler: send(handler, CONTENT))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    weights = resolve_weights(folder=folder_with_bundled, download=DOWNLOAD)
    assert weights.kind == "bundled"
    assert "HF_HUB_OFFLINE" in weights.reason
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE"):
        resolve_weights("official", folder=folder_with_bundled, download=DOWNLOAD)
    assert asked == []


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path, serve):
    serve(lambda handler: send(handler, CONTENT))
    with pytest.raises(WeightsError, match="cannot be saved"):
        resolve_weights("official", folder=tmp_path / "missing", download=DOWNLOAD)


def test_a_full_disk_is_one_sentence_and_no_part_stays(folder, serve, monkeypatch):
    serve(lambda handler: send(handler, CONTENT))
    open_file = Path.open

    class Full:
        """A file that takes one block."""

        def __init__(self, path: Path, mode: str) -> None:
            self._file = open_file(path, mode)

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def write(self, block: bytes) -> None:
            if self._file.tell():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._file.write(block)

    monkeypatch.setattr(
        Path,
        "open",
        lambda path, mode="r", **options: (
            Full(path, mode) if path.suffix == ".part" else open_file(path, mode, **options)
        ),
    )
    with pytest.raises(WeightsError, match=r"No space left.*free 1 MB there, or use the bundled"):
        resolve_weights("official", folder=folder, download=DOWNLOAD)
    assert list(folder.iterdir()) == []


def test_a_process_that_stops_discards_the_part_that_it_has_and_no_other(folder, monkeypatch):
    other = folder / f"{OFFICIAL_NAME}.0.1.part"
    other.touch()

    def stopped_half_way(url: str, timeout_s: float) -> Iterator[bytes]:
        yield CONTENT[: len(CONTENT) // 2]
        assert len(list(folder.iterdir())) == 2
        discard_partial_downloads(folder)
        assert list(folder.iterdir()) == [other]

    monkeypatch.setattr("mobilesam.model.download._stream", stopped_half_way)
    with pytest.raises(WeightsError, match="ended after"):
        resolve_weights("official", folder=folder, download=DOWNLOAD)


def test_without_any_weights_there_is_one_sentence(folder):
    with pytest.raises(WeightsError, match="SHA256SUMS"):
        resolve_weights(folder=folder, download=DOWNLOAD)


def test_two_downloads_at_once_do_not_clash(folder, serve):
    """Both are half done before either goes on, as two servers that share a folder can be."""
    both_half_done = threading.Barrier(2)

    def reply(handler: BaseHTTPRequestHandler) -> None:
        half = len(CONTENT) // 2
        send(handler, CONTENT[:half], claimed=len(CONTENT))
        both_half_done.wait(10)
        handler.wfile.write(CONTENT[half:])

    serve(reply)
    with ThreadPoolExecutor(2) as pool:
        downloads = [
            pool.submit(resolve_weights, "official", folder=folder, download=DOWNLOAD)
            for _ in range(2)
        ]
        assert [download.result().kind for download in downloads] == ["official"] * 2
    assert [file.name for file in folder.iterdir()] == [OFFICIAL_NAME]
    assert (folder / OFFICIAL_NAME).read_bytes() == CONTENT


def test_the_usual_folder_is_the_one_with_the_bundled_weights():
    assert resolve_weights("bundled").path == WEIGHTS_DIR
