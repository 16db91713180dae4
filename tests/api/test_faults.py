"""What goes wrong on the server: it says so in a sentence, leaves nothing behind and goes on."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from gradio_client import handle_file

from tests.page import CLICK, events, find, visiting
from tests.serving import App, connect, draw

WAIT_S = 60


@pytest.fixture
def faulty(tmp_path):
    """faulty(name): app.py with that fault, as it begins; killed at the end."""
    apps = []

    def launch(name):
        (tmp_path / "files").mkdir()
        app = App(tmp_path / "files", ("-m", "tests.faulty_app", name, str(tmp_path / "files")))
        apps.append(app)
        app.start()
        return app

    yield launch
    for app in apps:
        app.stop(signal.SIGKILL)


def files_left(app):
    return [path for path in app.files.rglob("*") if path.is_file() and path.suffix != ".log"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_model_is_loaded_ends_the_process_in_order(faulty, number):
    app = faulty("slow_load")
    app.wait_logged("FAULT load begins")
    assert files_left(app)
    assert app.stop(number) == 0
    assert "Traceback" not in app.log()
    assert app.log().splitlines()[-1].endswith("Stopping.")
    assert files_left(app) == []


def test_a_signal_in_the_middle_of_work_finishes_or_refuses_it_and_leaves_no_file(faulty, tmp_path):
    app = faulty("slow_work")
    photo, other = tmp_path / "photo.png", tmp_path / "other.png"
    draw().save(photo)
    draw(200, 300, []).save(other)
    client = connect(app.url)
    with ThreadPoolExecutor(4) as visitors, visiting(app.url) as page:
        query = {"token": page.open(photo, "tab"), "history": [CLICK]}
        with page.stay("tab"):
            everything = visitors.submit(
                client.predict, handle_file(photo), {"points_per_side": 64}, api_name="/everything"
            )
            encode = visitors.submit(
                client.predict, handle_file(other), [[90, 100, 1]], None, None, api_name="/segment"
            )
            click = visitors.submit(page.post, "segment", query)
            export = visitors.submit(page.post, "export", {**query, "kind": "mask"})
            for work in ("everything", "encode", "click", "export"):
                app.wait_logged(f"FAULT {work} begins")
            assert files_left(app)
            assert app.stop(signal.SIGTERM) == 0
        assert click.result().json()["ok"]
        assert export.result().json()["ok"]
        assert encode.result()["size"] == [300, 200]
        assert everything.exception() is not None
    assert "Traceback" not in app.log()
    assert files_left(app) == []


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
    assert said.startswith("The demo cannot start: mine.pt cannot be read")
    assert "fetch it again" in said
    assert "Traceback" not in app.log()


def test_a_page_that_closes_in_the_middle_of_an_encode_leaves_nothing(faulty, tmp_path):
    app = faulty("slow_work")
    photo = tmp_path / "photo.png"
    draw().save(photo)
    with visiting(app.url) as page:
        with page.stay("tab"):
            page.begin_open(page.upload(photo), "tab")
            app.wait_logged("FAULT encode begins")
            assert files_left(app)
        app.wait(lambda: files_left(app) == [])
        assert page.http.get("healthz").json()["open_photos"] == 0
        page.open(photo, "other tab")
    assert "Traceback" not in app.log()


def test_who_finds_the_line_full_is_told_so_and_who_waits_gets_a_turn(faulty, tmp_path):
    app = faulty("short_line")
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"photo-{number}.png")
        draw(ground=(number, 0, 0)).save(paths[-1])
    with visiting(app.url) as page:
        sessions = []
        for path in paths:
            upload = page.upload(path)
            sessions.append(page.begin_open(upload)[1])
            app.wait_logged("FAULT encode begins")
        first, second, third = (list(events(page.http, one))[-1]["output"] for one in sessions)
    assert find(first, "token")
    assert find(second, "token")
    assert find(third, "error") == "Come back later."
    assert find(third, "ok") is False
