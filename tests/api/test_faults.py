"""Signals, closed tabs and damaged weights: a sentence, and no file is left behind."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from gradio_client import handle_file

from tests.page import CLICK, visiting
from tests.serving import HELD, App, connect, draw

WAIT_S = 60


@pytest.fixture
def own_app(tmp_path):
    """An application that a test may end; killed at the end."""
    app = App(tmp_path, HELD)
    yield app
    app.stop(signal.SIGKILL)


def test_a_signal_while_the_model_is_loading_ends_the_process_in_order(own_app):
    own_app.holds.hold("load")
    own_app.start()
    own_app.holds.wait_begun("load")
    assert own_app.stop(signal.SIGINT) == 0
    assert "Traceback" not in own_app.log()
    assert own_app.log().splitlines()[-1].endswith("Stopping.")
    assert own_app.files_left() == []


def test_a_signal_while_requests_run_finishes_or_refuses_them_and_leaves_no_file(own_app, tmp_path):
    app = own_app.start()
    photo, other = tmp_path / "photo.png", tmp_path / "other.png"
    draw().save(photo)
    draw(200, 300, []).save(other)
    client = connect(app.url)
    work = ("everything", "encode", "click", "export")
    with ThreadPoolExecutor(4) as users, visiting(app.url) as page:
        query = {"token": page.open(photo, "tab"), "interactions": [CLICK]}
        with page.stay("tab"), app.holds.held(*work):
            everything = users.submit(
                client.predict, handle_file(photo), {"points_per_side": 64}, api_name="/everything"
            )
            encode = users.submit(
                client.predict, handle_file(other), [[90, 100, 1]], None, None, api_name="/segment"
            )
            click = users.submit(page.post, "segment", query)
            export = users.submit(page.post, "export", {**query, "kind": "mask"})
            app.holds.wait_begun(*work)
            assert app.files_left()
            app.send_signal(signal.SIGTERM)
            for name in ("encode", "click", "export"):
                app.holds.release(name)
            assert app.ended() == 0
        assert click.result().json()["ok"], click.result().json()
        # The photo's folder may go first, with the connection of its tab.
        reply = export.result().json()
        assert reply["ok"] or "went wrong" not in reply["error"], reply
        # An encode may take longer than the server waits.
        assert encode.exception() or encode.result()["size"] == [300, 200]
        assert everything.exception() is not None
    assert "Traceback" not in app.log()
    assert app.files_left() == []


def test_damaged_weights_end_the_start_with_a_sentence(tmp_path):
    weights = tmp_path / "mine.pt"
    torch.save({"image_encoder.neck.0.weight": torch.zeros(256, 320, 1, 1)}, weights)
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    app = App(tmp_path, MOBILESAM_WEIGHTS=str(weights))
    app.launch()
    assert app.ended(WAIT_S) == 1
    said = app.log().splitlines()[-1]
    assert said.startswith("The demo cannot start: mine.pt is damaged")
    assert "download it again" in said
    assert "Traceback" not in app.log()


def test_a_tab_that_is_closed_while_its_photo_is_encoded_leaves_nothing(
    app, new_log, page, tmp_path
):
    photo = tmp_path / "closing.png"
    draw(ground=(9, 9, 9)).save(photo)
    before, files = page.http.get("healthz").json()["open_photos"], set(app.files_left())
    with app.holds.held("encode"):
        with page.stay("closing tab"):
            assert page.begin_open(page.upload(photo), "closing tab", photo.name)["ok"]
            app.holds.wait_begun("encode")
            assert set(app.files_left()) - files
        app.wait(lambda: not set(app.files_left()) - files)
    app.wait(lambda: page.http.get("healthz").json()["open_photos"] == before)
    assert page.open(photo)
    assert "Traceback" not in new_log()


def test_a_full_queue_gets_a_sentence_and_photos_that_wait_are_opened(app, page, tmp_path):
    uploads = []
    for number in range(82):  # all but the first are the same photo, which is encoded once
        path = tmp_path / f"photo-{number}.png"
        draw(ground=(min(number, 1), 0, 77)).save(path)
        uploads.append(page.upload(path))
    encoding, *waiting, late = uploads
    with app.holds.held("encode"):
        first = page.begin_open(encoding)
        app.holds.wait_begun("encode")
        with ThreadPoolExecutor(80) as users:
            queued = list(users.map(page.begin_open, waiting, map(str, range(80))))
        refused = page.begin_open(late)
    assert {reply["state"] for reply in queued} == {"queued"}
    assert sorted(reply["position"] for reply in queued) == list(range(1, 81))
    assert refused == {
        "ok": False,
        "error": "Too many photos are waiting to be opened. Try again in a minute.",
    }
    for reply in (first, queued[-1]):
        while reply["ok"] and reply["state"] != "done":
            reply = page.post("open", {"token": reply["token"]}).json()
        assert reply["size"] == [200, 300]
