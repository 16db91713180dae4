"""A Chromium for the browser tests, and pages of the demo in it.

Most tests share one page, which is reset before each: loading the page anew takes far longer than
most of the tests.
"""

import pytest

from tests.browser.driver import VIEWPORT, Demo
from tests.browser.object_list import press_next
from tests.browser.result_view import LARGE, save_large, show_result
from tests.serving import LEFT, RIGHT

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="session")
def context(browser):
    """One browser profile, whose cache the pages without special wishes share."""
    return browser.new_context(viewport=VIEWPORT)


class SharedPage:
    """The page that most tests use one after the other."""

    def __init__(self, context, url):
        self._context, self._url = context, url
        self._demo = None

    def reset(self, photo):
        if self._demo is None:
            self._demo = Demo(self._context.new_page())
            self._demo.load(self._url)
            self._demo.wait_for_model()
        self._demo.reset(photo)
        return self._demo

    def discard(self):
        """The next test gets a new page."""
        self._demo.page.close()
        self._demo = None


@pytest.fixture(scope="session")
def _shared_page(context, app):
    return SharedPage(context, app.url)


@pytest.fixture
def demo(_shared_page, photo, request):
    """The demo with the small photo open: like new, though other tests have used the page."""
    failed = request.session.testsfailed
    yield _shared_page.reset(photo)
    if request.session.testsfailed > failed:
        _shared_page.discard()


@pytest.fixture
def empty_demo(context, app):
    """The demo in a new tab, without a photo."""
    demo = Demo(context.new_page())
    demo.load(app.url)
    demo.forget()
    yield demo
    demo.page.close()


@pytest.fixture(scope="session")
def phone_context(browser):
    return browser.new_context(**PHONE)


@pytest.fixture
def phone(phone_context, app, photo):
    """The demo on a narrow touch screen, with the small photo open."""
    demo = Demo(phone_context.new_page())
    demo.load(app.url)
    demo.forget()
    demo.open(photo)
    demo.wait_for_model()
    yield demo
    demo.page.close()


@pytest.fixture
def new_demo(browser, app):
    """new_demo(url, **options): the demo in a browser profile of its own, without a photo."""
    contexts = []

    def open_page(url=app.url, **options):
        context = browser.new_context(**{"viewport": VIEWPORT, **options})
        contexts.append(context)
        demo = Demo(context.new_page())
        demo.load(url)
        return demo

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def two(demo):
    """The demo with both discs in the list of objects."""
    for disc in (LEFT, RIGHT):
        demo.click(disc.centre)
        press_next(demo)
    return demo


@pytest.fixture(scope="session")
def large(tmp_path_factory):
    """A photo larger than what shows of it."""
    return save_large(tmp_path_factory.mktemp("photos") / "two discs.png")


@pytest.fixture
def result(demo, large):
    """The result of a click on the large disc."""
    demo.open(large)
    demo.click(LARGE.centre)
    show_result(demo)
    return demo
