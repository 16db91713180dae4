"""What an assistant gets: a real MCP client lists the tools and asks for a mask."""

import base64
import json

import httpx
import numpy as np
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from pycocotools import mask as coco_mask

from mobilesam import Prompt
from tests.bad_files import header_bomb
from tests.event_loop import run_async
from tests.serving import ROOT, assert_same_masks

SECRET = "holiday.jpg"
FIG = ROOT / "examples" / "fig.jpg"
CLICK = next(
    row["click"]
    for row in json.loads((ROOT / "tests/quality/expectations.json").read_text(encoding="utf-8"))
    if row["photo"] == FIG.name
)


@pytest.fixture(scope="module")
def talk(app):
    """talk(conversation): what `conversation(session)` returns, in a session of its own."""

    def run(conversation):
        async def converse():
            url = f"{app.url}gradio_api/mcp/"
            async with (
                streamablehttp_client(url) as (read, write, _),
                ClientSession(read, write) as session,
            ):
                await session.initialize()
                return await conversation(session)

        return run_async(converse())

    return run


@pytest.fixture(scope="module")
def call(talk):
    """call(tool, **arguments): whether it failed, and the texts that came back."""

    def run(tool, **arguments):
        result = talk(lambda session: session.call_tool(tool, arguments))
        return bool(result.isError), [getattr(part, "text", part) for part in result.content]

    return run


def as_data(data):
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def uploaded(app):
    """The photo's address after an upload, as Gradio's upload tool gives it."""
    with FIG.open("rb") as file:
        reply = httpx.post(f"{app.url}gradio_api/upload", files={"files": file}, timeout=60)
    return f"{app.url}gradio_api/file={reply.json()[0]}"


@pytest.fixture(scope="module")
def expected(bundled):
    return bundled.predict(bundled.encode(FIG), Prompt([CLICK], [1]))


def test_the_public_endpoints_are_the_tools_and_say_how_to_call_them(talk):
    tools = {tool.name: tool for tool in talk(lambda session: session.list_tools()).tools}
    assert list(tools) == ["segment", "everything", "export"]
    schema = tools["segment"].inputSchema
    assert schema["required"] == ["image"]
    assert "http" in schema["properties"]["image"]["format"]
    for tool in tools.values():
        assert "Returns: " in tool.description
        for name, property_ in tool.inputSchema["properties"].items():
            assert not property_["description"].endswith((",", " ")), name
            assert len(property_["description"]) > 5, name


@pytest.mark.parametrize("how", ["uploaded", "data"])
def test_a_photo_is_segmented_as_by_the_python_api(call, expected, uploaded, how):
    image = uploaded if how == "uploaded" else as_data(FIG.read_bytes())
    failed, (text,) = call("segment", image=image, points=[[*CLICK, 1]])
    assert not failed, text
    answer = json.loads(text)
    masks = np.stack([coco_mask.decode(one["rle"]) == 1 for one in answer["masks"]])
    assert_same_masks(masks, expected.masks)


def test_a_mask_goes_on_to_export_and_comes_back_as_a_picture(call, talk, uploaded, expected):
    _, (text,) = call("segment", image=uploaded, points=[[*CLICK, 1]])
    rle = json.loads(text)["masks"][expected.best]["rle"]
    objects = [{"name": "fig", "rle": rle}]
    arguments = {"image": uploaded, "objects": objects, "format": "mask_png"}
    result = talk(lambda session: session.call_tool("export", arguments))
    assert not result.isError
    picture, address = result.content
    assert picture.mimeType == "image/png"
    assert address.text.startswith("Image URL: http")


ELSEWHERE = {
    "this machine": "http://127.0.0.1:{port}/config",
    "this machine by name": "http://localhost:{port}/config",
    "this machine in IPv6": "http://[::1]:{port}/config",
    "this machine, mapped": "http://[::ffff:127.0.0.1]:{port}/config",
    "any address": "http://0.0.0.0:{port}/config",
    "as a number": "http://2130706433:{port}/config",
    "the cloud's metadata": "http://169.254.169.254/latest/meta-data/",
    "a private network": "http://10.0.0.1/photo.png",
    "a carrier's network": "http://100.100.100.200/latest/meta-data/",
    "no host": "http:///photo.png",
    "a file": "file:///etc/passwd",
    "a path": "/etc/passwd",
    "another scheme": "ftp://example.org/photo.png",
    "a file by this server": "{url}gradio_api/file=/etc/passwd",
    "an example by this server": f"{{url}}gradio_api/file={FIG}",
    "a number": 7,
}


@pytest.mark.parametrize("where", ELSEWHERE)
def test_nothing_but_the_public_internet_and_uploads_can_be_read(call, app, where):
    image = ELSEWHERE[where]
    if isinstance(image, str):
        image = image.format(port=app.port, url=app.url)
    failed, (text,) = call("segment", image=image, points=[[1, 1, 1]])
    assert failed
    assert "root:" not in text
    assert "\n" not in text or where == "a number"
    assert any(
        sentence in text
        for sentence in (
            "not on the public internet", "does not answer", "http or https URL",
            "does not have the photo", "is not of type 'string'",
        )
    )  # fmt: skip


BAD_CALLS = {
    "no prompt": ({}, "at least one point or a box"),
    "a point outside": ({"points": [[9999, 1, 1]]}, "is outside the"),
    "not base64": ({"image": "data:image/png;base64,???", "box": [1, 1, 9, 9]}, "not valid base64"),
    "junk": ({"image": as_data(b"junk" * 99), "box": [1, 1, 9, 9]}, "not a photo"),
    "a bomb": ({"image": as_data(header_bomb()), "box": [1, 1, 9, 9]}, "40 megapixels"),
}


@pytest.mark.parametrize("kind", BAD_CALLS)
def test_a_bad_call_gets_one_sentence(call, uploaded, kind):
    arguments, sentence = BAD_CALLS[kind]
    failed, (text,) = call("segment", **{"image": uploaded, **arguments})
    assert failed
    assert sentence in text
    assert len(text) < 150


@pytest.mark.parametrize("kind", ["tools/call", "notifications/progress"])
def test_a_malformed_message_is_logged_without_what_was_sent(app, kind):
    """By the package `mcp`, to the root logger."""
    before = len(app.log())
    sent = {"name": "segment", "arguments": [SECRET]}
    message = {"jsonrpc": "2.0", "method": kind, "params": sent}
    if kind == "tools/call":
        message["id"] = 1
    accepted = "application/json, text/event-stream"
    httpx.post(f"{app.url}gradio_api/mcp/", json=message, headers={"Accept": accepted}, timeout=60)
    app.wait(lambda: "WARNING root: " in app.log()[before:])
    assert SECRET not in app.log()[before:]


def test_the_log_has_no_line_of_the_protocol(app):
    assert "Processing request" not in app.log()
