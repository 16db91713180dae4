"""A running app, its client, and the photos that are sent to it."""

import json
import uuid

import httpx
import pytest

from tests.serving import connect, draw, running_app
from tests.stranger import WAIT_S, events, find, upload


@pytest.fixture(scope="session")
def app():
    with running_app() as running:
        yield running


@pytest.fixture(scope="session")
def client(app):
    return connect(app.url)


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    """300 x 200: a red disc on the left and a yellow one on the right."""
    path = tmp_path_factory.mktemp("photos") / "discs.png"
    draw().save(path)
    return path


@pytest.fixture(scope="session")
def http(app):
    with httpx.Client(base_url=app.url, timeout=WAIT_S) as client:
        yield client


@pytest.fixture(scope="session")
def config(http):
    return http.get("config").json()


@pytest.fixture(scope="session")
def canvas(config):
    (component,) = [
        one for one in config["components"] if one["props"].get("elem_id") == "prompt-canvas"
    ]
    return component


@pytest.fixture(scope="session")
def post(http, canvas):
    """post(name, query): a server function as the page calls it; the body may be raw text."""

    def call(name, query=None, raw=None):
        body = raw or json.dumps(
            {
                "component_id": canvas["id"],
                "fn_name": name,
                "session_hash": "stranger",
                "data": query,
            }
        )
        headers = {"Content-Type": "application/json"}
        return http.post("gradio_api/component_server", content=body, headers=headers)

    return call


@pytest.fixture(scope="session")
def open_photo(http, config, canvas):
    """open_photo(path on the server): the queue's last message for the page's `photo` event."""
    (event,) = [
        one
        for one in config["dependencies"]
        if one["targets"] and one["targets"][0] == [canvas["id"], "photo"]
    ]

    def trigger(path, session=None):
        session = session or uuid.uuid4().hex
        photo = {"path": path, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}
        body = {
            "data": [{"photo": photo, "ticket": 7}],
            "fn_index": event["id"],
            "session_hash": session,
            "trigger_id": canvas["id"],
            "event_data": {},
        }
        reply = http.post("gradio_api/queue/join", json=body)
        if reply.status_code != 200:
            return {"msg": "refused", "success": False, "output": reply.text}
        return list(events(http, session))[-1]

    return trigger


@pytest.fixture(scope="session")
def token(http, open_photo, photo):
    """A photo that somebody has open."""
    message = open_photo(upload(http, photo))
    found = find(message["output"], "token")
    assert found, message
    return found
