"""One visit in Firefox and in WebKitGTK: what the other tests show in Chromium works there too."""

import numpy as np
import pytest

from mobilesam.export import cutout_png
from mobilesam.images import open_photo
from tests.browser.engines import ENGINES, EngineDemo, prepare_home
from tests.serving import LEFT, RIGHT, iou


@pytest.fixture(params=ENGINES)
def visit(request, app, tmp_path):
    """The demo in another engine, which saves files below a home folder of its own."""
    prepare_home(tmp_path)
    with ENGINES[request.param](tmp_path) as session:
        demo = EngineDemo(session, tmp_path)
        demo.load(app.url)
        demo.wait_for_model()
        yield demo


def test_a_visit_goes_as_in_chromium(visit, photo):
    with visit.opened():
        visit.part("examples").locator("button").first.click()
    height, width = visit.pixels("photo").shape[:2]
    visit.click((width // 2, height // 2))
    assert visit.mask().any()

    visit.open(photo)
    visit.click(LEFT.centre)
    clicked = visit.mask()
    assert iou(clicked, LEFT.mask()) > 0.9
    visit.drag(*box_around(RIGHT))
    assert visit.mask()[RIGHT.y, RIGHT.x]
    with visit.answered():
        visit.do("undo")
    assert np.array_equal(visit.mask(), clicked)

    name, data = visit.download("cutout")
    assert name == "discs-cutout.png"
    assert data == cutout_png(open_photo(photo), clicked, soft=True)
    assert visit.complaints == []
    visit.page.run("console.error('one')")
    assert visit.complaints == ["console: one"]  # so any others would have been there


def test_the_browser_decodes_as_in_chromium_unless_it_is_too_slow(visit, photo):
    visit.set_preview(True)
    visit.open(photo)
    visit.page.mouse.move(*visit.place(*LEFT.centre))
    state = "document.querySelector('.sam').dataset.decoder"
    visit.wait_for(f"() => ['ready', 'off'].includes({state})")
    if visit.data("decoder") == "ready":
        visit.page.mouse.move(*visit.place(*RIGHT.centre))
        visit.wait_for(
            f"() => document.querySelector('.sam').dataset.next === 'yes' || {state} === 'off'"
        )
    visit.click(RIGHT.centre)
    assert iou(visit.mask(), RIGHT.mask()) > 0.9
    assert visit.complaints == []


def box_around(disc):
    x0, y0, x1, y1 = disc.box
    return (x0 - 3, y0 - 3), (x1 + 3, y1 + 3)
