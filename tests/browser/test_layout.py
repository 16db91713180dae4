"""The page at every width, in light and dark: nothing overflows and nothing complains."""

from urllib.parse import urlsplit

import pytest

from tests.serving import LEFT

_OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  const wide = [...document.querySelectorAll('.sam *')].filter((node) =>
    !node.closest('.sam-strip') && node.getBoundingClientRect().right > width + 1);
  const names = wide.map((node) => node.outerHTML.slice(0, 80));
  return [document.documentElement.scrollWidth - width, names];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_nothing_scrolls_sideways_and_nothing_complains(new_demo, app, photo, width, scheme):
    hosts = set()
    demo = new_demo(
        f"{app.url}?__theme={scheme}", viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    demo.page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    demo.page.reload()
    demo.page.wait_for_selector(".sam[data-loaded=yes]")
    assert demo.page.evaluate(_OVERFLOW) == [0, []]
    demo.open(photo)
    assert demo.page.evaluate(_OVERFLOW) == [0, []]
    demo.click(LEFT.centre)
    assert demo.page.evaluate(_OVERFLOW) == [0, []]
    assert demo.mask()[LEFT.y, LEFT.x]
    dark = demo.page.evaluate("() => document.body.classList.contains('dark')")
    assert dark == (scheme == "dark")
    assert demo.complaints == []
    # Files, blobs and data have no host; everything else comes from the demo itself.
    assert hosts <= {"127.0.0.1", None}


def test_markers_and_mask_stay_on_their_thing_when_the_window_changes(demo):
    demo.click(LEFT.centre)
    demo.page.set_viewport_size({"width": 700, "height": 900})
    demo.page.wait_for_timeout(300)
    marks = demo.pixels("marks")[..., 3] > 0
    rows, columns = marks.nonzero()
    height, width = marks.shape
    assert abs(columns.mean() / width - LEFT.x / 300) < 0.02
    assert abs(rows.mean() / height - LEFT.y / 200) < 0.02
    demo.click((100, 120))
    assert demo.interactions()[-1][-1] == {"type": "point", "x": 100, "y": 120, "label": 1}


@pytest.mark.parametrize("width", [1440, 390])
def test_what_is_below_the_candidates_does_not_move_as_they_come_and_go(new_demo, photo, width):
    demo = new_demo(viewport={"width": width, "height": 900})
    demo.open(photo)
    button = demo.page.locator(".sam-panel [data-do=compare]")
    before = button.bounding_box()
    demo.click(LEFT.centre)
    assert demo.candidates().count() == 3
    assert button.bounding_box() == before
    demo.click((100, 120))
    assert demo.candidates().count() == 0
    assert button.bounding_box() == before
