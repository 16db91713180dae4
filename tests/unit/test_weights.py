"""Which weights are used, and what happens when the Hub misbehaves.

The Hub is a server on this machine: it answers as the real one, with headers that name the revision
and the file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from mobilesam import WeightsError
from mobilesam.model.weights import WEIGHTS_DIR, Download, Weights, resolve_weights

CONTENT = bytes(range(256)) * 4096
"""Stands in for the official checkpoint: 1 MiB."""
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REVISION = "0" * 40
OFFICIAL = "mobile_sam.pt"

Reply = Callable[[BaseHTTPRequestHandler], None]
Serve = Callable[[Reply], list[str]]


class Hub:
    """Where `resolve` looks for the Hub: first at a port that refuses connections."""

    def __init__(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            self.download = Download(
                size_bytes=len(CONTENT), sha256=SHA256, endpoint=address(unused), answer_timeout_s=5
            )


def address(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def send_headers(handler: BaseHTTPRequestHandler, size: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(size))
    handler.send_header("ETag", f'"{SHA256}"')
    handler.send_header("X-Repo-Commit", REVISION)
    handler.end_headers()


def send(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    send_headers(handler, len(content))
    handler.wfile.write(content)


def send_checkpoint(handler: BaseHTTPRequestHandler) -> None:
    send(handler, CONTENT)


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # Telemetry asks huggingface.co for a list of its own, whatever the endpoint is.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    return Hub()


@pytest.fixture
def serve(hub: Hub) -> Iterator[Serve]:
    """serve(reply): starts a Hub whose GET is `reply`; returns the list of requests."""
    servers: list[ThreadingHTTPServer] = []

    def start(reply: Reply) -> list[str]:
        requests: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:  # the name that http.server looks for
                requests.append(f"HEAD {self.path}")
                send_headers(self, len(CONTENT))

            def do_GET(self) -> None:
                requests.append(f"GET {self.path}")
                reply(self)

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        hub.download = replace(hub.download, endpoint=address(server.socket))
        return requests

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
    """A weights folder with the smallest valid bundled weights."""
    shard = folder / "model-00001-of-00001.safetensors"
    shard.write_bytes(b"bundled")
    sums = f"{hashlib.sha256(b'bundled').hexdigest()}  {shard.name}\n"
    (folder / "SHA256SUMS").write_text(sums)
    return folder


@pytest.fixture
def resolve(hub: Hub) -> Callable[..., Weights]:
    """resolve(name, folder): resolve_weights with the Hub on this machine."""

    def resolve_here(name: str | Path | None, folder: Path) -> Weights:
        return resolve_weights(name, folder, hub.download)

    return resolve_here


def snapshot() -> Path:
    """Where huggingface_hub's cache has the checkpoint."""
    return repository() / "snapshots" / REVISION / OFFICIAL


def repository() -> Path:
    return Path(constants.HF_HUB_CACHE) / "models--dhkim2810--MobileSAM"


def write_to_cache(content: bytes) -> Path:
    snapshot().parent.mkdir(parents=True)
    (repository() / "refs").mkdir()
    (repository() / "refs" / "main").write_text(REVISION)
    (repository() / "blobs").mkdir()
    (repository() / "blobs" / SHA256).write_bytes(content)
    snapshot().symlink_to(repository() / "blobs" / SHA256)
    return snapshot()


def test_the_official_checkpoint_is_the_one_that_public_repositories_pin():
    official = Download()
    assert official.repository == "dhkim2810/MobileSAM"
    assert official.filename == OFFICIAL
    assert official.size_bytes == 40_728_226
    assert official.sha256.startswith("6dbb90523a35330f")
    assert official.answer_timeout_s < 10


def test_a_named_path_comes_first(folder, serve, resolve, tmp_path):
    requests = serve(send_checkpoint)
    (folder / OFFICIAL).write_bytes(CONTENT)
    named = tmp_path / "mine.pt"
    named.write_bytes(b"anything")
    for name in (named, str(named)):
        weights = resolve(name, folder)
        assert (weights.path, weights.kind) == (named, "custom")
        assert "mine.pt" in weights.reason
    assert requests == []


def test_a_named_folder_is_checked_against_its_own_checksums(folder_with_bundled):
    shard = next(folder_with_bundled.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match=shard.name):
        resolve_weights(folder_with_bundled)


