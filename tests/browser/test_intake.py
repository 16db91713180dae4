"""Every way to bring a photo in, and files that are none."""

import base64

import numpy as np
import pytest

from tests.bad_files import header_bomb, truncated_jpeg
from tests.serving import LEFT, RED

_FILE = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type}));
  return transfer;
}"""


def transfer(visitor, path, kind="image/png"):
    """A DataTransfer in the page that holds a file."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return visitor.page.evaluate_handle(_FILE, [path.name, kind, data])


def assert_photo_is_open(visitor):
    assert visitor.pixels("photo").shape[:2] == (200, 300)
    assert np.abs(visitor.pixels("photo")[LEFT.y, LEFT.x, :3].astype(int) - RED).max() < 25
    visitor.click(LEFT.centre)
    assert visitor.mask()[LEFT.y, LEFT.x]


@pytest.mark.parametrize("target", [".sam-stage", "body"])
def test_a_photo_dropped_anywhere_on_the_page_opens(visitor, photo, target):
    payload = {"dataTransfer": transfer(visitor, photo)}
    visitor.page.dispatch_event(target, "dragenter", payload)
    assert visitor.page.locator(".sam-drop").is_visible()
    with visitor.opened():
        visitor.page.dispatch_event(target, "drop", payload)
    assert not visitor.page.locator(".sam-drop").is_visible()
    assert_photo_is_open(visitor)


def test_a_pasted_photo_opens(visitor, photo):
    with visitor.opened():
        visitor.page.evaluate(
            "(clipboardData) => document.dispatchEvent("
            "new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true}))",
            transfer(visitor, photo),
        )
    assert_photo_is_open(visitor)


def test_the_paste_button_takes_the_picture_from_the_clipboard(visit, photo):
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    visitor.page.evaluate(
        """async (data) => {
          const blob = await (await fetch('data:image/png;base64,' + data)).blob();
          await navigator.clipboard.write([new ClipboardItem({'image/png': blob})]);
        }""",
        base64.b64encode(photo.read_bytes()).decode("ascii"),
    )
    with visitor.opened():
        visitor.page.locator(".sam-empty [data-do=paste]").click()
    assert_photo_is_open(visitor)
    visitor.page.evaluate("() => navigator.clipboard.writeText('no picture')")
    visitor.do("paste")
    visitor.wait_for("() => !document.querySelector('[data-part=alert]').hidden")
    assert "no picture in the clipboard" in visitor.alert()
    assert visitor.mask()[LEFT.y, LEFT.x]


def test_the_browse_button_opens_the_file_dialog(visitor, photo):
    with visitor.page.expect_file_chooser() as chooser:
        visitor.page.locator(".sam-empty [data-do=browse]").click()
    with visitor.opened():
        chooser.value.set_files(str(photo))
    assert_photo_is_open(visitor)


def test_the_same_file_can_be_opened_twice(at_work, photo):
    at_work.click(LEFT.centre)
    at_work.open(photo)
    assert not at_work.mask().any()
    assert at_work.text("encode-cost") == "from cache"


def test_an_example_opens_by_a_click(visitor):
    with visitor.opened():
        visitor.part("examples").locator("button").first.click()
    height, width = visitor.pixels("photo").shape[:2]
    assert min(height, width) > 100
    with visitor.answered():
        visitor.press((width // 2, height // 2))
    assert visitor.mask().any()


def test_a_photo_taken_with_the_camera_opens(visitor):
    visitor.page.locator(".sam-empty [data-do=camera]").click()
    visitor.wait_for("() => document.querySelector('[data-part=video]').videoWidth > 0")
    with visitor.opened():
        visitor.page.locator("[data-do=shoot]").click()
    assert not visitor.part("camera").is_visible()
    assert visitor.page.evaluate(
        "() => document.querySelector('[data-part=video]').srcObject === null"
    )
    height, width = visitor.pixels("photo").shape[:2]
    with visitor.answered():
        visitor.press((width // 2, height // 2))


def test_the_camera_can_be_closed_without_a_photo(visitor):
    visitor.page.locator(".sam-empty [data-do=camera]").click()
    visitor.wait_for("() => document.querySelector('[data-part=video]').videoWidth > 0")
    visitor.page.locator("[data-do=camera-close]").click()
    assert not visitor.part("camera").is_visible()
    assert visitor.data("state") == "empty"


BAD_FILES = {
    "text": (lambda _: b"this is no photo\n" * 40, "not a photo that can be read"),
    "truncated": (lambda _: truncated_jpeg(), "damaged or incomplete"),
    "too large": (lambda _: b"\xff\xd8" + bytes(20_000_001), "larger than 20 MB"),
    "too many pixels": (lambda _: header_bomb(), "more than 40 megapixels"),
    "vector": (lambda _: b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not a photo"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_gets_one_sentence_and_the_open_photo_stays(at_work, tmp_path, kind):
    make, sentence = BAD_FILES[kind]
    at_work.click(LEFT.centre)
    mask, shown, marks = at_work.pixels("mask"), at_work.pixels("photo"), at_work.marks()
    path = tmp_path / "photo.jpg"
    path.write_bytes(make(tmp_path))
    with at_work.refused():
        at_work.choose_file(path)
    assert sentence in at_work.alert()
    assert "Traceback" not in at_work.alert()
    assert len(at_work.alert()) < 120
    assert at_work.data("state") == "ready"
    assert not at_work.part("incoming").is_visible()
    assert np.array_equal(at_work.pixels("photo"), shown)
    assert np.array_equal(at_work.pixels("mask"), mask)
    assert at_work.marks() == marks
    at_work.click((100, 120))
    assert at_work.mask()[LEFT.y, LEFT.x]
    assert at_work.alert() == ""


def test_an_empty_file_on_an_empty_page_leaves_it_ready_for_another(visitor, tmp_path, photo):
    (tmp_path / "empty.png").write_bytes(b"")
    with visitor.refused():
        visitor.choose_file(tmp_path / "empty.png")
    assert visitor.alert()
    assert visitor.data("state") == "empty"
    visitor.open(photo)
    assert visitor.alert() == ""
    assert_photo_is_open(visitor)


def test_an_upload_without_a_network_says_so_and_can_be_repeated(at_work, photo):
    at_work.click(LEFT.centre)
    before = at_work.pixels("mask")
    at_work.page.route("**/upload*", lambda route: route.abort())
    with at_work.refused():
        at_work.choose_file(photo)
    assert "could not be uploaded" in at_work.alert()
    assert np.array_equal(at_work.pixels("mask"), before)
    at_work.page.unroute("**/upload*")
    at_work.open(photo)
    assert at_work.alert() == ""
