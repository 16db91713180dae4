"""Allowed routes, with and without a root path; more of them in tests/api."""

from __future__ import annotations

import re

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from mobilesam.web.server.middleware import SecurityMiddleware
from mobilesam.web.server.request_limits import route_path
from mobilesam.web.server.static_files import static_base

SECRET = "holiday.jpg"


def client(root_path: str = "") -> TestClient:
    """Of an application that answers every request it receives."""

    def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"root {request.scope['root_path']}")

    routes = [Route("/{path:path}", answer, methods=["GET", "POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(SecurityMiddleware, 1000)])
    return TestClient(app, root_path=root_path)


ALLOWED = ["/", "/config", "/healthz", "/gradio_api/info", "/gradio_api/queue/join",
           "/gradio_api/file=/tmp/a.png", "/assets/a.js", "/gradio_api/mcp/",
           f"/{static_base()}/main.js", "/decoder/embedding",
           "/decoder/weights/" + "0a" * 32]  # fmt: skip
FORBIDDEN = ["/docs", "/monitoring", "/gradio_api/run/segment", "/gradio_api/file=http://a/",
             "/gradio_api/proxy=https://a.hf.space/", "/configs", "/gradio_api/deep_link",
             "/mobilesam-0.0.1-0123456789abcdef/main.js",
             "/decoder", "/decoder/weights", "/decoder/weights/x", "/decoder/embedding/",
             "/gradio_api/file/etc/passwd"]  # fmt: skip


@pytest.mark.parametrize("root", ["", "/rooted", "/two/parts"])
@pytest.mark.parametrize("path", ALLOWED)
def test_an_allowed_route_is_answered(root, path):
    reply = client(root).get(root + path)
    assert (reply.status_code, reply.text) == (200, f"root {root}")


@pytest.mark.parametrize("root", ["", "/rooted"])
@pytest.mark.parametrize("path", FORBIDDEN)
def test_any_other_route_is_not_found(root, path):
    for prefix in {"", root, f"{root}{root}"}:
        reply = client(root).get(prefix + path)
        assert (reply.status_code, reply.text) == (404, "Not found")


def test_a_proxy_that_removes_its_prefix_works_too():
    assert client("/rooted").get("/config").text == "root /rooted"


def test_a_path_that_only_begins_like_the_root_path_is_not_found():
    assert client("/rooted").get("/rootedconfig").status_code == 404


@pytest.mark.parametrize("path", ["/config", "/seg/config", "/seg/apps/config"])
@pytest.mark.parametrize("prefix", ["/seg", "/seg/", "/seg/apps"])
def test_a_prefix_that_the_proxy_names_is_the_root_path(prefix, path):
    """Whether it removes the prefix or not; Gradio's addresses begin with the root path."""
    reply = client().get(path, headers={"X-Forwarded-Prefix": prefix})
    is_its_own = path == "/config" or path == f"{prefix.rstrip('/')}/config"
    assert (reply.text, reply.status_code) == (
        (f"root {prefix.rstrip('/')}", 200) if is_its_own else ("Not found", 404)
    )


@pytest.mark.parametrize(
    "prefix", ["seg", "//evil.example", "https://evil.example", "/a b", "/a?b", "/a,/b"]
)
def test_anything_else_in_the_header_is_ignored(prefix):
    assert client().get("/config", headers={"X-Forwarded-Prefix": prefix}).text == "root "


def test_the_root_path_that_is_set_goes_before_the_header():
    headers = {"X-Forwarded-Prefix": "/other"}
    assert client("/rooted").get("/config", headers=headers).text == "root /rooted"
    assert client("/rooted").get("/other/config", headers=headers).status_code == 404


def test_the_page_may_be_embedded_where_the_setting_says():
    security = Middleware(SecurityMiddleware, 1000, "https://example.org")
    app = TestClient(Starlette(middleware=[security]))
    policy = app.get("/config").headers["Content-Security-Policy"]
    assert policy.endswith("; frame-ancestors 'self' https://example.org")


@pytest.mark.parametrize("path", ["/config", "/docs", "/gradio_api/file=/tmp/a.png"])
def test_every_response_has_the_security_headers(path):
    headers = client().get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert ("sandbox" in headers["Content-Security-Policy"]) == ("file=" in path)


@pytest.mark.parametrize(
    ("path", "root"),
    [("/a/b", ""), ("/r/a", "/r"), ("/r", "/r"), ("/ra", "/r"), ("/a", "/r"), ("/r/r/a", "/r"),
     ("/r/a", "https://host/r"), ("/r/a", "/r/")],
)  # fmt: skip
def test_the_route_is_found_as_starlette_finds_it(path, root):
    """The list of allowed routes must look at the path by which Starlette chooses the route."""
    from starlette._utils import get_route_path

    scope = {"path": path, "root_path": root}
    assert route_path(scope) == get_route_path(scope)


def failing(path: str, has_started: bool = False) -> httpx.Response:
    """The response of an application that fails with what was sent."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if has_started:
            await PlainTextResponse("begun")(scope, receive, send)
        raise KeyError(SECRET)

    return TestClient(SecurityMiddleware(app, 1000)).post(path)


@pytest.mark.parametrize("path", ["/gradio_api/call/x", "/gradio_api/upload", "/gradio_api/reset"])
def test_an_unexpected_error_is_a_sentence_and_one_line_in_the_log(caplog, path):
    reply = failing(path)
    assert (reply.status_code, reply.text) == (500, "The server does not understand the request.")
    assert "Content-Security-Policy" in reply.headers
    (record,) = [one for one in caplog.records if one.name.startswith("mobilesam")]
    assert re.fullmatch(r"Request failed: KeyError at \S+test_middleware\.py:\d+", record.message)
    assert SECRET not in caplog.text


def test_an_error_after_the_response_began_leaves_it_as_it_is(caplog):
    assert failing("/gradio_api/reset", has_started=True).text == "begun"
    assert "Request failed: KeyError" in caplog.text