def test_a_named_path_that_does_not_exist_is_refused(folder_with_bundled, resolve, tmp_path):
    with pytest.raises(WeightsError, match=r"missing\.pt"):
        resolve(tmp_path / "missing.pt", folder_with_bundled)


def test_bundled_means_bundled_even_if_the_official_weights_are_there(
    folder_with_bundled, serve, resolve
):
    requests = serve(send_checkpoint)
    (folder_with_bundled / OFFICIAL).write_bytes(CONTENT)
    weights = resolve("bundled", folder_with_bundled)
    assert (weights.path, weights.kind) == (folder_with_bundled, "bundled")
    assert requests == []


@pytest.mark.parametrize("name", [None, "official"])
def test_the_official_file_in_the_folder_comes_before_the_cache(folder, serve, resolve, name):
    requests = serve(send_checkpoint)
    write_to_cache(CONTENT)
    (folder / OFFICIAL).write_bytes(CONTENT)
    weights = resolve(name, folder)
    assert (weights.path, weights.kind) == (folder / OFFICIAL, "official")
    assert requests == []


def test_another_file_under_the_official_name_is_used_but_not_called_official(folder, resolve):
    (folder / OFFICIAL).write_bytes(CONTENT[::-1])
    weights = resolve(None, folder)
    assert (weights.path, weights.kind) == (folder / OFFICIAL, "custom")


@pytest.mark.parametrize("name", [None, "official"])
def test_the_hubs_cache_comes_before_a_download(folder, serve, resolve, name):
    requests = serve(send_checkpoint)
    cached = write_to_cache(CONTENT)
    weights = resolve(name, folder)
    assert (weights.path, weights.kind) == (cached, "official")
    assert requests == []


