"""The page at every width, in light and dark: nothing overflows, the console shows no errors."""

from urllib.parse import urlsplit

import pytest

from tests.browser.driver import Demo
from tests.serving import LEFT

_OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  const wide = [...document.querySelectorAll('.sam *')].filter((node) =>
    !node.closest('.sam-strip') && node.getBoundingClientRect().right > width + 1);
  const names = wide.map((node) => node.outerHTML.slice(0, 80));
  return [document.documentElement.scrollWidth - width, names];
}"""


@pytest.fixture
def tab(context):
    """A new tab of the shared browser profile, with nothing loaded."""
    demo = Demo(context.new_page())
    yield demo
    demo.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_nothing_scrolls_sideways_and_no_error_is_logged(tab, app, photo, width, scheme):
    hosts = set()
    tab.page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.page.emulate_media(color_scheme=scheme)
    tab.load(f"{app.url}?__theme={scheme}")
    assert tab.page.evaluate(_OVERFLOW) == [0, []]
    tab.open(photo)
    assert tab.page.evaluate(_OVERFLOW) == [0, []]
    tab.click(LEFT.centre)
    assert tab.page.evaluate(_OVERFLOW) == [0, []]
    assert tab.mask()[LEFT.y, LEFT.x]
    dark = tab.page.evaluate("() => document.body.classList.contains('dark')")
    assert dark == (scheme == "dark")
    assert tab.complaints == []
    # Files, blobs and data have no host; everything else comes from the demo itself.
    assert hosts <= {"127.0.0.1", None}


def test_markers_and_mask_stay_on_their_object_when_the_window_is_resized(demo):
    demo.click(LEFT.centre)
    before = demo.pixels("marks").shape
    demo.page.set_viewport_size({"width": 700, "height": 900})
    demo.wait_for(
        "([height, width]) => { const c = document.querySelector('canvas[data-part=marks]');"
        " return c.height !== height && c.width !== width; }",
        list(before[:2]),
    )
    demo.settle()
    marks = demo.pixels("marks")[..., 3] > 0
    rows, columns = marks.nonzero()
    height, width = marks.shape
    assert abs(columns.mean() / width - LEFT.x / 300) < 0.02
    assert abs(rows.mean() / height - LEFT.y / 200) < 0.02
    demo.click((100, 120))
    assert demo.interactions()[-1][-1] == {"type": "point", "x": 100, "y": 120, "label": 1}


@pytest.mark.parametrize("width", [1440, 390])
def test_what_is_below_the_candidates_does_not_move_as_they_come_and_go(demo, width):
    demo.page.set_viewport_size({"width": width, "height": 900})
    demo.settle()
    verdict = demo.part("verdict")
    before = verdict.bounding_box()
    demo.click(LEFT.centre)
    assert demo.candidates().count() == 3
    assert verdict.bounding_box() == before
    demo.click((100, 120))
    assert demo.candidates().count() == 0
    assert verdict.bounding_box() == before
