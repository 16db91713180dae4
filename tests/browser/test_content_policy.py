"""The content security policy in a browser: nothing violates it, and it has its effect."""

import pytest

from tests.browser.driver import VIEWPORT, Demo
from tests.serving import LEFT

WATCH = """
window.violations = [];
addEventListener('securitypolicyviolation', (event) => window.violations.push(event.blockedURI));
"""
FRAME = "<iframe src='{url}' allow='local-network-access' width=900 height=700></iframe>"


@pytest.fixture
def watched(browser, app):
    """A new page that records violations of its policy, and the hosts it sends requests to."""
    context = browser.new_context(viewport=VIEWPORT)
    context.add_init_script(WATCH)
    demo = Demo(context.new_page())
    demo.hosts = set()
    demo.page.on("request", lambda request: demo.hosts.add(request.url.split("/")[2]))
    demo.load(app.url)
    yield demo
    context.close()


def test_a_visit_violates_no_rule_and_sends_no_request_to_another_host(watched, app, photo):
    with watched.opened():
        watched.part("examples").locator("button").first.click()
    watched.open(photo)
    watched.click(LEFT.centre)
    assert watched.mask()[LEFT.y, LEFT.x]
    for command in ("mask", "cutout"):
        assert watched.download(command)[1].startswith(b"\x89PNG")
    watched.do("camera")
    watched.wait_for("() => document.querySelector('[data-part=video]').videoWidth > 0")
    with watched.opened():
        watched.page.locator("[data-do=shoot]").click()
    assert watched.page.evaluate("violations") == []
    assert watched.complaints == []
    assert watched.hosts <= {app.url.split("/")[2], ""}


def test_the_browser_blocks_requests_of_the_page_to_another_host(watched):
    watched.page.evaluate("""() => {
      fetch('https://elsewhere.example/tell').catch(() => null);
      new Image().src = 'https://elsewhere.example/pixel.png';
    }""")
    watched.wait_for("() => violations.length === 2")
    assert set(watched.page.evaluate("violations")) == {
        "https://elsewhere.example/tell",
        "https://elsewhere.example/pixel.png",
    }


@pytest.mark.parametrize(
    ("parent", "embeds"),
    [("https://huggingface.co/spaces/a/b", True), ("https://elsewhere.example/", False)],
)
def test_hugging_face_can_embed_the_page_and_others_cannot(browser, app, parent, embeds):
    # The app is on this machine, which a page from elsewhere needs a permission for.
    context = browser.new_context(permissions=["local-network-access"])
    page = context.new_page()
    html = FRAME.format(url=app.url)
    page.route(parent, lambda route: route.fulfill(body=html, content_type="text/html"))
    if embeds:
        page.goto(parent)
        (frame,) = page.main_frame.child_frames
        frame.wait_for_selector(".sam[data-loaded=yes]")
    else:
        with page.expect_event("requestfailed") as refused:
            page.goto(parent)
        assert refused.value.url == app.url
        assert refused.value.failure == "net::ERR_BLOCKED_BY_RESPONSE"
    context.close()
