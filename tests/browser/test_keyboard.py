"""Without a mouse: the crosshair, its keys, what is read out, and the help."""

import re

import pytest

from tests.serving import LEFT, RIGHT

_FOCUSED = """() => {
  const {part, do: command} = document.activeElement.dataset;
  return part || command || '';
}"""


def press(visitor, *keys):
    for key in keys:
        visitor.page.keyboard.press(key)


def focused(visitor):
    """The part or command of the page that has the focus."""
    return visitor.page.evaluate(_FOCUSED)


def crosshair(visitor):
    """The pixel of the photo that the drawn crosshair points at; only its lines may be drawn."""
    marks = visitor.pixels("marks")[..., 3] > 0
    rows, columns = marks.nonzero()
    height, width = marks.shape
    x = (columns.min() + columns.max() + 1) / 2 / width * 300
    y = (rows.min() + rows.max() + 1) / 2 / height * 200
    return int(x), int(y)


@pytest.fixture
def tabbed(at_work):
    """A visitor who came to the photo by the Tab key."""
    at_work.page.evaluate("() => document.activeElement.blur()")
    for _ in range(30):
        press(at_work, "Tab")
        if focused(at_work) == "marks":
            break
    assert focused(at_work) == "marks"
    return at_work


def go_to(visitor, goal):
    """Moves the crosshair near a pixel."""
    for axis, (less, more) in enumerate([("ArrowLeft", "ArrowRight"), ("ArrowUp", "ArrowDown")]):
        for _ in range(60):
            way = goal[axis] - crosshair(visitor)[axis]
            if abs(way) <= 2:
                break
            large = "Shift+" if abs(way) > 20 else ""
            press(visitor, large + (more if way > 0 else less))
    return crosshair(visitor)


def test_a_visitor_without_a_mouse_gets_a_mask_and_hears_of_it(tabbed):
    at = go_to(tabbed, LEFT.centre)
    with tabbed.answered():
        press(tabbed, "Enter")
    assert tabbed.histories()[-1] == [{"type": "point", "x": at[0], "y": at[1], "label": 1}]
    assert tabbed.mask()[LEFT.y, LEFT.x]
    assert not tabbed.mask()[RIGHT.y, RIGHT.x]
    verdict = tabbed.part("verdict")
    assert verdict.get_attribute("aria-live") == "polite"
    assert re.match(r"Mask ready, predicted IoU \d\.\d\d\b", verdict.inner_text())
    assert tabbed.page.locator(".sam [aria-live=polite]").count() == 1


def test_the_crosshair_begins_in_the_middle_and_shift_makes_larger_steps(tabbed):
    assert crosshair(tabbed) == (150, 100)
    press(tabbed, "ArrowRight")
    small = crosshair(tabbed)[0] - 150
    press(tabbed, "Shift+ArrowRight")
    large = crosshair(tabbed)[0] - 150 - small
    assert 1 <= small < large / 4
    press(tabbed, "ArrowLeft", "Shift+ArrowLeft", "ArrowUp", "ArrowDown")
    assert crosshair(tabbed) == (150, 100)


def test_shift_enter_leaves_out(tabbed):
    with tabbed.answered():
        press(tabbed, "Enter")
    press(tabbed, "Shift+ArrowLeft")
    with tabbed.answered():
        press(tabbed, "Shift+Enter")
    assert [step["label"] for step in tabbed.histories()[-1]] == [1, 0]


def test_b_begins_a_box_and_ends_it(tabbed):
    one = go_to(tabbed, (36, 46))
    press(tabbed, "b")
    press(tabbed, *["Shift+ArrowRight"] * 7, *["Shift+ArrowDown"] * 7)
    assert tabbed.histories() == []
    assert tabbed.marks() > 0
    with tabbed.answered():
        press(tabbed, "b")
    (step,) = tabbed.histories()[-1]
    far = 7 * 16
    assert step == {"type": "box", "box": [*one, one[0] + far + 1, one[1] + far + 1]}
    assert tabbed.mask()[LEFT.y, LEFT.x]


def test_escape_gives_up_the_box_and_keeps_the_clicks(tabbed):
    with tabbed.answered():
        press(tabbed, "Enter")
    press(tabbed, "b", "Shift+ArrowRight", "Shift+ArrowDown", "Escape", "b", "Escape")
    press(tabbed, "ArrowUp")
    assert tabbed.button("clear").is_enabled()
    with tabbed.answered():
        press(tabbed, "Enter")
    assert [step["type"] for step in tabbed.histories()[-1]] == ["point", "point"]


def test_the_crosshair_stays_on_the_photo_and_in_sight_zoomed_in(tabbed):
    press(tabbed, "+", "+", "+", "+")
    press(tabbed, *["Shift+ArrowRight"] * 60, *["Shift+ArrowUp"] * 60)
    with tabbed.answered():
        press(tabbed, "Enter")
    assert tabbed.histories()[-1] == [{"type": "point", "x": 299, "y": 0, "label": 1}]
    marks = tabbed.pixels("marks")[..., 3] > 0
    assert marks[:40, -40:].any()  # the view has followed to the corner


def test_the_arrows_scroll_the_page_where_the_photo_has_no_focus(visit, photo):
    visitor = visit(viewport={"width": 1280, "height": 500})
    visitor.open(photo)
    visitor.page.evaluate("() => { window.scrollTo(0, 0); document.activeElement.blur(); }")
    press(visitor, "ArrowDown", "ArrowDown")
    visitor.wait_for("() => window.scrollY > 0")
    visitor.part("marks").focus()
    visitor.page.wait_for_timeout(300)
    before = visitor.page.evaluate("() => window.scrollY")
    press(visitor, "ArrowDown", "ArrowDown", "Space")
    visitor.page.wait_for_timeout(300)
    assert visitor.page.evaluate("() => window.scrollY") == before


def test_the_crosshair_goes_when_the_mouse_comes(tabbed):
    assert tabbed.marks() > 0
    tabbed.page.mouse.move(*tabbed.place(100, 100))
    assert tabbed.marks() == 0


@pytest.mark.parametrize("way", ["key", "button"])
def test_the_help_opens_and_closes_and_gives_the_focus_back(tabbed, way):
    help_ = tabbed.part("help")
    assert not help_.is_visible()
    with tabbed.answered():
        press(tabbed, "Enter")
    if way == "key":
        press(tabbed, "?")
    else:
        tabbed.button("help").focus()
        press(tabbed, "Enter")
    assert help_.is_visible()
    for words in ("Right-click", "move the crosshair", "zoom in, zoom out"):
        assert words in help_.inner_text()
    press(tabbed, "+", "0")
    assert tabbed.zoom() == 1
    press(tabbed, "Escape")
    assert not help_.is_visible()
    assert tabbed.button("clear").is_enabled()
    assert focused(tabbed) == ("marks" if way == "key" else "help")


@pytest.mark.parametrize("spot", ["close", "beside"])
def test_the_help_closes_by_the_mouse_too(at_work, spot):
    at_work.do("help")
    assert at_work.part("help").is_visible()
    if spot == "close":
        at_work.part("help").get_by_label("Close").click()
    else:
        at_work.page.mouse.click(5, 5)
    assert not at_work.part("help").is_visible()
    assert at_work.histories() == []
