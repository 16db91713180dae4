"""A running app, its client, and the photos that are sent to it."""

import pytest

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
