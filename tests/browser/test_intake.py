"""Every way to open a photo, and files that are no photos."""

import base64
import io
import json
import re
import zipfile

import numpy as np
import pytest

from tests.bad_files import header_bomb, truncated_jpeg
from tests.browser.object_list import names
from tests.serving import LEFT, RED, Disc, draw, save_rotated

_FILE = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type}));
  return transfer;
}"""


def transfer(demo, path, kind="image/png"):
    """A DataTransfer in the page, with a file."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return demo.page.evaluate_handle(_FILE, [path.name, kind, data])


_WORDS = """([kind, words, selector]) => {
  const transfer = new DataTransfer(), target = document.querySelector(selector);
  for (const [type, text] of Object.entries(words)) transfer.setData(type, text);
  const options = {bubbles: true, cancelable: true};
  const event = kind === 'paste'
    ? new ClipboardEvent('paste', {clipboardData: transfer, ...options})
    : new DragEvent(kind, {dataTransfer: transfer, ...options});
  return !target.dispatchEvent(event);
}"""
_FRAGMENT = "<meta charset='utf-8'><b>A picture</b><img alt='' src='{}'>"
NOT_LOADED = (
    "This page does not load pictures from web addresses. Save the picture, then open the file."
)


def bring(demo, kind, words, target="body"):
    """Pastes or drops data that is no file; whether the page took it."""
    return demo.page.evaluate(_WORDS, [kind, words, target])


def data_url(path, kind="image/png"):
    return f"data:{kind};base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def opened_names(demo):
    """The names under which photos were opened, oldest first."""
    return [query["name"] for query in demo.sent("open") if "name" in query]


def assert_photo_is_open(demo):
    assert demo.pixels("photo").shape[:2] == (200, 300)
    assert np.abs(demo.pixels("photo")[LEFT.y, LEFT.x, :3].astype(int) - RED).max() < 25
    demo.click(LEFT.centre)
    assert demo.mask()[LEFT.y, LEFT.x]


@pytest.mark.parametrize("target", [".sam-stage", "body"])
def test_a_photo_dropped_anywhere_on_the_page_opens(demo, photo, target):
    payload = {"dataTransfer": transfer(demo, photo)}
    demo.page.dispatch_event(target, "dragenter", payload)
    assert demo.page.locator(".sam-drop").is_visible()
    with demo.opened():
        demo.page.dispatch_event(target, "drop", payload)
    assert not demo.page.locator(".sam-drop").is_visible()
    assert_photo_is_open(demo)


_DROP = """(files) => {
  const dataTransfer = new DataTransfer();
  for (const [name, type, data] of files) {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    dataTransfer.items.add(new File([bytes], name, {type}));
  }
  const options = {dataTransfer, bubbles: true, cancelable: true};
  document.body.dispatchEvent(new DragEvent('drop', options));
}"""


def drop(demo, *files):
    """Drops files at once, (name, type, bytes) each, and waits until the first photo is open."""
    sent = [[name, kind, base64.b64encode(data).decode("ascii")] for name, kind, data in files]
    with demo.opened():
        demo.page.evaluate(_DROP, sent)


def test_photos_that_are_dropped_at_once_all_open(empty_demo, tmp_path):
    given = ["one.png", "two.png", "three.png"]
    for width, name in enumerate(given, start=300):
        draw(width, 200).save(tmp_path / name)
    drop(empty_demo, *((name, "image/png", (tmp_path / name).read_bytes()) for name in given))
    empty_demo.wait_for("() => document.querySelector('.sam').dataset.photos === '3'")
    photos = empty_demo.page.locator(".sam-photo")
    titles = photos.evaluate_all("(all) => all.map(({title}) => title)")
    assert [title.split(",")[0] for title in titles] == given


