"""Talks to the server as the page does, without a browser."""

import json
import uuid
from contextlib import contextmanager

import httpx

from tests.serving import LEFT

WAIT_S = 60
CLICK = {"type": "point", "x": LEFT.x, "y": LEFT.y, "label": 1}


class Page:
    """An open page.

    Attributes:
        http: sends whatever a test wants to send.
        config: what the server says of the page.
    """

    def __init__(self, url):
        self.http = httpx.Client(base_url=url, timeout=WAIT_S)
        self.config = self.http.get("config").json()
        (canvas,) = [
            one
            for one in self.config["components"]
            if one["props"].get("elem_id") == "prompt-canvas"
        ]
        self._canvas_id = canvas["id"]

    def post(self, name, query=None, raw=None):
        """Calls a server function; the body may be raw text."""
        body = raw or json.dumps(
            {
                "component_id": self._canvas_id,
                "fn_name": name,
                "session_hash": "stranger",
                "data": query,
            }
        )
        headers = {"Content-Type": "application/json"}
        return self.http.post("gradio_api/component_server", content=body, headers=headers)

    def upload(self, path):
        """Uploads a file: its path on the server."""
        with path.open("rb") as file:
            return self.http.post("gradio_api/upload", files={"files": (path.name, file)}).json()[0]

    def begin_open(self, path, session=None):
        """Asks for a photo by its path on the server: the reply of the queue, and the session."""
        session = session or uuid.uuid4().hex
        (event,) = [
            one
            for one in self.config["dependencies"]
            if one["targets"] and one["targets"][0] == [self._canvas_id, "photo"]
        ]
        photo = {"path": path, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}
        body = {
            "data": [{"photo": photo, "ticket": 7}],
            "fn_index": event["id"],
            "session_hash": session,
            "trigger_id": self._canvas_id,
            "event_data": {},
        }
        return self.http.post("gradio_api/queue/join", json=body), session

    def open_photo(self, path, session=None):
        """The queue's last message for a photo by its path on the server."""
        reply, session = self.begin_open(path, session)
        if reply.status_code != 200:
            return {"msg": "refused", "success": False, "output": reply.text}
        return list(events(self.http, session))[-1]

    def open(self, path, session=None):
        """Uploads a photo and opens it: its token."""
        message = self.open_photo(self.upload(path), session)
        found = find(message["output"], "token")
        assert found, message
        return found

    def stay(self, session):
        """What a tab keeps open as long as it is: to be used in a `with`."""
        return self.http.stream("GET", f"gradio_api/heartbeat/{session}")


@contextmanager
def visiting(url):
    """A Page, closed at the end."""
    page = Page(url)
    try:
        yield page
    finally:
        page.http.close()


def events(http, session):
    """The messages of a queue session, until it ends."""
    with http.stream("GET", "gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                message = json.loads(line[5:])
                yield message
                if message["msg"] in {"process_completed", "close_stream"}:
                    return


def find(value, key):
    """The first value of a key anywhere in nested JSON."""
    if isinstance(value, dict):
        if key in value:
            return value[key]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            found = find(item, key)
            if found is not None:
                return found
    return None
