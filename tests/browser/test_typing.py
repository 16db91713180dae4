"""Keyboards of other layouts and input methods, and names in other scripts."""

import pytest

from tests.browser.object_list import delete, names, press_next, row
from tests.serving import LEFT

# A key as a layout sends it; the driver of the browser knows only the US layout.
_KEY = """([selector, options]) => {
  const event = new KeyboardEvent('keydown', {bubbles: true, cancelable: true, ...options});
  return document.querySelector(selector).dispatchEvent(event);
}"""
NAME = ".sam-object input"


def key(demo, typed, code, target="[data-part=marks]", **more):
    """Presses a key; whether the page left it to the browser."""
    return demo.page.evaluate(_KEY, [target, {"key": typed, "code": code, **more}])


@pytest.mark.parametrize(
    ("pen", "undo", "keep"),
    [
        (("з", "KeyP"), ("я", "KeyZ"), ("т", "KeyN")),  # Russian
        (("π", "KeyP"), ("ζ", "KeyZ"), ("\N{GREEK SMALL LETTER NU}", "KeyN")),  # Greek
        (("פ", "KeyP"), ("ז", "KeyZ"), ("מ", "KeyN")),  # Hebrew
        (("p", "KeyP"), ("z", "KeyW"), ("n", "KeyN")),  # AZERTY
    ],
)
def test_the_shortcuts_work_on_other_layouts(demo, pen, undo, keep):
    key(demo, *pen)
    assert demo.data("tool") == "brush"
    key(demo, *pen)
    assert demo.data("tool") == "click"
    demo.click(LEFT.centre)
    demo.click((100, 120))
    with demo.answered():
        assert not key(demo, *undo, ctrlKey=True)
    assert len(demo.interactions()[-1]) == 1
    key(demo, *keep)
    assert demo.page.evaluate("() => document.activeElement.matches('.sam-object input')")


def test_brackets_typed_with_altgr_or_option_change_the_brush(demo):
    key(demo, "p", "KeyP")
    sizes = [demo.text("brush-size")]
    key(demo, "]", "Digit6", altKey=True)
    sizes.append(demo.text("brush-size"))
    key(demo, "[", "Digit8", modifierAltGraph=True)
    sizes.append(demo.text("brush-size"))
    assert sizes[0] == sizes[2] != sizes[1]


def test_digits_that_need_shift_choose_candidates(demo):
    demo.click(LEFT.centre)
    other = (demo.pressed()[0] + 1) % 3
    with demo.answered():
        key(demo, '&é"'[other], f"Digit{other + 1}")
    assert demo.pressed() == [other]


@pytest.mark.parametrize("sign", [{"isComposing": True}, {"keyCode": 229}])
@pytest.mark.parametrize("pressed", ["Enter", "Escape"])
def test_a_key_that_ends_a_composition_leaves_the_name_alone(demo, sign, pressed):
    demo.click(LEFT.centre)
    press_next(demo)
    row(demo, 0).locator("input").fill("ねこ")
    assert key(demo, pressed, pressed, NAME, **sign)
    assert demo.page.evaluate("() => document.activeElement.value") == "ねこ"
    key(demo, "Escape", "Escape", NAME)
    assert demo.page.evaluate("() => document.activeElement.dataset.part") == "marks"
    assert names(demo) == ["Object 1"]


def test_no_shortcut_acts_while_a_character_is_composed(demo):
    for sign in ({"isComposing": True}, {"keyCode": 229}):
        assert key(demo, "p", "KeyP", **sign)
        assert key(demo, "Process", "KeyP", **sign)
    assert demo.data("tool") == "click"


def test_a_name_from_right_to_left_shows_so_and_leaves_the_sentence_in_order(demo):
    name = "گربه 2"
    demo.click(LEFT.centre)
    press_next(demo)
    field = row(demo, 0).locator("input")
    assert field.get_attribute("dir") == "auto"
    field.fill(name)
    field.press("Enter")
    direction = "(node) => getComputedStyle(node).direction"
    assert field.evaluate(direction) == "rtl"
    demo.page.mouse.move(*demo.place(*LEFT.centre))
    assert demo.part("marks").get_attribute("title") == f"Edit “\u2068{name}\u2069”"
    delete(demo, 0)
    assert demo.text("note-text") == f"Deleted “\u2068{name}\u2069”."
