"""The page that the tests share is like a new one after its reset, whatever was done before."""

from tests.browser.driver import CONTROLS
from tests.browser.object_list import press_next
from tests.serving import LEFT, RIGHT

_SNAPSHOT = """() => {
  const counters = ['ready', 'failed', 'asked', 'shown'];
  const texts = ['zoom', 'verdict', 'hint', 'decode-cost', 'brush-size'];
  const root = document.querySelector('.sam');
  const data = Object.entries(root.dataset).filter(([name]) => !counters.includes(name));
  const nodes = [...root.querySelectorAll('[data-part], [data-do], details')].map((node) => [
    node.dataset.part ?? node.dataset.do ?? node.tagName, node.hidden, node.disabled, node.value,
    node.checked, node.open, node.getAttribute('aria-pressed'),
    texts.includes(node.dataset.part) ? node.innerText : '',
  ]);
  return [...data.sort(), ...nodes, window.scrollY, root.querySelectorAll('li').length];
}"""
_VALUES = """(controls) => [...document.querySelectorAll(controls)].map((control) => [
  control.dataset.part, control.type === 'checkbox' ? control.checked : control.value,
])"""
_CHANGE = """(controls) => {
  for (const control of document.querySelectorAll(controls)) {
    const {options} = control;
    if (options) control.selectedIndex = (control.selectedIndex + 1) % options.length;
    else if (control.type === 'checkbox') control.checked = !control.checked;
    else control.value = control.value === control.max ? control.min : control.max;
    for (const type of ['input', 'change']) control.dispatchEvent(new Event(type, {bubbles: true}));
  }
}"""


def test_a_reset_page_shows_what_a_new_page_shows(demo, empty_demo, photo):
    empty_demo.open(photo)
    empty_demo.wait_for_model()
    demo.click(LEFT.centre)
    press_next(demo)
    demo.click(RIGHT.centre)
    demo.page.locator(".sam-everything summary").click()
    demo.do("zoom-in")
    demo.do("tool-brush")
    demo.page.evaluate(_CHANGE, CONTROLS)
    changed, fresh = (dict(one.page.evaluate(_VALUES, CONTROLS)) for one in (demo, empty_demo))
    assert [part for part in fresh if changed[part] == fresh[part]] == []
    assert demo.text("brush-size") == "160 px"
    demo.do("help")
    demo.page.keyboard.down("Control")
    demo.page.set_viewport_size({"width": 700, "height": 500})
    assert demo.page.evaluate(_SNAPSHOT) != empty_demo.page.evaluate(_SNAPSHOT)
    demo.reset(photo)
    assert demo.page.evaluate(_SNAPSHOT) == empty_demo.page.evaluate(_SNAPSHOT)
    assert not demo.pixels("mask").any()
    assert not demo.pixels("layer").any()
    assert demo.calls == demo.complaints == []
    demo.page.keyboard.press("p")  # without Control it is a shortcut
    assert demo.data("tool") == "brush"