_SQUARE = [[20, 20], [80, 20], [80, 80], [20, 80]]
_COCO = {
    "images": [{"id": 1, "file_name": "train/discs.png"}],
    "categories": [{"id": 3, "name": "cup"}],
    "annotations": [
        {"image_id": 1, "category_id": 3, "segmentation": [[20, 20, 80, 20, 80, 80, 20, 80]]}
    ],
}


@pytest.mark.parametrize("is_first", [True, False], ids=["photo first", "photo last"])
@pytest.mark.parametrize(
    ("name", "text", "label"),
    [
        ("discs.json", json.dumps({"shapes": [{"label": "cup", "points": _SQUARE}]}), "cup"),
        ("instances.json", json.dumps(_COCO), "cup"),
        ("discs.txt", "0 0.1 0.1 0.3 0.1 0.3 0.4\n", "class 0"),
    ],
    ids=["labelme", "COCO", "YOLO"],
)
def test_a_photo_dropped_with_its_annotations_has_its_objects(
    empty_demo, photo, name, text, label, is_first
):
    files = [("discs.png", "image/png", photo.read_bytes()), (name, "", text.encode())]
    drop(empty_demo, *files[:: 1 if is_first else -1])
    empty_demo.wait_for_objects(1)
    assert names(empty_demo) == [label]


def test_labels_without_sizes_reach_photos_that_were_never_opened(empty_demo, tmp_path):
    sizes = {"one": (300, 200), "two": (320, 200), "three": (200, 300)}
    for name, (width, height) in sizes.items():
        draw(width, height, [Disc(100, 100, 40)]).save(tmp_path / f"{name}.png")
    rotated = save_rotated(draw(300, 200), tmp_path / "four.jpg").name
    labels = io.BytesIO()
    with zipfile.ZipFile(labels, "w") as archive:
        for name in (*sizes, "four"):
            archive.writestr(f"labels/train/{name}.txt", "0 0.1 0.1 0.5 0.1 0.5 0.6\n")
    given = [*(f"{name}.png" for name in sizes), rotated]
    files = [(name, "image/png", (tmp_path / name).read_bytes()) for name in given]
    drop(empty_demo, *files, ("labels.zip", "application/zip", labels.getvalue()))
    empty_demo.wait_for(
        '() => document.querySelectorAll(`.sam-photo[title*=", 1 object"]`).length === 4'
    )
    assert "Skipped" not in empty_demo.part("alert-text").inner_text()
    for index in range(4):
        if index:
            with empty_demo.opened():
                empty_demo.page.keyboard.press("d")
        assert names(empty_demo) == ["class 0"]


def test_a_pasted_photo_opens(demo, photo):
    with demo.opened():
        demo.page.evaluate(
            "(clipboardData) => document.dispatchEvent("
            "new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true}))",
            transfer(demo, photo),
        )
    assert_photo_is_open(demo)


@pytest.mark.parametrize("kind", ["paste", "drop"])
@pytest.mark.parametrize(
    "words",
    [
        lambda url: {"text/html": _FRAGMENT.format(url)},
        lambda url: {
            "text/html": "<img src='https://example.org/a.png'>" + _FRAGMENT.format(url),
            "text/uri-list": "https://example.org/page",
        },
        lambda url: {"text/uri-list": f"# a picture\r\n{url}"},
        lambda url: {"text/plain": f" {url}\n"},
    ],
    ids=["html", "html with several", "a list of addresses", "text"],
)
def test_a_picture_within_other_data_opens(demo, photo, kind, words):
    with demo.opened():
        assert bring(demo, kind, words(data_url(photo)))
    assert_photo_is_open(demo)
    word = "pasted" if kind == "paste" else "dropped"
    (name,) = opened_names(demo)
    assert re.fullmatch(word + r"-\d{4}-\d\d-\d\d-\d{6}\.png", name)


