"""Without a mouse: the crosshair, its keys, what is announced, and the help."""

import re

import pytest

from tests.serving import LEFT, RIGHT

_FOCUSED = """() => {
  const {part, do: command} = document.activeElement.dataset;
  return part || command || '';
}"""


def press(demo, *keys):
    for key in keys:
        demo.page.keyboard.press(key)


def focused(demo):
    """The part or command of the page that has the focus."""
    return demo.page.evaluate(_FOCUSED)


def crosshair(demo):
    """The pixel of the photo that the drawn crosshair points at; only its lines may be drawn."""
    marks = demo.pixels("marks")[..., 3] > 0
    rows, columns = marks.nonzero()
    canvas, photo = demo.part("marks").bounding_box(), demo.part("photo").bounding_box()
    density = marks.shape[1] / canvas["width"]
    x = canvas["x"] - photo["x"] + (columns.min() + columns.max() + 1) / 2 / density
    y = canvas["y"] - photo["y"] + (rows.min() + rows.max() + 1) / 2 / density
    return int(x / photo["width"] * 300), int(y / photo["height"] * 200)


@pytest.fixture
def tabbed(demo):
    """The demo with the focus on the photo, by the Tab key."""
    demo.page.evaluate("() => document.activeElement.blur()")
    for _ in range(30):
        press(demo, "Tab")
        if focused(demo) == "marks":
            break
    assert focused(demo) == "marks"
    return demo


def go_to(demo, goal):
    """Moves the crosshair near a pixel."""
    for axis, (less, more) in enumerate([("ArrowLeft", "ArrowRight"), ("ArrowUp", "ArrowDown")]):
        for _ in range(60):
            way = goal[axis] - crosshair(demo)[axis]
            if abs(way) <= 2:
                break
            large = "Shift+" if abs(way) > 20 else ""
            press(demo, large + (more if way > 0 else less))
    return crosshair(demo)


def test_the_keyboard_alone_gives_a_mask_and_it_is_announced(tabbed):
    at = go_to(tabbed, LEFT.centre)
    with tabbed.answered():
        press(tabbed, "Enter")
    assert tabbed.interactions()[-1] == [{"type": "point", "x": at[0], "y": at[1], "label": 1}]
    assert tabbed.mask()[LEFT.y, LEFT.x]
    assert not tabbed.mask()[RIGHT.y, RIGHT.x]
    verdict = tabbed.part("verdict")
    assert verdict.get_attribute("aria-live") == "polite"
    assert re.match(r"Quality \d\.\d\d\b", verdict.inner_text())
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


def test_shift_enter_adds_a_negative_point(tabbed):
    with tabbed.answered():
        press(tabbed, "Enter")
    press(tabbed, "Shift+ArrowLeft")
    with tabbed.answered():
        press(tabbed, "Shift+Enter")
    assert [step["label"] for step in tabbed.interactions()[-1]] == [1, 0]


def test_b_begins_and_ends_a_box(tabbed):
    one = go_to(tabbed, (36, 46))
    press(tabbed, "b")
    press(tabbed, *["Shift+ArrowRight"] * 7, *["Shift+ArrowDown"] * 7)
    assert tabbed.interactions() == []
    assert tabbed.marks() > 0
    with tabbed.answered():
        press(tabbed, "b")
    (step,) = tabbed.interactions()[-1]
    far = 7 * 16
    assert step == {"type": "box", "box": [*one, one[0] + far + 1, one[1] + far + 1]}
    assert tabbed.mask()[LEFT.y, LEFT.x]


def test_escape_cancels_the_box_and_keeps_the_clicks(tabbed):
    with tabbed.answered():
        press(tabbed, "Enter")
    press(tabbed, "b", "Shift+ArrowRight", "Shift+ArrowDown", "Escape", "b", "Escape")
    press(tabbed, "ArrowUp")
    assert tabbed.button("clear").is_enabled()
    with tabbed.answered():
        press(tabbed, "Enter")
    assert [step["type"] for step in tabbed.interactions()[-1]] == ["point", "point"]


def test_the_crosshair_stays_on_the_photo_and_visible_when_zoomed_in(tabbed):
    press(tabbed, "+", "+", "+", "+")
    press(tabbed, *["Shift+ArrowRight"] * 60, *["Shift+ArrowUp"] * 60)
    with tabbed.answered():
        press(tabbed, "Enter")
    assert tabbed.interactions()[-1] == [{"type": "point", "x": 299, "y": 0, "label": 1}]
    marks = tabbed.pixels("marks")[..., 3] > 0
    assert marks[:40, -40:].any()  # the view has followed to the corner


def test_the_arrows_scroll_the_page_where_the_photo_has_no_focus(demo):
    demo.page.set_viewport_size({"width": 1280, "height": 500})
    demo.page.evaluate("() => { window.scrollTo(0, 0); document.activeElement.blur(); }")
    press(demo, "ArrowDown", "ArrowDown")
    demo.wait_for("() => window.scrollY > 0")
    demo.part("marks").focus()
    demo.page.wait_for_timeout(300)
    before = demo.page.evaluate("() => window.scrollY")
    press(demo, "ArrowDown", "ArrowDown", "Space")
    demo.page.wait_for_timeout(300)
    assert demo.page.evaluate("() => window.scrollY") == before


def test_the_crosshair_disappears_when_the_mouse_moves(tabbed):
    assert tabbed.marks() > 0
    tabbed.page.mouse.move(*tabbed.place(100, 100))
    assert tabbed.marks() == 0


def test_the_crosshair_stays_when_the_canvas_moves_away_under_the_mouse(demo):
    """As it does when buttons appear above it: the mouse, which rests, leaves the canvas."""
    demo.page.mouse.move(*demo.place(150, 1))
    marks = demo.part("marks")
    marks.focus()
    press(demo, "ArrowDown")
    press(demo, "ArrowDown")
    at = crosshair(demo)
    demo.page.evaluate("""() => {
      const marks = document.querySelector('[data-part=marks]');
      window.left = new Promise((resolve) => {
        marks.addEventListener('pointerleave', () => resolve(true), {once: true});
      });
      document.querySelector('.sam').style.paddingTop = '200px';
    }""")
    assert demo.page.evaluate("() => window.left")
    assert crosshair(demo) == at
    demo.page.evaluate("() => { document.querySelector('.sam').style.paddingTop = ''; }")


def test_the_frame_of_the_focus_is_gone_while_the_mouse_is_used(tabbed):
    outline = "(node) => getComputedStyle(node).outlineStyle"
    marks = tabbed.part("marks")
    press(tabbed, "ArrowRight")
    assert marks.evaluate(outline) == "solid"
    tabbed.click(LEFT.centre)
    assert marks.evaluate("(node) => document.activeElement === node")
    assert marks.evaluate(outline) == "none"
    press(tabbed, "ArrowRight")
    assert marks.evaluate(outline) == "solid"


@pytest.mark.parametrize("way", ["key", "button"])
def test_the_help_opens_and_closes_and_returns_the_focus(tabbed, way):
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


@pytest.mark.parametrize("where", ["close", "beside"])
def test_the_help_closes_with_the_mouse_too(demo, where):
    demo.do("help")
    assert demo.part("help").is_visible()
    if where == "close":
        demo.part("help").get_by_label("Close").click()
    else:
        demo.page.mouse.click(5, 5)
    assert not demo.part("help").is_visible()
    assert demo.interactions() == []
