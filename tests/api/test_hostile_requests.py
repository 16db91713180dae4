"""Hostile files, names, addresses and bodies over HTTP: a sentence each, and nothing is reached."""

import json
import socket
import time

import httpx
import numpy as np
import pytest

from tests.bad_files import encoded, picture
from tests.bombs import KINDS

SAMPLE_BYTES = 2_000_000
NAMES = [
    "../../../etc/passwd.png", "..", ".png", "a/../../b.png", "C:\\con.png", "x" * 4000 + ".png",
    "\u202egnp.exe", "a\u0000.png", "<img src=x onerror=alert(1)>.png", "{{7*7}}.png", "=1+1.png",
    "a\r\nSet-Cookie: b.png", "猫" * 300 + ".png", "🐈.png", "'; drop table a.png", " ", "%2e%2e",
]  # fmt: skip
ADDRESSES = ["http://127.0.0.1:1/a.png", "http://169.254.169.254/latest", "https://example.com/a"]
PATHS = ["file:///etc/passwd", "/etc/passwd", "../../etc/passwd", "/proc/self/environ", "app.py"]
FILE = {"meta": {"_type": "gradio.FileData"}}


def sent(http, name, data):
    """An upload under any name; the reply."""
    return http.post("gradio_api/upload", files={"files": (name, data)})


def opened(http, open_photo, name, data):
    """The last reply to a request to open a file, or how Gradio refused the upload."""
    upload = sent(http, name, data)
    assert upload.status_code < 500, name
    if upload.status_code != 200:
        return {"ok": False, "error": upload.text}
    reply = open_photo(upload.json()[0], name=name)
    assert isinstance(reply["ok"], bool)
    return reply


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_file_is_opened_or_refused_with_a_sentence(http, open_photo, kind):
    files = [file for file in KINDS[kind]() if 0 < len(file.data) < SAMPLE_BYTES]
    for index in np.random.default_rng(5).permutation(len(files))[:3]:
        file = files[index]
        reply = opened(http, open_photo, "photo.jpg", file.data)
        assert reply["ok"] or 10 < len(reply["error"]) < 120, file.name
        assert reply["ok"] or "went wrong" not in reply["error"], file.name
        assert not (reply["ok"] and file.must_fail), file.name
        assert reply["ok"] or not file.must_open, file.name


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_whatever_a_file_is_called_its_files_are_named_safely(http, open_photo, post, name):
    reply = opened(http, open_photo, name, encoded(picture(), "PNG"))
    if reply["ok"]:
        click = [{"type": "point", "x": 20, "y": 10, "label": 1}]
        stroke = {"type": "stroke", "path": [[9, 9]], "radius": 5, "label": 1}
        objects = [{"name": "a", "interactions": [stroke], "predicted_iou": None}]
        queries = {"kind": "mask", "interactions": click}, {"kind": "yolo", "objects": objects}
        for query in queries:
            file = post("export", {"token": reply["token"], **query}).json()
            assert file["ok"], file
            assert set(file["name"]) <= set(file["name"]) - set('/\\<>:"|?*\0\r\n')
            assert ".." not in file["name"]


@pytest.mark.parametrize("place", ADDRESSES + PATHS)
def test_no_address_and_no_path_is_opened(open_photo, place):
    reply = open_photo(place)
    assert not reply["ok"]
    assert "token" not in reply
    assert "root:" not in json.dumps(reply)


@pytest.mark.parametrize("place", ADDRESSES)
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("segment", [None, "PLACE", None, None, None]),
        ("segment", [None, None, ["PLACE"], None]),
        ("segment", [None, None, None, {"deep": ["PLACE"]}]),
        ("everything", [None, {"points_per_side": "PLACE"}]),
        ("export", [None, [{"rle": "PLACE"}], "yolo", None]),
        ("export", [None, [], "PLACE", None]),
    ],
)
def test_no_address_is_fetched_from_within_arguments(app, http, place, name, values):
    """Gradio fetches whatever looks like a file, wherever in the JSON of an argument it is."""
    body = json.dumps({"data": values}).replace('"PLACE"', json.dumps({"path": place, **FILE}))
    reply = http.post(f"gradio_api/call/{name}", content=body,
                      headers={"Content-Type": "application/json"})  # fmt: skip
    event = reply.json()["event_id"]
    assert (
        "URLs are not allowed here. Upload the file."
        in httpx.get(f"{app.url}gradio_api/call/{name}/{event}").text
    )


JSON = {"Content-Type": "application/json"}
FIELD = b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nodd-secret\r\n--x--\r\n'
CALL = b'{"data": [], "session_hash": "odd-secret", %s}'
NOT_UNDERSTOOD = {
    "an unknown component": ("component_server", CALL % b'"component_id": 999, "fn_name": "open"'),
    "component -1": ("component_server", CALL % b'"component_id": -1, "fn_name": "open"'),
    "no JSON object": ("component_server", b'["odd-secret"]'),
    "an unknown endpoint": ("call/odd-secret", CALL % b'"a": 1'),
    "an endpoint with a NUL": ("call/segment%00", CALL % b'"a": 1'),
    "an unknown event": ("queue/join", CALL % b'"fn_index": 99'),
    "event -1": ("queue/join", CALL % b'"fn_index": -1'),
    "NaN joins": ("queue/join", b"NaN"),
    "NaN is called": ("call/segment", b"NaN"),
    "NaN cancels": ("cancel", b"NaN"),
    "an upload without a file name": ("upload?upload_id=abc", FIELD),
}


@pytest.mark.parametrize("kind", NOT_UNDERSTOOD)
def test_what_gradio_does_not_expect_is_a_sentence_and_at_most_one_line(app, http, kind):
    path, body = NOT_UNDERSTOOD[kind]
    before = len(app.log())
    headers = {"Content-Type": "multipart/form-data; boundary=x"} if body == FIELD else JSON
    reply = http.post(f"gradio_api/{path}", content=body, headers=headers)
    log = app.log()[before:]
    assert reply.status_code < 500 or reply.text == "The server does not understand the request."
    assert log.count("\n") == (reply.status_code >= 500)
    assert "odd-secret" not in log


def test_an_upload_whose_client_goes_away_is_one_line(app, http):
    before = len(app.log())
    with socket.create_connection(("127.0.0.1", app.port)) as connection:
        head = "POST /gradio_api/upload HTTP/1.1\r\nHost: here\r\nContent-Length: 9000\r\n"
        form = "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        connection.sendall((head + form).encode() + FIELD[:50])
        time.sleep(0.3)
    app.wait(lambda: len(app.log()) > before)
    assert app.log()[before:].count("\n") == 1
    assert "Request failed: ClientDisconnect at" in app.log()[before:]


def test_an_option_that_is_no_text_gets_a_sentence(post, open_photo, http):
    upload = sent(http, "a.png", encoded(picture(), "PNG")).json()[0]
    token = open_photo(upload)["token"]
    reply = post("everything", {"token": token, "options": {"\ud800": 1}})
    assert "not valid text" in reply.json()["error"]


def test_none_of_this_was_unexpected(new_log):
    assert "ERROR mobilesam" not in new_log()
    assert "MemoryError" not in new_log()
