"""The page that the tests share is like a new one after its reset, whatever was done before."""

from tests.browser.object_list import press_next
from tests.serving import LEFT, RIGHT

_SNAPSHOT = """() => {
  const counters = ['ready', 'failed', 'asked', 'shown'];
  const root = document.querySelector('.sam');
  const data = Object.entries(root.dataset).filter(([name]) => !counters.includes(name));
  const nodes = [...root.querySelectorAll('[data-part], [data-do], details')].map((node) => [
    node.dataset.part ?? node.dataset.do ?? node.tagName, node.hidden, node.disabled, node.value,
    node.checked, node.open, node.getAttribute('aria-pressed'),
    ['zoom', 'verdict', 'hint', 'decode-cost'].includes(node.dataset.part) ? node.innerText : '',
  ]);
  return JSON.stringify([data.sort(), nodes, window.scrollY, root.querySelectorAll('li').length]);
}"""


def test_a_reset_page_shows_what_a_new_page_shows(demo, empty_demo, photo):
    empty_demo.open(photo)
    empty_demo.wait_for_model()
    demo.click(LEFT.centre)
    press_next(demo)
    demo.click(RIGHT.centre)
    demo.page.locator(".sam-everything summary").click()
    demo.part("set-points").select_option("32")
    demo.part("set-iou").fill("0.9")
    demo.part("format").select_option("yolo")
    demo.part("exclusive").check()
    demo.do("zoom-in")

    demo.do("tool-brush")
    demo.do("help")
    demo.page.set_viewport_size({"width": 700, "height": 500})
    assert demo.page.evaluate(_SNAPSHOT) != empty_demo.page.evaluate(_SNAPSHOT)
    demo.reset(photo)
    assert demo.page.evaluate(_SNAPSHOT) == empty_demo.page.evaluate(_SNAPSHOT)
    assert not demo.pixels("mask").any()
    assert not demo.pixels("layer").any()
    assert demo.calls == demo.complaints == []
