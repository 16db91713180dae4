"""The page at every width, in light and dark: nothing overflows, the console shows no errors."""

from urllib.parse import urlsplit

import pytest

from tests.browser.driver import Demo
from tests.browser.object_list import edit, press_next
from tests.serving import LEFT, draw

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
    tab.forget()  # what the test before has left in the same profile
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


def test_what_is_below_the_first_candidates_does_not_move_as_they_come(demo):
    demo.page.set_viewport_size({"width": 1440, "height": 900})
    demo.settle()
    verdict = demo.part("verdict")
    before = verdict.bounding_box()
    demo.click(LEFT.centre)
    assert demo.candidates().count() == 3
    assert verdict.bounding_box() == before


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1280, 720), (1024, 768)])
def test_the_list_takes_the_room_of_absent_candidates_and_no_button_below_it_moves(
    two, width, height
):
    two.page.set_viewport_size({"width": width, "height": height})
    two.click((280, 180))
    assert two.candidates().count() == 3
    keep = two.page.locator(".sam-panel [data-do=next]")
    before, room = keep.bounding_box(), list_height(two)
    two.click((260, 180))
    assert two.candidates().count() == 0
    assert keep.bounding_box() == before
    assert list_height(two) > room + 60


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1280, 720), (1024, 768)])
def test_no_button_moves_as_an_object_is_edited(two, width, height):
    two.page.set_viewport_size({"width": width, "height": height})
    edit(two, 1)  # the list knows the height of candidates in this window
    press_next(two)
    keep = two.page.locator(".sam-panel [data-do=next]")
    before = keep.bounding_box()
    edit(two, 0)
    assert two.page.locator("[data-do=merge]").is_visible()
    assert keep.bounding_box() == before


@pytest.mark.parametrize(("width", "height"), [(844, 390), (667, 375)])
def test_a_phone_on_its_side_shows_the_photo_and_the_strip_together(
    empty_demo, photo, tmp_path, width, height
):
    draw(310, 200).save(tmp_path / "other.png")
    empty_demo.page.set_viewport_size({"width": width, "height": height})
    with empty_demo.opened():
        empty_demo.part("file").set_input_files([str(photo), str(tmp_path / "other.png")])
    empty_demo.wait_for("() => document.querySelector('.sam').dataset.photos === '2'")
    assert outside(empty_demo, width, height) == []
    places = [empty_demo.page.locator(name) for name in (".sam-stage", ".sam-photos")]
    stage, strip = (place.bounding_box() for place in places)
    assert stage["y"] + stage["height"] <= strip["y"]
    assert strip["y"] + strip["height"] <= height
    assert stage["height"] > 0.75 * height
    for command in ("photo-next", "photo-done"):
        assert empty_demo.page.locator(f"[data-do={command}]").is_visible()


@pytest.mark.parametrize("width", [1440, 1366, 1280])
def test_the_brush_takes_no_second_line_of_buttons(demo, width):
    demo.page.set_viewport_size({"width": width, "height": 900})
    demo.settle()
    bar = demo.page.locator(".sam-tools")
    before = bar.bounding_box()["height"]
    demo.page.keyboard.press("p")
    demo.settle()
    assert demo.part("brush").is_visible()
    assert bar.bounding_box()["height"] == before


def list_height(demo):
    return demo.part("object-list").bounding_box()["height"]


@pytest.mark.parametrize(
    ("width", "height"), [(1440, 900), (1280, 720), (1024, 768), (390, 844), (844, 390), (667, 375)]
)
def test_all_buttons_below_the_photo_and_the_whole_photo_are_on_the_screen(demo, width, height):
    demo.page.set_viewport_size({"width": width, "height": height})
    demo.settle()
    assert outside(demo, width, height) == []
    bar = demo.page.locator(".sam-actions").bounding_box()
    demo.click(LEFT.centre)
    assert outside(demo, width, height) == []
    assert demo.page.locator(".sam-actions").bounding_box() == bar
    demo.page.keyboard.press("p")
    assert outside(demo, width, height) == []
    demo.page.keyboard.press("p")
    demo.page.keyboard.press("r")
    assert outside(demo, width, height) == []


def outside(demo, width, height):
    """What is not wholly on the screen: the photo or the result, and the buttons of the bar."""
    parts = [demo.part("stage"), *demo.page.locator(".sam-bar").locator("button, input").all()]
    boxes = [part.bounding_box() for part in parts if part.is_visible()]
    assert len(boxes) > 5
    return [
        box
        for box in boxes
        if min(box["x"], box["y"]) < 0
        or box["x"] + box["width"] > width
        or box["y"] + box["height"] > height + 1
    ]


def test_a_phone_has_no_gap_before_the_first_mask_and_its_help_lists_no_keys(phone):
    hint = phone.part("hint").bounding_box()
    examples = phone.part("examples").bounding_box()
    assert examples["y"] - hint["y"] < 160
    phone.do("help")
    text = phone.part("help").inner_text()
    assert "Two fingers" in text
    assert "Ctrl" not in text


def test_the_buttons_of_a_phone_stay_in_reach_of_a_high_photo(phone, tmp_path):
    draw(300, 900, [LEFT]).save(tmp_path / "high.png")
    phone.open(tmp_path / "high.png")
    phone.page.evaluate("() => window.scrollTo(0, 0)")
    for scroll in (0, 100, 9999):
        phone.page.evaluate("(y) => window.scrollTo(0, y)", scroll)
        assert outside_bar(phone) == []
    footer = phone.page.locator("footer").bounding_box()
    bar = phone.page.locator(".sam-actions").bounding_box()
    assert footer["y"] + footer["height"] <= bar["y"]


def outside_bar(phone):
    """The buttons of the bar that are not on the screen of a phone."""
    boxes = [one.bounding_box() for one in phone.page.locator(".sam-bar button:visible").all()]
    return [box for box in boxes if box["y"] < 0 or box["y"] + box["height"] > 844]
