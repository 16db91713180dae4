"""The nginx block of docs/hosting.md, in front of the real app."""

import os
import re
import shutil
import signal
import subprocess
import time

import httpx
import pytest

from tests.page import visiting
from tests.serving import ROOT, connect, draw, free_port, running_app

HOSTING = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"^```nginx\n(.*?)^```$", HOSTING, re.MULTILINE | re.DOTALL)
(KEEPING_THE_PREFIX, STRIPPING_IT) = ("http://127.0.0.1:7860;", "http://127.0.0.1:7860/;")

pytestmark = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="nginx is not installed: apt-get install nginx-light"
)


@pytest.fixture(scope="module")
def prefixed_app():
    with running_app(GRADIO_ROOT_PATH="/seg") as app:
        yield app


@pytest.fixture(scope="module", params=["strips the prefix", "keeps the prefix"])
def proxy(request, prefixed_app, tmp_path_factory):
    """The address of the page behind nginx."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    block = BLOCK
    if request.param == "keeps the prefix":
        block = block.replace(STRIPPING_IT, KEEPING_THE_PREFIX)
        assert block != BLOCK
    block = block.replace("127.0.0.1:7860", f"127.0.0.1:{prefixed_app.port}")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; user root; worker_processes 1;\n"
        f"pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary}"
        f"server {{ listen 127.0.0.1:{port};\n{block}\n}} }}\n"
    )
    nginx = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf"])
    address = f"http://127.0.0.1:{port}/seg/"
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx.get(address)
            break
        except httpx.TransportError:
            assert nginx.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    yield address
    os.kill(nginx.pid, signal.SIGTERM)
    nginx.wait(10)


def test_the_page_and_its_modules_load_below_the_prefix(proxy):
    page = httpx.get(proxy)
    assert page.status_code == 200
    (main,) = re.findall(r'import\("(.*?)"\)</script>', page.text)
    address = httpx.URL(proxy).join(main)
    modules = re.findall(r"^import .* from '(.+?)';$", httpx.get(address).text, re.M)
    assert len(modules) > 5
    for module in [main, *modules]:
        answer = httpx.get(address.join(module) if module in modules else address)
        assert answer.status_code == 200
        assert "javascript" in answer.headers["content-type"]


def test_a_program_gets_masks_through_the_proxy(proxy, tmp_path):
    draw().save(tmp_path / "photo.png")
    from gradio_client import handle_file

    answer = connect(proxy).predict(
        handle_file(tmp_path / "photo.png"), [[90, 100, 1]], api_name="/segment"
    )
    assert answer["size"] == [200, 300]
    assert len(answer["masks"]) == 3


def test_the_browsers_decoder_gets_its_data_through_the_proxy(proxy, tmp_path):
    draw().save(tmp_path / "photo.png")
    with visiting(proxy) as page:
        reply = page.open_photo(page.upload(tmp_path / "photo.png"))
        offer = reply["decoder"]
        weights = page.http.get(offer["weights"]["path"])
        embedding = page.http.post(offer["embedding"]["path"], json={"token": reply["token"]})
    assert len(weights.content) == offer["weights"]["bytes"]
    assert len(embedding.content) == offer["embedding"]["bytes"]


def test_a_file_as_large_as_the_demo_allows_passes_the_proxy(proxy):
    large = os.urandom(19_000_000)
    answer = httpx.post(f"{proxy}gradio_api/upload", files={"files": ("a.bin", large)}, timeout=60)
    assert answer.status_code == 200


def test_other_routes_stay_closed_behind_the_proxy(proxy):
    assert httpx.get(f"{proxy}config").status_code == 200
    assert httpx.get(f"{proxy}gradio_api/run/predict").status_code == 404