@pytest.mark.parametrize("kind", ["paste", "drop"])
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"text/html": _FRAGMENT.format("https://example.org/cat.jpg")}, NOT_LOADED),
        ({"text/uri-list": "https://example.org/album"}, NOT_LOADED),
        ({"text/plain": "https://example.org/cat.jpg"}, NOT_LOADED),
        ({"text/plain": "some words about https://example.org"}, "no picture in"),
        ({"text/html": "<p>Words.</p>", "text/plain": "Words."}, "no picture in"),
        ({"text/plain": "data:text/html,<b>no</b>"}, "no picture in"),
        ({"text/plain": "data:image/png;base64,%"}, "cannot be read"),
        (
            {"text/uri-list": "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>"},
            "not a",
        ),
    ],
)
def test_data_without_a_picture_gets_one_sentence(demo, kind, words, sentence):
    with demo.refused():
        assert bring(demo, kind, words)
    assert sentence in demo.alert()
    assert demo.data("state") == "ready"


def test_text_goes_into_a_field(demo):
    demo.click(LEFT.centre)
    for kind in ("paste", "dragover", "drop"):
        assert not bring(demo, kind, {"text/plain": "cup"}, ".sam-object input")
    demo.settle()
    assert demo.alert() == ""


def test_the_cut_out_dropped_on_the_page_itself_changes_nothing(demo):
    bring(demo, "dragstart", {})
    assert not bring(demo, "drop", {"text/uri-list": "https://example.org/cutout.png"})
    bring(demo, "dragend", {})
    demo.settle()
    assert demo.alert() == ""


def test_pictures_from_the_clipboard_are_named_by_the_time_and_files_keep_their_names(demo, photo):
    for name in ("image.png", "image.png", "cup.png"):
        file = demo.page.evaluate_handle(
            _FILE, [name, "image/png", base64.b64encode(photo.read_bytes()).decode("ascii")]
        )
        with demo.opened():
            demo.page.evaluate(
                "(clipboardData) => document.dispatchEvent("
                "new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true}))",
                file,
            )
    first, second, third = opened_names(demo)
    assert first != second
    assert all(re.fullmatch(r"pasted-[\d-]+\.png", name) for name in (first, second))
    assert third == "cup.png"


def test_photos_of_the_camera_of_a_phone_are_named_by_the_time(demo, photo):
    buffer = {"name": "image.jpg", "mimeType": "image/jpeg", "buffer": photo.read_bytes()}
    for name in ("capture", "file"):
        with demo.opened():
            demo.page.locator(f"input[data-part={name}]").set_input_files(buffer)
    assert re.fullmatch(r"camera-[\d-]+\.jpg", opened_names(demo)[0])
    assert opened_names(demo)[1] == "image.jpg"  # the user's own name


def test_the_paste_button_opens_the_picture_of_the_clipboard(new_demo, photo):
    demo = new_demo(permissions=["clipboard-read", "clipboard-write"])
    demo.page.evaluate(
        """async (data) => {
          const blob = await (await fetch('data:image/png;base64,' + data)).blob();
          await navigator.clipboard.write([new ClipboardItem({'image/png': blob})]);
        }""",
        base64.b64encode(photo.read_bytes()).decode("ascii"),
    )
    with demo.opened():
        demo.page.locator(".sam-empty [data-do=paste]").click()
    assert_photo_is_open(demo)
    demo.page.evaluate("() => navigator.clipboard.writeText('no picture')")
    demo.do("paste")
    demo.part("alert").wait_for(state="visible")
    assert "no picture in the clipboard" in demo.alert()
    assert demo.mask()[LEFT.y, LEFT.x]


def test_the_browse_button_opens_the_file_dialog(empty_demo, photo):
    with empty_demo.page.expect_file_chooser() as chooser:
        empty_demo.page.locator(".sam-empty [data-do=browse]").click()
    with empty_demo.opened():
        chooser.value.set_files(str(photo))
    assert_photo_is_open(empty_demo)


def test_the_same_file_can_be_opened_twice(demo, photo):
    demo.click(LEFT.centre)
    demo.open(photo)
    demo.wait_settled()
    assert demo.mask()[LEFT.y, LEFT.x]  # the work in it stays


