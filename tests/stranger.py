"""Requests as no client makes them: what a stranger sends and reads by hand."""

import json

from tests.serving import LEFT

WAIT_S = 60
CLICK = {"type": "point", "x": LEFT.x, "y": LEFT.y, "label": 1}


def upload(http, path):
    with path.open("rb") as file:
        return http.post("gradio_api/upload", files={"files": (path.name, file)}).json()[0]


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
