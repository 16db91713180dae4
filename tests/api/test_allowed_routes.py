"""What the server functions and /segment reply to requests that no client sends."""

import json

import pytest

from tests.page import CLICK
from tests.serving import ROOT, connect


def test_only_the_documented_endpoints_are_in_the_public_api(app, http):
    info = http.get("gradio_api/info").json()
    assert list(info["named_endpoints"]) == ["/segment", "/everything", "/export"]
    assert info["unnamed_endpoints"] == {}
    with pytest.raises(ValueError, match="Cannot find a function"):
        connect(app.url).predict(None, api_name="/open_photo")


def test_the_page_and_its_api_name_no_other_visitor(http, token):
    assert token not in http.get("").text
    assert token not in http.get("config").text


def test_the_page_function_answers_its_own_token(post, token):
    reply = post("segment", {"token": token, "interactions": [CLICK], "side": 300})
    assert reply.status_code == 200
    answer = reply.json()
    assert answer["ok"] is True
    assert answer["rle"]["size"] == [200, 300]
    assert len(answer["candidates"]) == 3


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


BAD_QUERIES = {
    "null": None,
    "a number": 7,
    "a list": [1, 2],
    "words": "segment",
    "nothing in it": {},
    "no interactions": {"token": "TOKEN"},
    "empty interactions": {"token": "TOKEN", "interactions": []},
    "interactions of null": {"token": "TOKEN", "interactions": [None]},
    "interactions by name": {"token": "TOKEN", "interactions": {"0": CLICK}},
    "interactions of words": {"token": "TOKEN", "interactions": "click"},
    "another interaction": {"token": "TOKEN", "interactions": [{"type": "scribble"}]},
    "no coordinates": {"token": "TOKEN", "interactions": [{"type": "point"}]},
    "coordinates in words": {"token": "TOKEN", "interactions": [{**CLICK, "x": "9"}]},
    "coordinates as lists": {"token": "TOKEN", "interactions": [{**CLICK, "x": [9]}]},
    "a huge coordinate": {"token": "TOKEN", "interactions": [{**CLICK, "x": 1e308}]},
    "a huge whole number": {"token": "TOKEN", "interactions": [{**CLICK, "x": 10**400}]},
    "a negative coordinate": {"token": "TOKEN", "interactions": [{**CLICK, "y": -0.01}]},
    "NaN": {"token": "TOKEN", "interactions": [{**CLICK, "x": float("nan")}]},
    "infinity": {"token": "TOKEN", "interactions": [{**CLICK, "x": float("inf")}]},
    "a label of two": {"token": "TOKEN", "interactions": [{**CLICK, "label": 2}]},
    "a label of null": {"token": "TOKEN", "interactions": [{**CLICK, "label": None}]},
    "a label of a list": {"token": "TOKEN", "interactions": [{**CLICK, "label": []}]},
    "half a box": {"token": "TOKEN", "interactions": [{"type": "box", "box": [1, 2]}]},
    "no box": {"token": "TOKEN", "interactions": [{"type": "box"}]},
    "an empty box": {"token": "TOKEN", "interactions": [{"type": "box", "box": [5, 5, 5, 9]}]},
    "a box of null": {"token": "TOKEN", "interactions": [{"type": "box", "box": [None] * 4}]},
    "a box outside": {"token": "TOKEN", "interactions": [{"type": "box", "box": [0, 0, 999, 9]}]},
    "a choice of nothing": {"token": "TOKEN", "interactions": [{"type": "candidate", "index": 0}]},
    "a candidate too far": {
        "token": "TOKEN",
        "interactions": [CLICK, {"type": "candidate", "index": 3}],
    },
    "a candidate before": {
        "token": "TOKEN",
        "interactions": [CLICK, {"type": "candidate", "index": -1}],
    },
    "a candidate in words": {
        "token": "TOKEN",
        "interactions": [CLICK, {"type": "candidate", "index": "1"}],
    },
    "a huge candidate": {
        "token": "TOKEN",
        "interactions": [CLICK, {"type": "candidate", "index": 10**30}],
    },
    "65 points": {"token": "TOKEN", "interactions": [CLICK] * 65},
    "201 interactions": {"token": "TOKEN", "interactions": [CLICK] * 201},
    "deep nesting": {"token": "TOKEN", "interactions": deep(400)},
    "a deep interaction": {"token": "TOKEN", "interactions": [{**CLICK, "x": deep(300)}]},
    "another token": {"token": "x" * 32, "interactions": [CLICK]},
    "a token of null": {"token": None, "interactions": [CLICK]},
    "a token of a list": {"token": ["TOKEN"], "interactions": [CLICK]},
    "a token of a path": {"token": "../../../etc/passwd", "interactions": [CLICK]},
}


@pytest.mark.parametrize("name", ["segment", "export"])
@pytest.mark.parametrize("kind", BAD_QUERIES)
def test_a_garbled_query_gets_a_sentence_and_never_an_error_page(post, token, name, kind):
    query = json.loads(json.dumps(BAD_QUERIES[kind]).replace('"TOKEN"', json.dumps(token)))
    if isinstance(query, dict):
        query = {"kind": "mask", **query}
    reply = post(name, query)
    assert reply.status_code == 200
    answer = reply.json()
    assert answer["ok"] is False
    assert 10 < len(answer["error"]) < 120
    assert "went wrong" not in answer["error"]
    assert answer.get("expired", False) == ("oken" in kind or kind == "nothing in it")


