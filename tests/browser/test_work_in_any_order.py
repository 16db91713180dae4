"""Work that must survive actions that overlap: switching, removing, renaming, opening projects."""

import json

import pytest

from tests.browser.driver import Gate
from tests.browser.object_list import edit, names, press_next, row
from tests.serving import Disc, draw, iou

WIDTHS = (310, 320, 330)


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{width}.png" for width in WIDTHS]
    for path, width in zip(paths, WIDTHS, strict=True):
        draw(width, 200, [Disc(80, 100, 30), Disc(220, 100, 30)]).save(path)
    return paths


@pytest.fixture
def three(empty_demo, files):
    """A tab with three photos, the first one open."""
    with empty_demo.opened():
        empty_demo.page.locator("input[data-part=file]").set_input_files([str(p) for p in files])
    empty_demo.wait_for("() => document.querySelector('.sam').dataset.photos === '3'")
    return empty_demo


def step(demo, key="d"):
    with demo.opened():
        demo.page.keyboard.press(key)


def strip(demo):
    return demo.page.evaluate("""() => [...document.querySelectorAll('.sam-photo')].map(
      (photo) => photo.title.split(', ').slice(0, 2).join(': '))""")


def test_a_click_whose_mask_is_late_is_there_when_the_photo_comes_back(three):
    gate = Gate(three, Gate.hold)
    three.press((80, 100))
    gate.wait_held(1)
    step(three)
    gate.release(1)
    step(three, "a")
    three.wait_for_objects(1)
    assert three.mask()[100, 80]


def test_what_is_typed_and_clicked_before_the_mask_is_there_belongs_to_the_object_and_the_next(
    three,
):
    gate = Gate(three, Gate.hold)
    keyboard = three.page.keyboard
    for xy, name in (((80, 100), "faded 1"), ((220, 100), "Pear")):
        three.press(xy)
        keyboard.press("n")
        keyboard.type(name + "x")
        keyboard.press("Backspace")
        keyboard.press("Enter")
    gate.wait_held(1)
    assert names(three) == []
    gate.release(1)
    three.wait_for("() => document.querySelectorAll('.sam-object input')[1]?.value === 'Pear'")
    assert names(three) == ["faded 1", "Pear"]
    assert strip(three)[0] == "310.png: 2 objects"
    assert three.data("tool") == "click"
    three.page.unroute_all()
    for at, disc in enumerate((Disc(80, 100, 30), Disc(220, 100, 30))):
        edit(three, at)
        assert iou(three.mask(), disc.mask((200, 310))) > 0.9


def test_escape_and_undo_end_the_wait_for_a_mask_that_is_to_be_kept(three):
    gate = Gate(three, Gate.hold)
    for key in ("Escape", "Control+z"):
        three.press((80, 100))
        three.page.keyboard.press("n")
        three.page.keyboard.press(key)
        three.page.keyboard.press("p")
        assert three.data("tool") == "brush"
        three.page.keyboard.press("p")
    gate.release(1)
    three.settle()
    assert names(three) == []


def test_a_removed_photo_that_comes_back_does_not_undo_what_was_done_meanwhile(three):
    three.page.get_by_label("Remove 330.png from the set").click()
    three.click((80, 100))
    press_next(three)
    three.part("note-undo").click()
    assert strip(three) == ["310.png: 1 object", "320.png: 0 objects", "330.png: 0 objects"]
    three.page.get_by_label("Remove 330.png from the set").click()
    three.part("note-undo").click()
    three.part("note-undo").evaluate("(button) => button.click()")
    assert len(strip(three)) == 3


def test_quick_keys_lead_as_far_as_they_were_pressed(three):
    with three.opened():
        three.page.keyboard.press("d")
        three.page.keyboard.press("d")
    three.settle()
    three.page.wait_for_selector(".sam[data-state=ready]")
    assert three.part("photo").evaluate("(canvas) => canvas.width") == 330


def test_undo_brings_back_a_deleted_object_after_its_note_has_gone(three):
    three.click((80, 100))
    press_next(three)
    three.page.clock.install()
    row(three, 0).get_by_label("Delete").click()
    assert names(three) == []
    three.page.clock.fast_forward(20_000)
    assert not three.part("note").is_visible()
    three.page.keyboard.press("Control+z")
    assert names(three) == ["Object 1"]


def test_the_undo_of_a_merge_ends_with_the_object(three):
    for centre in ((80, 100), (220, 100)):
        three.click(centre)
        press_next(three)
    with three.answered():
        row(three, 0).locator(".sam-swatch").click()
    three.do("merge")
    with three.answered():
        row(three, 1).click(position={"x": 5, "y": 5})
    three.wait_for_objects(1)
    press_next(three)
    assert not three.part("note").is_visible() or "merged" not in three.text("note-text")


def test_a_project_gives_its_work_to_photos_that_are_open_already(three, new_demo, files, tmp_path):
    three.click((80, 100))
    press_next(three)
    step(three)
    three.click((220, 100))
    press_next(three)
    three.page.locator(".sam-head [data-do=set]").click()
    with three.page.expect_download() as download:
        three.page.locator("[data-do=project-save]").click()
    project = tmp_path / "a.mobilesam"
    download.value.save_as(project)
    other = new_demo()
    with other.opened():
        other.page.locator("input[data-part=file]").set_input_files([str(p) for p in files])
    other.wait_for("() => document.querySelector('.sam').dataset.photos === '3'")
    other.page.locator("input[data-part=project-file]").set_input_files(str(project))
    other.wait_for_objects(1)
    other.wait_for("() => document.querySelectorAll('li[data-progress=begun]').length === 2")
    assert strip(other) == ["310.png: 1 object", "320.png: 1 object", "330.png: 0 objects"]
    step(other)
    assert names(other) == ["Object 1"]


def test_annotations_of_another_size_do_not_spoil_a_photo(three):
    document = {
        "imagePath": "330.png",
        "imageHeight": 20,
        "imageWidth": 33,
        "shapes": [
            {"label": "cat", "shape_type": "rectangle", "points": [[1, 1], [9, 9]]},
        ],
    }
    three.page.locator("input[data-part=mask-file]").set_input_files(
        {
            "name": "330.json",
            "mimeType": "application/json",
            "buffer": json.dumps(document).encode(),
        }
    )
    three.wait_for("() => /another size/.test(document.querySelector('.sam-alert').innerText)")
    with three.opened():
        three.page.locator(".sam-photo").nth(2).click()
    assert names(three) == []


def test_closing_all_photos_keeps_their_work(three, files):
    three.click((80, 100))
    press_next(three)
    three.page.locator(".sam-head [data-do=set]").click()
    three.page.locator("[data-do=set-close-photos]").click()
    three.page.wait_for_selector(".sam[data-state=empty]")
    three.page.evaluate("() => document.querySelector('[data-part=set]').close()")
    with three.opened():
        three.choose_file(files[0])
    assert names(three) == ["Object 1"]


def test_everything_is_deleted_only_after_a_question(three):
    three.click((80, 100))
    three.page.wait_for_timeout(400)
    three.reload()  # the tests answer every question with yes until then
    three.wait_for_more("ready", 0)
    asked = []
    three.page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    three.page.evaluate("() => document.querySelector('[data-do=forget]').click()")
    assert "cannot be undone" in asked[0]
    assert len(strip(three)) == 3
    assert names(three) == ["Object 1"]
