"""Talks to the server as the page does, without a browser."""

import json
import secrets
from contextlib import contextmanager

import httpx

from tests.serving import LEFT

WAIT_S = 60
CLICK = {"type": "point", "x": LEFT.x, "y": LEFT.y, "label": 1}


class Page:
    """An open page.

    Attributes:
        http: sends whatever a test wants to send.
        config: Gradio's configuration of the page.
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

    def post(self, name, query=None, raw=None, session="stranger"):
        """Calls a server function; the body may be raw text."""
        body = raw or json.dumps(
            {
                "component_id": self._canvas_id,
                "fn_name": name,
                "session_hash": session,
                "data": query,
            }
        )
        headers = {"Content-Type": "application/json"}
        return self.http.post("gradio_api/component_server", content=body, headers=headers)

    def upload(self, path, name=None):
        """Uploads a file under a random name, as the page does; returns its path on the server."""
        files = {"files": (name or f"{secrets.token_hex(8)}{path.suffix}", path.read_bytes())}
        return self.http.post("gradio_api/upload", files=files).json()[0]

    def begin_open(self, path, session="stranger", name="a.png"):
        """The first reply to a request to open an upload, by its path on the server."""
        return self.post("open", {"path": path, "name": name}, session=session).json()

    def open_photo(self, path, session="stranger", name="a.png"):
        """The last reply to a request to open an upload, by its path on the server."""
        reply = self.begin_open(path, session, name)
        while reply["ok"] and reply["state"] != "done":
            reply = self.post("open", {"token": reply["token"]}, session=session).json()
        return reply

    def open(self, path, session="stranger"):
        """Uploads a photo and opens it: its token."""
        reply = self.open_photo(self.upload(path), session, path.name)
        assert reply["ok"], reply
        return reply["token"]

    def stay(self, session):
        """The stream that an open tab holds: to be used in a `with`."""
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
    """The messages of a session in Gradio's queue, until it ends."""
    with http.stream("GET", "gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                message = json.loads(line[5:])
                yield message
                if message["msg"] in {"process_completed", "close_stream"}:
                    return
