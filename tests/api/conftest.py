"""A running app, its client, and the photos that are sent to it."""

import pytest

from tests.page import visiting
from tests.serving import connect, draw, running_app


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
def page(app):
    with visiting(app.url) as page:
        yield page


@pytest.fixture(scope="session")
def http(page):
    return page.http


@pytest.fixture(scope="session")
def post(page):
    """post(name, query): a server function as the page calls it; the body may be raw text."""
    return page.post


@pytest.fixture(scope="session")
def open_photo(page):
    """open_photo(path on the server): the queue's last message for the page's `photo` event."""
    return page.open_photo


@pytest.fixture(scope="session")
def token(page, photo):
    """A photo that somebody has open."""
    return page.open(photo)
