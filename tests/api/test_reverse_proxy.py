"""What users of the page see behind a real nginx, with the configuration in deploy/."""

import os
import re
import shutil
import signal
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import handle_file
from PIL import Image

from tests.browser.driver import VIEWPORT, Demo
from tests.nginx import (
    PREFIX,
    below_the_prefix,
    changed,
    running_nginx,
    split_configuration,
    tls_before,
)
from tests.page import visiting
from tests.serving import LEFT, RIGHT, connect, draw, free_port, running_app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("nginx") is None, reason="nginx is not installed: apt-get install nginx-light"
    ),
]


@pytest.fixture(scope="module")
def processes():
    """Two page processes that know nothing of each other or of a proxy."""
    settings = {"MOBILESAM_METRICS": "1"}
    with running_app(**settings) as one, running_app(**settings) as other:
        yield one, other


@pytest.fixture(scope="module")
def addresses(processes, tmp_path_factory):
    """The address of the page by the way in which nginx is set up."""
    folder = tmp_path_factory.mktemp("nginx")
    shared, server = split_configuration([app.port for app in processes])
    (pool,) = re.findall(r"^upstream mobilesam \{.*?^\}", shared, re.MULTILINE | re.DOTALL)
    alternating = changed(
        pool,
        ("upstream mobilesam", "upstream alternating"),
        ("hash $mobilesam_client consistent;", ""),
    )
    whole = free_port()
    blocks = {
        "whole host": server,
        "prefix stripped": below_the_prefix(server),
        "prefix kept": below_the_prefix(server, keep=True),
        "TLS": tls_before(whole, folder),
        "alternating": changed(server, ("http://mobilesam;", "http://alternating;")),
        "1 MB": changed(server, ("client_max_body_size 32m;", "")),
    }
    ports = {name: free_port() for name in blocks} | {"whole host": whole}
    servers = {ports[name]: block for name, block in blocks.items()}
    with running_nginx(folder, f"{shared}\n{alternating}", servers):
        yield {
            name: f"http{'s' * (name == 'TLS')}://127.0.0.1:{port}"
            + (PREFIX if "prefix" in name else "/")
            for name, port in ports.items()
        }


@pytest.fixture
def visit(browser, addresses):
    """visit(name): the page in a new browser profile."""
    contexts = []

    def load(name):
        contexts.append(browser.new_context(viewport=VIEWPORT, ignore_https_errors=True))
        demo = Demo(contexts[-1].new_page())
        demo.load(addresses[name])
        return demo

    yield load
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", ["whole host", "prefix stripped", "prefix kept", "TLS"])
def test_a_click_gives_a_mask_and_the_mask_a_file(visit, photo, name):
    demo = visit(name)
    demo.open(photo)
    demo.click(LEFT.centre)
    assert demo.mask()[LEFT.y, LEFT.x]
    assert demo.download("mask")[0] == "discs-mask.png"
    assert demo.alert() == ""
    assert demo.complaints == []


def test_without_affinity_the_user_reads_what_is_wrong(visit, photo):
    """Each upload reaches the one process, and the request to open it the other."""
    demo = visit("alternating")
    demo.wait_for_model()  # else the request about it may come between the two
    with demo.refused():
        demo.choose_file(photo)
    assert "all requests of a browser to the same server" in demo.alert()
    assert not demo.part("busy").is_visible()


def test_a_photo_that_the_proxy_refuses_has_its_own_sentence(visit, tmp_path):
    noise = np.random.default_rng(7).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    demo = visit("1 MB")
    with demo.refused():
        demo.choose_file(tmp_path / "noise.png")
    assert "the file because it is too large" in demo.alert()


@pytest.mark.parametrize("name", ["whole host", "prefix stripped", "prefix kept", "TLS"])
def test_metrics_are_refused_from_outside(processes, addresses, name):
    assert all(httpx.get(f"{app.url}metrics").is_success for app in processes)
    assert httpx.get(addresses[name], verify=False).is_success
    for path in ("metrics", "metrics/", "/metrics", "%6detrics", "metrics?a=1"):
        assert httpx.get(f"{addresses[name]}{path}", verify=False).status_code == 404


@pytest.fixture(params=["prefix stripped", "prefix kept"])
def prefixed(request, addresses):
    return addresses[request.param]


def test_a_program_gets_masks_and_files_below_the_prefix(prefixed, photo):
    client = connect(prefixed)
    answer = client.predict(handle_file(photo), [[*LEFT.centre, 1]], api_name="/segment")
    objects = [{"name": "disc", "rle": answer["masks"][answer["best"]]["rle"]}]
    file = client.predict(handle_file(photo), objects, "coco_rle", api_name="/export")
    assert '"disc"' in Path(file).read_text(encoding="utf-8")


def test_the_browsers_decoder_gets_its_data_below_the_prefix(prefixed, photo):
    with visiting(prefixed) as page:
        reply = page.open_photo(page.upload(photo))
        offer = reply["decoder"]
        weights = page.http.get(offer["weights"]["path"])
        embedding = page.http.post(offer["embedding"]["path"], json={"token": reply["token"]})
    assert len(weights.content) == offer["weights"]["bytes"]
    assert len(embedding.content) == offer["embedding"]["bytes"]


def test_a_file_as_large_as_the_demo_allows_passes_the_proxy(prefixed):
    files = {"files": ("a.bin", os.urandom(19_000_000))}
    assert httpx.post(f"{prefixed}gradio_api/upload", files=files, timeout=60).status_code == 200


def test_other_routes_stay_closed_behind_the_proxy(prefixed):
    assert httpx.get(f"{prefixed}config").status_code == 200
    assert httpx.get(f"{prefixed}gradio_api/run/predict").status_code == 404


def test_the_prefix_can_be_set_instead_of_sent():
    with running_app(GRADIO_ROOT_PATH="/seg") as app:
        for path in ("config", "seg/config"):
            assert httpx.get(app.url + path).json()["root"] == f"{app.url}seg"


def open_photos(app):
    return httpx.get(f"{app.url}healthz").json()["open_photos"]


def test_each_client_stays_with_one_process_and_the_clients_are_distributed(
    addresses, processes, photo
):
    before = [open_photos(app) for app in processes]
    for number in range(20):
        with visiting(addresses["whole host"]) as page:
            page.http.headers["X-Forwarded-For"] = f"203.0.113.{number}"
            page.open(photo)
    opened = [open_photos(app) - count for app, count in zip(processes, before, strict=True)]
    assert sum(opened) == 20
    assert min(opened) > 0


def test_when_its_process_is_killed_the_next_click_is_answered_by_the_other(
    visit, processes, tmp_path
):
    """It is the last test, because it kills a process."""
    other_photo = tmp_path / "discs.png"
    draw(ground=(20, 30, 90)).save(other_photo)
    before = [open_photos(app) for app in processes]
    demo = visit("whole host")
    demo.open(other_photo)
    demo.click(LEFT.centre)
    (holder,) = [
        app for app, count in zip(processes, before, strict=True) if open_photos(app) > count
    ]
    holder.stop(signal.SIGKILL)
    demo.click(RIGHT.centre)
    assert demo.mask()[RIGHT.y, RIGHT.x]
    assert [len(sent) for sent in demo.interactions()][-1] == 2
    assert len(demo.tokens()) == 2
    assert demo.alert() == ""
