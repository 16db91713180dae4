"""Photos by URL: from the public internet only, of a bounded size, whatever redirects say."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mobilesam import ImageError
from mobilesam.web.server import remote_image as module
from tests.event_loop import in_thread

PUBLIC = ["8.8.8.8", "151.101.1.6", "2606:4700::1111"]
NOT_PUBLIC = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.100.100.200", "192.0.0.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
    "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address):
    assert module.is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_private_and_translated_addresses_are_not(address):
    assert not module.is_public(address)


class Site(BaseHTTPRequestHandler):
    """/to?X redirects to X, /missing.jpg is missing, and anything else is a photo."""

    def do_GET(self):
        self.server.hosts.append(self.headers["Host"])
        path, _, target = self.path.partition("?")
        if path == "/to":
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
            return
        self.send_response(404 if path == "/missing.jpg" else 200)
        self.end_headers()
        self.wfile.write(bytes(1000))

    def log_message(self, *args):
        pass


@pytest.fixture
def site(monkeypatch, tmp_path):
    """A local server; its address counts as public, and no other of this machine does."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.hosts = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(module, "is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(site):
    def run(path, max_bytes=1000, host="127.0.0.1"):
        url = f"http://{host}:{site.server_port}{path}"
        return in_thread(lambda: module.fetch_photo(url, max_bytes))

    return run


def test_a_photo_is_fetched_into_the_upload_folder_under_its_name(get, site, tmp_path):
    path = get("/a%20photo.jpg", host="localhost")
    assert path.read_bytes() == bytes(1000)
    assert path.name == "a photo.jpg"
    assert path.parents[1] == tmp_path
    assert site.hosts == [f"localhost:{site.server_port}"]


@pytest.mark.parametrize(
    ("path", "name"),
    [("/", "photo"), ("/.png", "_png"), ("/a%00b.png", "a_b.png"), ("/C:%5Ccon.png", "_con.png"),
     ("/a/..%2f..%2fetc%2fpasswd", "passwd"), ("/" + 80 * "%F0%9F%90%88", 63 * "\U0001f408"),
     ("/a" + 99 * ".", "a")],
)  # fmt: skip
def test_the_name_of_a_photo_is_safe(get, path, name, tmp_path):
    file = get(path)
    assert file.name == name
    assert file.parents[1] == tmp_path


def test_a_redirect_is_followed(get):
    assert get("/to?/a%20photo.jpg").name == "a photo.jpg"


@pytest.mark.parametrize("target", ["http://127.0.0.2/", "http://[::1]/", "file:///etc/passwd"])
def test_a_redirect_to_a_private_address_is_refused(get, target):
    with pytest.raises(ImageError, match="not on the public internet"):
        get(f"/to?{target}")


def test_redirects_end(get):
    with pytest.raises(ImageError, match="cannot be downloaded"):
        get("/to?/to?/to?/to?/to?/to?/to?/to?/a%20photo.jpg")


def test_a_file_that_is_too_large_is_not_kept(get, tmp_path):
    with pytest.raises(ImageError, match="larger than"):
        get("/a%20photo.jpg", max_bytes=999)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["http://", "http:///a.jpg", "http://a:b/", "gopher://127.0.0.1/"])
def test_an_invalid_url_gets_one_sentence(site, url):
    with pytest.raises(ImageError, match="Upload the photo instead"):
        in_thread(lambda: module.fetch_photo(url, 1000))


def test_an_error_response_is_not_a_photo(get):
    with pytest.raises(ImageError, match="cannot be downloaded"):
        get("/missing.jpg")


def test_a_server_that_never_answers_is_given_up(get, monkeypatch):
    async def never(*args):
        await asyncio.sleep(60)

    monkeypatch.setattr(module, "_fetch", never)
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.05)
    with pytest.raises(ImageError, match="cannot be downloaded"):
        get("/a%20photo.jpg")
