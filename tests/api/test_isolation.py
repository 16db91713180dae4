"""What one visitor could get of another, or of the machine: nothing, by any of Gradio's routes."""

import json
import re
import uuid
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.page import CLICK, events
from tests.serving import ROOT, connect

CLOSED = [
    # Gradio would fetch for anybody: an address, a Space.
    ("GET", "gradio_api/file=https://198.51.100.7/a.png"),
    ("GET", "gradio_api/file=http://127.0.0.1/"),
    ("HEAD", "gradio_api/file=http://127.0.0.1/"),
    ("GET", "gradio_api/proxy=https://somebody.hf.space/file"),
    # It would answer without its queue, which is what bounds the work.
    ("POST", "gradio_api/run/segment"),
    ("POST", "gradio_api/run/predict"),
    ("POST", "gradio_api/api/everything/"),
    # It would write what a session shows to the disk, for whoever has the link.
    ("GET", "gradio_api/deep_link?session_hash=x"),
    # What watches visitors or the queue.
    ("GET", "monitoring"),
    ("GET", "monitoring/summary"),
    ("GET", "monitoring/key"),
    ("GET", "gradio_api/profiling/traces"),
    ("GET", "gradio_api/queue/status"),
    ("GET", "gradio_api/upload_progress?upload_id=x"),
    # What runs of the page are remembered by, and its editor.
    ("GET", "gradio_api/runs"),
    ("POST", "gradio_api/run-history/connect"),
    ("GET", "gradio_api/dev/reload"),
    ("GET", "gradio_api/vibe-code"),
    ("POST", "gradio_api/vibe-code/"),
    ("POST", "gradio_api/vibe-edit"),
    ("POST", "gradio_api/undo-vibe-edit"),
    ("POST", "gradio_api/vibe-starter-queries"),
    # Parts that this page does not have.
    ("POST", "gradio_api/process_recording"),
    ("GET", "gradio_api/custom_component/x/client/component/index.js"),
    ("POST", "gradio_api/stream/x"),
    ("GET", "gradio_api/stream/x/y/1/playlist.m3u8"),
    ("GET", "gradio_api/file/etc/passwd"),
    ("GET", "gradio_api/user"),
    ("GET", "gradio_api/token"),
    ("POST", "login"),
    ("GET", "logout"),
    ("GET", "svelte/x.js"),
    ("GET", "docs"),
    ("GET", "redoc"),
    ("GET", "openapi.json"),
    ("GET", "gradio_api/openapi.json"),
]
PRIVATE = [
    ROOT / "app.py",
    ROOT / "README.md",
    ROOT / ".env",
    ROOT / ".git" / "config",
    ROOT / "mobilesam" / "settings.py",
    ROOT / "weights",
    next((ROOT / "weights").rglob("*.safetensors")),
    ROOT / "examples",
    Path("/etc/passwd"),
    Path("/proc/self/environ"),
    Path("/proc/self/cmdline"),
    Path("/proc/self/cwd/app.py"),
    Path("/dev/stdin"),
]
SHIELD = {"x-content-type-options", "referrer-policy", "permissions-policy"}


def served(http, path):
    """The answer of the route by which Gradio hands out files."""
    return http.get(f"gradio_api/file={path}")


@pytest.fixture(scope="module")
def mine(page, http, post, token, photo):
    """What belongs to a first visitor: an upload and a file made from it, by their paths."""
    exported = post("export", {"token": token, "interactions": [CLICK], "kind": "mask"}).json()
    paths = {"upload": page.upload(photo), "export": exported["path"]}
    for path in paths.values():
        assert served(http, path).status_code == 200
    return {kind: Path(path) for kind, path in paths.items()}


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_door_that_nobody_needs_is_closed(http, method, path):
    body = {} if method == "POST" else None
    with http.stream(method, path, json=body) as reply:  # one of them would answer without end
        assert reply.status_code == 404
        assert method == "HEAD" or reply.read() == b"Not found"  # Gradio's own words are others


