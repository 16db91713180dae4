"""The MCP server: photos as data URLs, and the parts of Gradio it replaces."""

from __future__ import annotations

import base64
import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest

from mobilesam import ImageError, ImageLimits, MobileSamError
from mobilesam.web.api import mcp as mcp_tools
from mobilesam.web.server.replies import ExpiredError


def test_a_server_that_gradio_could_not_start_is_an_error():
    with pytest.raises(MobileSamError, match="could not start"):
        mcp_tools.prepare_mcp_server(SimpleNamespace(mcp_server_obj=None), ImageLimits())


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("convert_strings_to_filedata", ["self", "value", "filedata_positions"]),
        ("postprocess_output_data", ["self", "data", "root_url"]),
    ],
)
def test_gradios_server_still_has_the_methods_that_are_replaced(method, parameters):
    from gradio.mcp import GradioMCPServer

    assert list(inspect.signature(getattr(GradioMCPServer, method)).parameters) == parameters
    assert f"self.{method}(" in inspect.getsource(GradioMCPServer)


def test_replies_are_json_and_files_stay_files():
    sent = []
    server = SimpleNamespace(postprocess_output_data=lambda data, url: sent.extend(data))
    mcp_tools.prepare_mcp_server(SimpleNamespace(mcp_server_obj=server), ImageLimits())
    file = {"path": "/a.png", "url": "http://here/a.png"}
    server.postprocess_output_data([{"size": [1, 2], "masks": [None, True]}, file], "http://here")
    assert sent == ['{"size": [1, 2], "masks": [null, true]}', file]


@pytest.fixture
def convert(monkeypatch, tmp_path):
    """The photo argument as the MCP server turns it into a file, at most 10 bytes."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    server = SimpleNamespace(postprocess_output_data=None)
    demo = SimpleNamespace(mcp_server_obj=server)
    mcp_tools.prepare_mcp_server(demo, ImageLimits(max_bytes=10))

    def run(image):
        sent = {"image": image, "box": "data:,"}
        converted = server.convert_strings_to_filedata(sent, [["properties", "image"]])
        assert converted["box"] == "data:,"
        return converted["image"]

    return run


def test_a_data_url_becomes_an_upload(convert, tmp_path):
    photo = convert("data:image/png;base64," + base64.b64encode(b"0123456789").decode())
    assert Path(photo["path"]).is_relative_to(tmp_path)  # from which uploads are removed
    with open(photo["path"], "rb") as file:
        assert file.read() == b"0123456789"


@pytest.mark.parametrize("image", [
    "data:image/png;base64," + "A" * 17, "data:image/png;base64,A", "data:,abcd", "data:",
    "/etc/passwd", "file:///etc/passwd", "", None, 7, ["http://a"], {"path": "/etc/passwd"},
    "http://127.0.0.1:7860/gradio_api/file=/etc/passwd",
    "http://127.0.0.1:7860/gradio_api/file=%2Fetc%2Fpasswd",
])  # fmt: skip
def test_anything_but_a_url_or_small_data_is_refused(convert, image, tmp_path):
    with pytest.raises((ImageError, ExpiredError)):
        convert(image)
    assert not list(tmp_path.iterdir())