@pytest.mark.parametrize("side", [None, "x", [1], -5, 0, 1.5, True, 10**30, 1e300])
def test_any_display_size_asked_for_is_kept_within_bounds(post, token, side):
    answer = post("segment", {"token": token, "interactions": [CLICK], "side": side}).json()
    assert answer["ok"] is True
    assert 64 <= max(answer["rle"]["size"]) <= 1024


@pytest.mark.parametrize("kind", [None, "", "exe", ["mask"], {"a": 1}, 7, "../mask"])
def test_only_the_files_on_offer_are_made(post, token, kind):
    answer = post("export", {"token": token, "interactions": [CLICK], "kind": kind}).json()
    assert answer["ok"] is False
    assert "cannot be exported" in answer["error"]


@pytest.mark.parametrize("query", [None, 7, {}, {"token": "x"}, {"token": [1]}])
def test_a_preview_needs_a_token(post, query):
    reply = post("preview", query)
    assert reply.status_code == 200
    assert reply.json()["ok"] is False


@pytest.mark.parametrize(
    "name", ["unload", "_close", "_encode", "__init__", "preprocess", "get_config", "css"]
)
def test_no_other_method_can_be_called(post, name):
    assert post(name, {}).status_code == 404


def test_a_file_outside_the_upload_folder_is_refused(http, open_photo):
    for path in ("/etc/passwd", "/proc/self/environ", "app.py", "../../etc/passwd"):
        reply = open_photo(path)
        assert not reply["ok"], path
        assert "root:" not in json.dumps(reply)
        assert "token" not in reply
        assert http.get(f"gradio_api/file={path}").status_code in {403, 404}


def test_segment_refuses_a_file_outside_the_upload_folder(http):
    for path in ("/etc/passwd", "/proc/self/environ"):
        body = {
            "data": [
                {"path": path, "meta": {"_type": "gradio.FileData"}},
                [[1, 1, 1]],
                None,
                None,
                None,
            ]
        }
        event = http.post("gradio_api/call/segment", json=body).json()["event_id"]
        answer = http.get(f"gradio_api/call/segment/{event}").text
        assert "event: error" in answer
        assert "root:" not in answer
        assert "megapixel" not in answer


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "x"}}, {"url": "http://127.0.0.1/"}])
def test_segment_refuses_a_path_that_gradio_does_not_take_for_a_file(http, meta):
    """Without the usual `meta` Gradio checks nothing, and any photo on the server would open."""
    for path in (ROOT / "examples" / "cat.jpg", ROOT / "mobilesam" / "web" / "favicon.png"):
        body = {"data": [{"path": str(path), **meta}, [[1, 1, 1]], None, None, None]}
        event = http.post("gradio_api/call/segment", json=body).json()["event_id"]
        answer = http.get(f"gradio_api/call/segment/{event}").text
        assert "event: error" in answer
        assert "counts" not in answer


def test_raw_json_with_nan_gets_a_sentence(page, http, photo):
    path = page.upload(photo)
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    for value in ("NaN", "Infinity", "1e999"):
        body = json.dumps({"data": [file, [["VALUE", 1, 1]], None, None, None]})
        reply = http.post(
            "gradio_api/call/segment",
            content=body.replace('"VALUE"', value),
            headers={"Content-Type": "application/json"},
        )
        if reply.status_code != 200:
            assert reply.status_code < 500
            continue
        answer = http.get(f"gradio_api/call/segment/{reply.json()['event_id']}").text
        assert "event: error" in answer
        assert "finite" in answer


def test_an_empty_path_opens_nothing(open_photo):
    reply = open_photo("")
    assert not reply["ok"]
    assert "token" not in reply


def test_files_made_for_one_visitor_cannot_be_listed_or_guessed(http, post, token):
    answer = post("export", {"token": token, "interactions": [CLICK], "kind": "mask"}).json()
    assert answer["ok"] is True
    path = answer["path"]
    assert http.get(f"gradio_api/file={path}").headers["content-type"] == "image/png"
    folder = path.rsplit("/", 1)[0]
    for place in (folder, folder.rsplit("/", 1)[0], f"{folder}/../../"):
        assert http.get(f"gradio_api/file={place}").status_code in {403, 404}
    again = post("export", {"token": token, "interactions": [CLICK], "kind": "mask"}).json()
    assert again["path"] != path


def test_the_source_is_not_served(http):
    for path in ("app.py", "mobilesam/web/handlers.py", "weights", "/etc/passwd", "pyproject.toml"):
        assert http.get(f"gradio_api/file={path}").status_code in {403, 404}


def test_none_of_this_was_an_unexpected_error_in_the_demo(new_log):
    assert "ERROR mobilesam" not in new_log()
    assert str(ROOT / "mobilesam") not in new_log()
