"""High contrast, where the system's colours replace those of the page, and small touch screens."""

import pytest
from PIL import ImageColor

from mobilesam.objects import PALETTE
from tests.browser.object_list import press_next, row
from tests.serving import LEFT, RIGHT

# What a system colour is, as the browser computes it for an element.
_SYSTEM = """(name) => {
  const probe = document.body.appendChild(document.createElement('i'));
  Object.assign(probe.style, {backgroundColor: name, forcedColorAdjust: 'none'});
  const colour = getComputedStyle(probe).backgroundColor;
  probe.remove();
  return colour;
}"""
_STYLE = "(node, name) => getComputedStyle(node)[name]"
_FIELDS = """() => {
  const area = document.createElement('textarea');
  document.querySelector('.sam-everything').append(area);
  const fields = document.querySelectorAll('.sam :is(input, select, textarea)');
  const sizes = [...fields].map((field) => (
    [field.outerHTML.slice(0, 70), parseFloat(getComputedStyle(field).fontSize)]));
  area.remove();
  return sizes;
}"""


@pytest.fixture(params=["light", "dark"])
def contrast(new_demo, photo, request):
    """The demo in high contrast, with one object kept and another one begun."""
    demo = new_demo(
        forced_colors="active", color_scheme=request.param, reduced_motion="reduce"
    )  # without motion, colours change at once
    demo.open(photo)
    demo.click(LEFT.centre)
    press_next(demo)
    demo.click(RIGHT.centre)
    return demo


def style(locator, name):
    return locator.evaluate(_STYLE, name)


def test_what_is_chosen_has_the_colours_of_a_selection(contrast):
    selected, on_selected = (
        contrast.page.evaluate(_SYSTEM, name) for name in ("Highlight", "HighlightText")
    )
    chosen = contrast.candidates().nth(contrast.pressed()[0])
    other = contrast.candidates().nth((contrast.pressed()[0] + 1) % 3)
    pairs = [
        (contrast.button("tool-click"), contrast.button("tool-brush")),
        (contrast.button("view-select"), contrast.button("view-result").first),
        (chosen, other),
        (row(contrast, 1), row(contrast, 0)),
    ]
    for one, another in pairs:
        assert style(one, "backgroundColor") == selected
        assert style(another, "backgroundColor") != selected
    texts = [
        contrast.button("tool-click"),
        chosen.locator("span"),
        row(contrast, 1).locator("input"),
        row(contrast, 1).locator(".sam-iou"),
    ]
    assert [style(text, "color") for text in texts] == [on_selected] * len(texts)
    # Elsewhere the browser puts a dark plate behind text, which would hide this one.
    assert [style(text, "forcedColorAdjust") for text in texts] == ["none"] * len(texts)


def test_swatches_and_backgrounds_keep_their_colours(contrast):
    first, second = (
        style(row(contrast, at).locator(".sam-swatch"), "backgroundColor") for at in (0, 1)
    )
    assert first == f"rgb{ImageColor.getrgb(PALETTE[0])}"
    assert second not in (first, contrast.page.evaluate(_SYSTEM, "ButtonFace"))
    contrast.page.keyboard.press("r")
    white = contrast.page.locator("[data-background='#ffffff']")
    black = contrast.page.locator("[data-background='#000000']")
    assert style(white, "backgroundColor") == "rgb(255, 255, 255)"
    assert style(black, "backgroundColor") == "rgb(0, 0, 0)"
    black.click()
    assert style(black, "backgroundColor") == "rgb(0, 0, 0)"
    assert style(black, "boxShadow") != "none" == style(white, "boxShadow")
    contrast.page.locator("[data-background=blur]").click()
    highlight = contrast.page.evaluate(_SYSTEM, "Highlight")
    assert style(contrast.page.locator("[data-background=blur]"), "backgroundColor") == highlight


def test_what_has_the_focus_has_a_line_unlike_what_is_chosen(contrast):
    highlight = contrast.page.evaluate(_SYSTEM, "Highlight")
    contrast.page.keyboard.press("Tab")
    focused = contrast.page.locator(":focus-visible")
    assert style(focused, "outlineStyle") == "solid"
    assert style(focused, "outlineColor") != highlight


def test_no_field_is_so_small_that_a_phone_zooms_into_it(phone):
    phone.click(LEFT.centre)
    sizes = phone.page.evaluate(_FIELDS)
    kinds = ('type="text"', 'type="number"', "<select", "<textarea")
    assert all(any(kind in markup for markup, _ in sizes) for kind in kinds)
    assert [one for one in sizes if one[1] < 16] == []


def test_fields_are_small_beside_a_mouse(demo):
    demo.click(LEFT.centre)
    assert style(row(demo, 0).locator("input"), "fontSize") == "14px"
