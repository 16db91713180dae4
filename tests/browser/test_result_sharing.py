"""The result leaves the page: copied, shared and dragged out of it."""

import base64

import numpy as np
import pytest

from tests.browser.result_view import (
    HEIGHT,
    LARGE,
    WIDTH,
    as_array,
    cutout_of,
    on,
    save,
    show_result,
)

CLIPBOARD = """async () => {
  const [item] = await navigator.clipboard.read();
  const bytes = new Uint8Array(await (await item.getType('image/png')).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}"""


@pytest.fixture
def copying(new_demo, large):
    demo = new_demo(permissions=["clipboard-read", "clipboard-write"])
    demo.open(large)
    demo.click(LARGE.centre)
    return demo


def copied(demo):
    demo.wait_for("() => document.querySelector('[data-part=alert-text]').textContent")
    text = demo.alert()
    demo.page.locator("[data-do=dismiss]").click()
    return text, as_array(base64.b64decode(demo.page.evaluate(CLIPBOARD)))


def assert_same_picture(one, other):
    assert one.shape == other.shape
    assert np.array_equal(one[..., 3], other[..., 3])
    # The browser stores colours multiplied by alpha.
    difference = np.abs(one[..., :3].astype(int) - other[..., :3]) * (one[..., 3:] / 255)
    assert difference.max() <= 1.5


def test_the_cut_out_is_copied_by_key_and_by_button_as_it_is_downloaded(copying):
    copying.page.keyboard.press("Control+c")
    text, picture = copied(copying)
    assert text == "Cut-out copied."
    cutout = cutout_of(copying)
    assert len(np.unique(cutout[..., 3])) > 4
    assert_same_picture(picture, cutout)
    copying.page.evaluate("() => navigator.clipboard.writeText('other')")
    copying.page.locator(".sam-panel [data-do=copy]").click()
    assert_same_picture(copied(copying)[1], cutout)


def test_the_result_is_copied_as_it_shows(copying):
    show_result(copying)
    on(copying, "blur")
    copying.page.locator(".sam-finish [data-do=copy]").click()
    text, picture = copied(copying)
    assert text == "Picture copied."
    saved = save(copying)[1]
    assert picture.shape[:2] == (HEIGHT, WIDTH)
    assert (saved[..., 3] == 255).all()  # the browser leaves it out of what it copies
    assert np.array_equal(picture[..., :3], saved[..., :3])


def test_selected_text_and_fields_are_copied_by_the_browser(copying):
    copying.page.evaluate(
        "() => getSelection().selectAllChildren(document.querySelector('[data-part=verdict]'))"
    )
    copying.page.keyboard.press("Control+c")
    copying.settle()
    assert "Quality" in copying.page.evaluate("() => navigator.clipboard.readText()")
    assert copying.sent("export") == []


def test_what_cannot_be_copied_is_one_sentence(copying):
    copying.page.evaluate(
        "() => { navigator.clipboard.write = () => Promise.reject(new Error('no')); }"
    )
    with copying.refused():
        copying.page.keyboard.press("Control+c")
    assert "did not let this page copy" in copying.alert()
    with copying.refused():
        copying.page.keyboard.press("Escape")  # the sentence
        copying.page.keyboard.press("Escape")  # the mask
        copying.page.keyboard.press("Control+c")
    assert "There is no mask yet" in copying.alert()


def test_the_result_is_shared_where_the_browser_can(copying):
    assert copying.page.locator("[data-do=share]").is_hidden()
    copying.page.add_init_script(
        "navigator.canShare = () => true;"
        "navigator.share = async ({files: [file]}) => { window.shared = [file.name, file.type,"
        " file.size]; };"
    )
    copying.page.wait_for_timeout(400)
    copying.reload()
    copying.wait_for_more("ready", 0)
    copying.wait_for_objects(1)
    show_result(copying)
    copying.page.locator("[data-do=share]").click()
    copying.wait_for("() => window.shared")
    name, kind, size = copying.page.evaluate("() => window.shared")
    assert (name, kind) == ("two discs-picture.png", "image/png")
    assert size == len(copying.download("result-save")[1])


def test_the_cut_out_can_be_dragged_out_of_the_page(result):
    result.page.evaluate(
        "() => document.addEventListener('dragstart', ({dataTransfer}) => { window.dragged ="
        " ['DownloadURL', 'text/uri-list'].map((type) => dataTransfer.getData(type)); })"
    )
    box = result.part("result-view").bounding_box()
    x, y = box["x"] + box["width"] / 3, box["y"] + box["height"] / 2
    result.page.mouse.move(x, y)
    result.page.mouse.down()
    result.page.mouse.move(x + 40, y + 40, steps=5)
    result.wait_for("() => window.dragged")
    file, url = result.page.evaluate("() => window.dragged")
    result.page.mouse.up()
    assert file == f"image/png:two discs-cutout.png:{url}"
    assert np.array_equal(as_array(result.page.request.get(url).body()), cutout_of(result))