@pytest.mark.parametrize("path", PRIVATE, ids=str)
def test_a_file_of_the_machine_is_not_served_under_any_spelling(http, mine, path):
    up = "../" * len(mine["upload"].parts)
    for spelling in (
        str(path),
        quote(str(path), safe=""),
        quote(quote(str(path), safe=""), safe=""),
        f"{mine['upload'].parent}/{up}{path}",
        quote(f"{mine['upload'].parent}/{up}{path}", safe=""),
        f"{mine['upload']}/..{path}",
        str(path).replace("/", "\\"),
        f"file://{path}",
        f"/{path}",
    ):
        assert served(http, spelling).status_code in {403, 404}, spelling


def test_files_beside_the_folder_of_this_process_are_not_served(app, http, mine):
    """Gradio's usual folder belongs to all of its applications on a machine."""
    other = app.files / "another-application" / "photo.png"
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(b"another visitor's")
    assert served(http, other).status_code == 403
    for path in mine.values():
        assert path.is_relative_to(app.files)
        folder = app.files / path.relative_to(app.files).parts[0]
        assert folder.stat().st_mode & 0o077 == 0


def test_the_folder_of_a_file_cannot_be_guessed_or_listed(http, mine, photo):
    for path in mine.values():
        secret = max(path.parts[:-1], key=len)
        assert re.fullmatch("[0-9a-f]{48,64}", secret)
        place = path.parent
        while place != place.parent:
            assert served(http, place).status_code == 403
            assert served(http, f"{place}/").status_code == 403
            assert served(http, place / "*").status_code == 403
            place = place.parent
        for guess in ("0" * len(secret), secret[:-1], secret[:-1] + "*", "*"):
            assert served(http, str(path).replace(secret, guess)).status_code == 403


def test_the_path_of_an_export_does_not_lead_to_the_photo(http, mine):
    """A user may pass on the link of a cut-out, which must not show what was cut away."""
    folder = mine["export"].parents[1]
    for name in ("photo", "", mine["upload"].name):
        assert served(http, folder / name).status_code in {403, 404}
    (stored,) = [path for path in folder.iterdir() if path.is_file()]
    assert re.fullmatch("[0-9a-f]{48}", stored.name)


def test_two_uploads_of_one_name_lie_apart(page, mine, tmp_path, photo):
    other = tmp_path / photo.name
    other.write_bytes(photo.read_bytes() + b"\0")
    assert Path(page.upload(other, mine["upload"].name)).parent != mine["upload"].parent


def test_equal_uploads_of_two_visitors_lie_apart_by_their_names(page, photo):
    """Gradio names the folder by the content; opening one upload moves it."""
    one, other = page.upload(photo), page.upload(photo)
    assert page.open_photo(one)["ok"]
    assert page.open_photo(other, session="other")["ok"]


@pytest.mark.parametrize("kind", ["html", "svg", "xml", "js", "pdf", "png"])
def test_a_visitors_file_runs_no_script_in_the_pages_name(page, http, tmp_path, kind):
    """Whatever it is called: it comes as a download, or as a picture, and in a sandbox."""
    file = tmp_path / f"page.{kind}"
    file.write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    path = page.upload(file)
    for headers in ({}, {"Range": "bytes=0-9"}):
        reply = http.get(f"gradio_api/file={path}", headers=headers)
        assert reply.status_code == 200
        assert "sandbox" in reply.headers["content-security-policy"].split("; ")
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["content-type"] == (
            "image/png" if kind == "png" else "application/octet-stream"
        )
        if kind != "png":
            assert reply.headers["content-disposition"].startswith("attachment")
        assert "private" in reply.headers["cache-control"]


def test_a_range_of_a_file_does_not_echo_what_was_sent(http, mine):
    reply = http.get(
        f"gradio_api/file={mine['upload']}", headers={"Range": "bytes=0-9", "X-Echo": "echo"}
    )
    assert "x-echo" not in reply.headers


@pytest.mark.parametrize(
    "path",
    ["", "config", "healthz", "gradio_api/info", "theme.css", "favicon.ico", "nowhere", "UPLOAD"],
)
def test_every_answer_bears_the_headers(http, mine, path):
    reply = http.get(path.replace("UPLOAD", f"gradio_api/file={mine['upload']}"))
    assert reply.headers.keys() >= SHIELD | {"content-security-policy"}