def test_an_example_opens_on_a_click(demo):
    with demo.opened():
        demo.part("examples").locator("button").first.click()
    height, width = demo.pixels("photo").shape[:2]
    assert min(height, width) > 100
    with demo.answered():
        demo.press((width // 2, height // 2))
    assert demo.mask().any()


def test_a_photo_taken_with_the_camera_opens(empty_demo):
    empty_demo.page.locator(".sam-empty [data-do=camera]").click()
    empty_demo.wait_for("() => document.querySelector('[data-part=video]').videoWidth > 0")
    with empty_demo.opened():
        empty_demo.page.locator("[data-do=shoot]").click()
    assert re.fullmatch(r"camera-[\d-]+\.jpg", opened_names(empty_demo)[0])
    assert not empty_demo.part("camera").is_visible()
    assert empty_demo.page.evaluate(
        "() => document.querySelector('[data-part=video]').srcObject === null"
    )
    height, width = empty_demo.pixels("photo").shape[:2]
    with empty_demo.answered():
        empty_demo.press((width // 2, height // 2))


def test_the_camera_dialog_can_be_closed(empty_demo):
    empty_demo.page.locator(".sam-empty [data-do=camera]").click()
    empty_demo.wait_for("() => document.querySelector('[data-part=video]').videoWidth > 0")
    empty_demo.page.locator("[data-do=camera-close]").click()
    assert not empty_demo.part("camera").is_visible()
    assert empty_demo.data("state") == "empty"


BAD_FILES = {
    "text": (lambda _: b"this is no photo\n" * 40, "not a photo that can be read"),
    "truncated": (lambda _: truncated_jpeg(), "damaged or incomplete"),
    "too large": (lambda _: b"\xff\xd8" + bytes(20_000_001), "larger than 20 MB"),
    "too many pixels": (lambda _: header_bomb(), "more than 40 megapixels"),
    "vector": (lambda _: b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not a photo"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_gets_one_sentence_and_the_open_photo_stays(demo, tmp_path, kind):
    make, sentence = BAD_FILES[kind]
    demo.click(LEFT.centre)
    mask, shown, marks = demo.pixels("mask"), demo.pixels("photo"), demo.marks()
    path = tmp_path / "photo.jpg"
    path.write_bytes(make(tmp_path))
    with demo.refused():
        demo.choose_file(path)
    assert sentence in demo.alert()
    assert "Traceback" not in demo.alert()
    assert len(demo.alert()) < 120
    assert demo.data("state") == "ready"
    assert not demo.part("incoming").is_visible()
    assert np.array_equal(demo.pixels("photo"), shown)
    assert np.array_equal(demo.pixels("mask"), mask)
    assert demo.marks() == marks
    demo.click((100, 120))
    assert demo.mask()[LEFT.y, LEFT.x]
    assert demo.alert() == ""


def test_an_empty_file_on_an_empty_page_leaves_it_ready_for_another(empty_demo, tmp_path, photo):
    (tmp_path / "empty.png").write_bytes(b"")
    with empty_demo.refused():
        empty_demo.choose_file(tmp_path / "empty.png")
    assert empty_demo.alert()
    assert empty_demo.data("state") == "empty"
    empty_demo.open(photo)
    assert empty_demo.alert() == ""
    assert_photo_is_open(empty_demo)


def test_an_upload_without_a_network_gets_a_sentence_and_can_be_repeated(demo, photo):
    demo.click(LEFT.centre)
    before = demo.pixels("mask")
    demo.page.route("**/upload*", lambda route: route.abort())
    with demo.refused():
        demo.choose_file(photo)
    assert "could not be uploaded" in demo.alert()
    assert np.array_equal(demo.pixels("mask"), before)
    demo.page.unroute("**/upload*")
    demo.open(photo)
    assert demo.alert() == ""
