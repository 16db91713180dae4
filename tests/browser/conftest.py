"""A running app and a Chromium for the browser tests."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.driver import WAIT_MS, Visitor
from tests.browser.objects import press_next
from tests.serving import LEFT, RIGHT, draw, running_app

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@pytest.fixture(scope="session")
def app():
    """The real app on the bundled weights."""
    with running_app() as running:
        yield running


@pytest.fixture(scope="session")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("The browser tests need Chromium: apt-get install chromium.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, app):
    """Opens the page for a visitor with a browser context of their own."""
    contexts = []

    def open_page(url=app.url, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        visitor = Visitor(context.new_page())
        visitor.page.goto(url, timeout=WAIT_MS)
        visitor.page.wait_for_selector(".sam[data-loaded=yes]", timeout=WAIT_MS)
        return visitor

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def visitor(visit):
    return visit()


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    """A small photo with a red disc on the left and a yellow one on the right."""
    path = tmp_path_factory.mktemp("photos") / "discs.png"
    draw().save(path)
    return path


@pytest.fixture
def at_work(visitor, photo):
    """A visitor who has the small photo open."""
    visitor.open(photo)
    return visitor


@pytest.fixture
def two(at_work):
    """A visitor who has kept both discs, and begun a third object."""
    at_work.click(LEFT.centre)
    press_next(at_work)
    at_work.click(RIGHT.centre)
    press_next(at_work)
    return at_work
