"""Two applications without affinity, and the cache of embeddings that they share."""

import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pycocotools import mask as coco_mask

from tests.page import CLICK, visiting
from tests.redis_server import NEEDS_REDIS, running_redis, until
from tests.serving import HELD, assert_same_masks, draw, running_app

pytestmark = [NEEDS_REDIS, pytest.mark.slow]


@pytest.fixture(scope="module")
def server():
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module")
def apps(server):
    """Both applications, the first of which a test can hold back."""
    settings = {"MOBILESAM_CACHE_URL": server.url, "MOBILESAM_METRICS": "1"}
    with running_app(HELD, **settings) as first, running_app(**settings) as second:
        for app in (first, second):  # their models are loaded
            until(lambda url=app.url: httpx.get(f"{url}healthz").is_success, within_s=60)
        yield first, second


@pytest.fixture
def pages(apps):
    """A page of each application."""
    with visiting(apps[0].url) as first, visiting(apps[1].url) as second:
        yield first, second


@pytest.fixture
def save(tmp_path):
    """save(width): a photo that no other test has."""

    def save(width):
        path = tmp_path / f"{width}.png"
        draw(width=width).save(path)
        return path

    return save


def encodes(app):
    """How many photos an application has encoded."""
    text = httpx.get(f"{app.url}metrics").text
    (family,) = [
        one
        for one in text_string_to_metric_families(text)
        if one.name == "mobilesam_encode_seconds"
    ]
    return {sample.name: sample.value for sample in family.samples}[
        "mobilesam_encode_seconds_count"
    ]


def test_a_photo_that_both_open_at_once_is_encoded_once(apps, pages, save):
    photo, before = save(301), [encodes(app) for app in apps]
    uploads = [page.upload(photo) for page in pages]
    with ThreadPoolExecutor(1) as pool, apps[0].holds.held("encode"):
        first = pool.submit(pages[0].open_photo, uploads[0])
        apps[0].holds.wait_begun("encode")
        second = pages[1].begin_open(uploads[1])
        assert second["state"] == "encoding"  # for a second: it waits for the other application
        assert encodes(apps[1]) == before[1]
    assert not first.result()["cached"]
    while second["state"] != "done":
        second = pages[1].post("open", {"token": second["token"]}).json()
    assert second["cached"]
    assert [encodes(app) for app in apps] == [before[0] + 1, before[1]]
    clicks = [
        page.post("segment", {"token": token, "interactions": [CLICK]}).json()
        for page, token in zip(pages, (first.result()["token"], second["token"]), strict=True)
    ]
    assert clicks[0]["ok"]
    assert_same_masks(*(coco_mask.decode(click["rle"]) for click in clicks))


def test_an_application_that_does_not_know_a_token_needs_no_encode_to_open_the_photo(
    apps, pages, save
):
    photo = save(302)
    token = pages[0].open(photo)
    reply = pages[1].post("segment", {"token": token, "interactions": [CLICK]}).json()
    assert reply["expired"]  # whereupon the page opens the photo again
    before = encodes(apps[1])
    again = pages[1].open_photo(pages[1].upload(photo))
    assert again["cached"]
    assert encodes(apps[1]) == before
    reply = pages[1].post("segment", {"token": again["token"], "interactions": [CLICK]}).json()
    assert reply["ok"]


def shared_cache(app):
    """What an application says about the shared cache."""
    return httpx.get(f"{app.url}healthz").json()["shared_cache"]


def test_without_the_server_photos_are_opened_all_the_same(apps, pages, save, server):
    told = shared_cache(apps[1])
    assert told.keys() == {"kind", "hits", "misses", "errors", "answers"}
    assert (told["kind"], told["answers"]) == ("redis", True)
    server.stop()
    for width in (303, 304):
        assert not pages[1].open_photo(pages[1].upload(save(width)))["cached"]
    told = shared_cache(apps[1])
    assert not told["answers"]
    assert told["errors"] > 0
    server.start()
    until(lambda: all(shared_cache(app)["answers"] for app in apps), within_s=30)


def test_an_application_that_is_killed_leaves_its_embeddings_to_the_other(
    apps, pages, save, server
):
    photos = [save(305), save(306)]
    pages[0].open(photos[0])
    until(lambda: not server.client.keys("*:lease"))  # stored
    upload = pages[0].upload(photos[1])
    with ThreadPoolExecutor(1) as pool, apps[0].holds.held("encode"):
        lost = pool.submit(pages[0].open_photo, upload)
        apps[0].holds.wait_begun("encode")
        apps[0].stop(signal.SIGKILL)
        assert isinstance(lost.exception(), httpx.HTTPError)
    before = encodes(apps[1])
    assert pages[1].open_photo(pages[1].upload(photos[0]))["cached"]
    assert encodes(apps[1]) == before
    # The lease of the encode that was killed runs out.
    assert not pages[1].open_photo(pages[1].upload(photos[1]))["cached"]
    assert encodes(apps[1]) == before + 1
