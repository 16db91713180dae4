"""The weights and embeddings for the browser's decoder: who gets them, caching, slow readers."""

import hashlib
import json
import socket
import time
from pathlib import Path

import httpx
import pytest

from tests.page import CLICK, visiting
from tests.serving import running_app

EMBEDDING_BYTES = 64 * 64 * 256 * 2
EXPIRED = {"ok": False, "expired": True}
SLOW_READERS = 200
MAX_GROWTH_MB = 100  # 200 embeddings are 420 MB
MAX_CLICK_S = 5  # on a busy machine; a reader that is waited for takes longer


@pytest.fixture(scope="module")
def offer(page, photo):
    reply = page.open_photo(page.upload(photo), name=photo.name)
    return {"token": reply["token"], **reply["decoder"]}


def resident_mb(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def test_weights_are_public_and_kept_for_good_an_embedding_never(http, offer):
    weights = http.get(offer["weights"]["path"])
    assert len(weights.content) == offer["weights"]["bytes"]
    assert hashlib.sha256(weights.content).hexdigest() in offer["weights"]["path"]
    assert weights.headers["cache-control"] == "public, max-age=31536000, immutable"
    embedding = http.post(offer["embedding"]["path"], json={"token": offer["token"]})
    assert len(embedding.content) == offer["embedding"]["bytes"] == EMBEDDING_BYTES
    assert embedding.headers["cache-control"] == "no-store"
    for reply in (weights, embedding):
        assert reply.headers["content-type"] == "application/octet-stream"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "content-encoding" not in reply.headers


@pytest.mark.parametrize("query", [{"token": "A" * 32}, {"token": ""}, {"token": {}}, {}])
def test_a_token_that_opened_no_photo_is_refused_as_for_a_click(http, post, query):
    reply = http.post("decoder/embedding", json=query)
    assert reply.status_code == 404
    assert reply.json() == post("segment", {**query, "interactions": [CLICK]}).json()
    assert reply.json().items() >= EXPIRED.items()


def test_a_token_in_the_address_is_no_token(http, offer):
    for path in (f"decoder/embedding?token={offer['token']}", f"decoder/{offer['token']}"):
        assert http.get(path).status_code in (404, 405)
        assert http.post(path, json={}).status_code == 404


def test_the_token_of_a_closed_photo_has_expired(page, http, photo):
    token = page.open(photo, session="another tab")
    assert http.post("decoder/embedding", json={"token": token}).status_code == 200
    page.post("close", {"tokens": [token]}, session="another tab")
    assert http.post("decoder/embedding", json={"token": token}).json().items() >= EXPIRED.items()


@pytest.mark.parametrize("body", ["{", "", "[1]", "null", '"x"', "[" * 60_000, '{"token": NaN}'])
def test_a_malformed_body_gets_a_sentence(http, body):
    headers = {"Content-Type": "application/json"}
    reply = http.post("decoder/embedding", content=body, headers=headers)
    assert reply.status_code in (400, 404, 413)
    assert reply.text.strip('"').rstrip().endswith((".", "}"))


def test_a_body_that_is_more_than_a_token_is_refused(http):
    reply = http.post("decoder/embedding", json={"token": "x" * 70_000})
    assert reply.status_code == 413


@pytest.mark.parametrize("name", ["0" * 64, "", "x", "..%2F..%2Fconfig", "A" * 64])
def test_other_weights_are_not_found(http, name):
    assert http.get(f"decoder/weights/{name}").status_code == 404


def test_slow_readers_hold_little_memory_and_block_no_click(app, page, http, offer):
    body = json.dumps({"token": offer["token"]}).encode()
    request = (
        b"POST /decoder/embedding HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    before, most, slowest, readers = resident_mb(app.pid), 0.0, 0.0, []
    try:
        for _ in range(SLOW_READERS):
            reader = socket.socket()
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", app.port))
            reader.sendall(request)
            readers.append(reader)
        for n in range(20):
            started = time.monotonic()
            click = {**CLICK, "x": 80 + n}
            assert page.post("segment", {"token": offer["token"], "interactions": [click]}).json()[
                "ok"
            ]
            slowest = max(slowest, time.monotonic() - started)
            most = max(most, resident_mb(app.pid))
            time.sleep(0.1)
    finally:
        for reader in readers:
            reader.close()
    assert most - before < MAX_GROWTH_MB
    assert slowest < MAX_CLICK_S
    reply = http.post(offer["embedding"]["path"], json={"token": offer["token"]})
    assert len(reply.content) == EMBEDDING_BYTES


def test_with_the_setting_off_nothing_is_offered_and_clicks_work(photo):
    with running_app(MOBILESAM_PREVIEW="0") as app, visiting(app.url) as page:
        reply = page.open_photo(page.upload(photo))
        assert reply["decoder"] is None
        query = {"token": reply["token"]}
        assert httpx.post(f"{app.url}decoder/embedding", json=query).status_code == 404
        assert page.post("segment", {**query, "interactions": [CLICK]}).json()["ok"]
