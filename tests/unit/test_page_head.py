"""Elements that are added to the head of the page, and to nothing else."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from mobilesam.web.server.page_head import PageHead

LINK = '<link rel="stylesheet" href="./größe.css">'
PAGE = "<html><head><title>Photos</title></head><body>&lt;/head></body></html>"


async def page(_request: Request) -> Response:
    return HTMLResponse(PAGE)


async def no_page(_request: Request) -> Response:
    return HTMLResponse("It failed", status_code=500)


async def parts(_request: Request) -> Response:
    return StreamingResponse(iter(["<p>one", "</head>", "two"]), media_type="text/html")


def client(endpoint, root_path: str = "") -> TestClient:
    routes = [Route("/", endpoint), Route("/other", endpoint)]
    app = Starlette(routes=routes, middleware=[Middleware(PageHead, LINK)])
    return TestClient(app, root_path=root_path)


@pytest.mark.parametrize("root_path", ["", "/seg"])
def test_the_page_has_the_elements_at_the_end_of_its_head(root_path: str) -> None:
    answer = client(page, root_path).get(f"{root_path}/")
    assert answer.text == PAGE.replace("</title></head>", f"</title>{LINK}</head>")
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["cache-control"] == "private, no-cache"  # it depends on the Host


def test_a_request_for_the_headers_alone_is_answered() -> None:
    answer = client(page).head("/")
    assert (answer.status_code, answer.content) == (200, b"")


def test_other_paths_are_unchanged() -> None:
    assert client(page).get("/other").text == PAGE


def test_an_answer_without_a_head_is_unchanged() -> None:
    answer = client(no_page).get("/")
    assert (answer.status_code, answer.text) == (500, "It failed")
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_an_answer_in_parts_without_a_head_in_its_first_part_is_unchanged() -> None:
    assert client(parts).get("/").text == "<p>one</head>two"