def test_the_page_may_be_embedded_by_hugging_face_and_talks_to_its_own_server_alone(http):
    policy = dict(
        rule.split(" ", 1) for rule in http.get("").headers["content-security-policy"].split("; ")
    )
    assert policy["frame-ancestors"] == "'self' https://huggingface.co https://*.hf.space"
    assert policy["connect-src"] == "'self' data: blob:"
    assert policy["object-src"] == "'none'"
    assert not any(
        "*" in policy[rule] or "http" in policy[rule]
        for rule in policy
        if rule != "frame-ancestors"
    )


def test_another_site_gets_no_answers_from_a_page_on_this_machine(http):
    origin = {"Origin": "https://elsewhere.example"}
    asked = http.options(
        "gradio_api/component_server",
        headers={**origin, "Access-Control-Request-Method": "POST"},
    )
    for reply in (asked, http.get("config", headers=origin)):
        assert "access-control-allow-origin" not in reply.headers


def test_the_answers_of_a_visitor_need_the_visitors_own_session(page, http, photo):
    """Neither another session nor another event's number leads to them, nor stops them."""
    (event,) = [one for one in page.config["dependencies"] if one["api_name"] == "segment"]
    file = {"path": page.upload(photo), "meta": {"_type": "gradio.FileData"}}
    session = uuid.uuid4().hex
    body = {
        "data": [file, [[90, 100, 1]], None, None, None],
        "fn_index": event["id"],
        "session_hash": session,
    }
    joined = http.post("gradio_api/queue/join", json=body).json()["event_id"]
    assert re.fullmatch("[0-9a-f]{32}", joined)
    cancelled = http.post(
        "gradio_api/cancel",
        json={"session_hash": "stranger", "fn_index": event["id"], "event_id": uuid.uuid4().hex},
    )
    assert cancelled.status_code == 200
    for url in (
        f"gradio_api/queue/data?session_hash={uuid.uuid4().hex}",
        f"gradio_api/queue/data?session_hash={session[:-1]}",
        "gradio_api/queue/data?session_hash=",
        f"gradio_api/call/segment/{uuid.uuid4().hex}",
        f"gradio_api/call/segment/{joined[:-1]}",
    ):
        with http.stream("GET", url) as stream:
            first = next((line for line in stream.iter_lines() if line.startswith("data:")), "")
        assert "counts" not in first
        assert "not found" in first.lower() or "404" in first
    *_, last = events(http, session)
    assert last["success"]
    assert "counts" in json.dumps(last["output"])


def test_the_log_and_the_health_name_nothing_of_a_visitor(
    app, page, http, post, token, mine, photo
):
    post("segment", {"token": token, "interactions": [{**CLICK, "x": 123.456}]})
    post("segment", {"token": token, "interactions": [{**CLICK, "x": -7.654}]})
    with pytest.raises(Exception, match="outside the 300 x 200 photo"):
        connect(app.url).predict(
            {"path": str(mine["upload"]), "meta": {"_type": "gradio.FileData"}},
            [[-7.654, 1, 1]],
            api_name="/segment",
        )
    # What Gradio itself cannot make sense of, and would print.
    odd = {"path": "/odd-secret.jpg", "meta": {"_type": "gradio.FileData"}}
    for data in (
        [odd, [["odd-secret"]], None, None, None],
        [{"path": ["odd-secret"]}, None, None, None, None],
        ["odd-secret"],
        {},
    ):
        asked = http.post("gradio_api/call/segment", json={"data": data})
        if asked.status_code == 200:
            http.get(f"gradio_api/call/segment/{asked.json()['event_id']}")
    assert not page.open_photo("/odd-secret.jpg")["ok"]
    told = app.log() + http.get("healthz").text
    assert re.search(r"Event failed: \w+Error at", told)
    for secret in (
        token,
        photo.stem,
        "123.456",
        "7.654",
        "odd-secret",
        *(str(p.parent) for p in mine.values()),
    ):
        assert secret not in told
    assert re.search(
        r"id=[0-9a-f]{8} what=segment outcome=PromptError wait_ms=\d+ work_ms=\d+", told
    )