def test_the_hubs_cache_is_used_offline(folder, resolve, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    cached = write_to_cache(CONTENT)
    assert resolve(None, folder).path == cached


def test_a_wrong_file_in_the_hubs_cache_is_reported_and_replaced(folder, serve, resolve, caplog):
    cached = write_to_cache(CONTENT[::-1])
    serve(send_checkpoint)
    weights = resolve(None, folder)
    assert weights.path.read_bytes() == cached.read_bytes() == CONTENT
    assert f"{cached} is not used: its size or SHA-256 is wrong." in caplog.text


def test_a_wrong_file_in_the_hubs_cache_is_reported_on_the_page_offline(
    folder_with_bundled, resolve, monkeypatch
):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    write_to_cache(CONTENT[:-1])
    weights = resolve(None, folder_with_bundled)
    assert weights.kind == "bundled"
    assert "HF_HUB_OFFLINE" in weights.reason
    assert "The file in the Hub's cache is not used" in weights.reason


@pytest.mark.parametrize("name", [None, "official"])
def test_a_download_is_checked_and_kept(folder, serve, resolve, name):
    requests = serve(send_checkpoint)
    weights = resolve(name, folder)
    assert set(requests) == {
        f"{method} /dhkim2810/MobileSAM/resolve/main/{OFFICIAL}" for method in ("HEAD", "GET")
    }
    assert (weights.path, weights.kind) == (snapshot(), "official")
    assert weights.path.read_bytes() == CONTENT
    assert list(folder.iterdir()) == []
    requests.clear()
    assert resolve(name, folder).path == weights.path
    assert requests == []


def test_a_download_needs_no_folder(tmp_path, serve, resolve):
    serve(send_checkpoint)
    assert resolve("official", tmp_path / "missing").path == snapshot()


def test_without_a_writable_cache_one_sentence_names_the_setting(
    folder_with_bundled, serve, resolve, tmp_path, monkeypatch
):
    """As root, only a path below a file cannot be written."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    serve(send_checkpoint)
    weights = resolve(None, folder_with_bundled)
    assert weights.kind == "bundled"
    assert "cannot be saved in the Hub's cache (Not a directory); set HF_HOME" in weights.reason
    assert "MB" not in weights.reason


def test_a_full_disk_is_one_sentence(folder, serve, resolve, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    serve(send_checkpoint)
    with pytest.raises(WeightsError, match=r"No space left on device\); free some disk space"):
        resolve("official", folder)


def test_a_download_follows_the_hubs_redirect(folder, serve, resolve):
    def reply(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/elsewhere":
            return send(handler, CONTENT)
        handler.send_response(302)
        handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return None

    requests = serve(reply)
    assert resolve(None, folder).kind == "official"
    assert "GET /elsewhere" in requests


def end_early(handler: BaseHTTPRequestHandler) -> None:
    send(handler, CONTENT[: len(CONTENT) // 3])


def wrong_bytes(handler: BaseHTTPRequestHandler) -> None:
    send(handler, CONTENT[::-1])


def too_long(handler: BaseHTTPRequestHandler) -> None:
    send(handler, CONTENT * 4)


def not_found(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


FAILURES = {
    end_early: "the download failed",
    wrong_bytes: "SHA-256",
    too_long: "the download failed",
    not_found: "404",
}


@pytest.mark.parametrize(
    ("reply", "reason"), FAILURES.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_a_failed_download_is_one_sentence_and_leaves_no_file(
    folder, serve, resolve, reply, reason
):
    serve(reply)
    with pytest.raises(WeightsError, match=reason):
        resolve("official", folder)
    assert list(folder.iterdir()) == []


def test_a_failed_download_falls_back_to_the_bundled_weights_and_says_why(
    folder_with_bundled, serve, resolve, caplog
):
    serve(wrong_bytes)
    before = sorted(folder_with_bundled.iterdir())
    weights = resolve(None, folder_with_bundled)
    assert (weights.path, weights.kind) == (folder_with_bundled, "bundled")
    assert "SHA-256" in weights.reason
    assert "SHA-256" in caplog.text
    assert sorted(folder_with_bundled.iterdir()) == before


def test_a_hub_that_refuses_connections_is_one_sentence_at_once(folder, resolve):
    start = time.monotonic()
    with pytest.raises(WeightsError, match="cannot be reached"):
        resolve("official", folder)
    assert time.monotonic() - start < 4
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_hub_that_accepts_and_never_answers_is_given_up(folder, hub, resolve):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hub.download = replace(hub.download, endpoint=address(silent), answer_timeout_s=1)
        start = time.monotonic()
        with pytest.raises(WeightsError, match="did not answer"):
            resolve("official", folder)
        assert time.monotonic() - start < 10


@pytest.mark.slow
def test_a_transfer_that_stalls_is_given_up(folder, hub, serve, resolve):
    release = threading.Event()

    def stall(handler: BaseHTTPRequestHandler) -> None:
        send_headers(handler, len(CONTENT))
        handler.wfile.write(CONTENT[: len(CONTENT) // 3])
        release.wait(20)
        handler.wfile.write(CONTENT[len(CONTENT) // 3 :])

    serve(stall)
    hub.download = replace(hub.download, transfer_timeout_s=1)
    try:
        with pytest.raises(WeightsError, match="did not answer in time"):
            resolve("official", folder)
    finally:
        release.set()
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_name_look_up_that_hangs_is_given_up(folder, hub, resolve, monkeypatch):
    release = threading.Event()

    def hang(*args: object, **kwargs: object) -> object:
        release.wait(20)
        raise OSError("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    hub.download = replace(hub.download, answer_timeout_s=1)
    try:
        with pytest.raises(WeightsError, match="did not answer"):
            resolve("official", folder)
    finally:
        release.set()


def test_nothing_is_requested_from_the_hub_offline(
    folder_with_bundled, serve, resolve, monkeypatch
):
    requests = serve(send_checkpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    weights = resolve(None, folder_with_bundled)
    assert weights.kind == "bundled"
    assert "HF_HUB_OFFLINE" in weights.reason
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE"):
        resolve("official", folder_with_bundled)
    assert requests == []


def test_without_any_weights_there_is_one_sentence(folder, resolve):
    with pytest.raises(WeightsError, match="SHA256SUMS"):
        resolve(None, folder)


def test_two_downloads_at_once_both_get_the_whole_file(folder, serve, resolve):
    serve(send_checkpoint)
    with ThreadPoolExecutor(2) as pool:
        downloads = [pool.submit(resolve, "official", folder) for _ in range(2)]
        assert [download.result().kind for download in downloads] == ["official"] * 2
    assert snapshot().read_bytes() == CONTENT


def test_the_default_folder_has_the_bundled_weights():
    assert resolve_weights("bundled").path == WEIGHTS_DIR
