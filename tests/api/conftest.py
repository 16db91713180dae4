"""Clients of the application that all API tests share."""

import pytest

from tests.page import visiting
from tests.serving import connect


@pytest.fixture(scope="session")
def client(app):
    return connect(app.url)


@pytest.fixture(scope="session")
def page(app):
    with visiting(app.url) as page:
        yield page


@pytest.fixture(scope="session")
def http(page):
    return page.http


@pytest.fixture(scope="session")
def post(page):
    """post(name, query): calls a server function as the page does; the body may be raw text."""
    return page.post


@pytest.fixture(scope="session")
def open_photo(page):
    """open_photo(path on the server): the last reply to the page's request to open it."""
    return page.open_photo


@pytest.fixture(scope="session")
def token(page, photo):
    """A photo that another user has open."""
    return page.open(photo)


@pytest.fixture(scope="module", autouse=True)
def new_log(app):
    """new_log(): what the application, which other tests share, has logged during this module."""
    before = len(app.log())
    return lambda: app.log()[before:]
