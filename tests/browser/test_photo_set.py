"""Several photos: the strip, its order and progress, and what is encoded ahead of time."""

import shutil

import pytest

from tests.browser.driver import hold_opening
from tests.browser.object_list import names, press_next, row
from tests.serving import LEFT, Disc, draw

WIDTHS = (310, 320, 330)
REPLACE_SETS = """async (record) => {
  const settled = (request) => new Promise((resolve) => {
    request.onsuccess = () => resolve(request.result);
  });
  const database = await settled(indexedDB.open('mobilesam'));
  const table = database.transaction('tabs', 'readwrite').objectStore('tabs');
  for (const key of await settled(table.getAllKeys())) await settled(table.put(record, key));
  database.close();
}"""


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{width}.png" for width in WIDTHS]
    for path, width in zip(paths, WIDTHS, strict=True):
        draw(width, 200, [Disc(width // 2, 100, 30)]).save(path)
    return paths


@pytest.fixture
def three(empty_demo, files):
    """A tab with three photos, the first one open."""
    choose(empty_demo, files)
    return empty_demo


def choose(demo, paths):
    with demo.opened():
        demo.page.locator("input[data-part=file]").set_input_files([str(path) for path in paths])
    demo.wait_for("(n) => document.querySelector('.sam').dataset.photos === String(n)", len(paths))


def strip(demo):
    """Of each photo: its name, progress, and whether it is open."""
    return demo.page.evaluate("""() => {
      const items = [...document.querySelectorAll('.sam-photos li')];
      return items.map((item) => {
        const photo = item.querySelector('.sam-photo');
        return [photo.title.split(',')[0], item.dataset.progress, photo.ariaCurrent === 'true'];
      });
    }""")


def width(demo):
    return demo.part("photo").evaluate("(canvas) => canvas.width")


def test_several_photos_open_as_a_strip_and_the_first_is_shown(three):
    assert strip(three) == [
        ["310.png", "untouched", True],
        ["320.png", "untouched", False],
        ["330.png", "untouched", False],
    ]
    assert width(three) == 310
    assert three.text("photo-count") == "1 of 3, 0 done"
    widths = "() => [...document.querySelectorAll('.sam-photo')].map((one) => one.offsetWidth)"
    before = three.page.evaluate(widths)
    three.wait_for("() => document.querySelectorAll('.sam-photo img:not([hidden])').length === 3")
    assert three.page.evaluate(widths) == before  # nothing moves under the pointer
    assert len(set(before)) == 1


def test_a_folder_opens_with_all_its_photos(empty_demo, files, tmp_path):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for file, place in zip(files, ["b10.png", "b9.png", "more/a.png"], strict=True):
        shutil.copy(file, folder / place)
    (folder / ".hidden.png").write_bytes(b"no photo")
    (folder / "notes.docx").write_bytes(b"no photo")
    with empty_demo.opened(), empty_demo.page.expect_file_chooser() as chooser:
        empty_demo.page.get_by_role("button", name="Open a folder").click()
        chooser.value.set_files(folder)
    names = [name for name, _, _ in strip(empty_demo)]
    assert names == ["b9.png", "b10.png", "a.png"]
    assert empty_demo.alert() == ""


def test_a_folder_without_photos_is_one_sentence(empty_demo, tmp_path):
    (tmp_path / "notes.docx").write_bytes(b"no photo")
    empty_demo.page.locator("input[data-part=folder]").set_input_files(tmp_path)
    empty_demo.wait_for(
        "() => /no photo/.test(document.querySelector('[data-part=alert-text]').innerText)"
    )


def test_one_photo_has_no_strip(empty_demo, files):
    choose(empty_demo, files[:1])
    assert not empty_demo.part("photos").is_visible()


def test_keys_and_buttons_lead_through_the_photos_and_their_work_stays(three):
    three.click((155, 100))
    press_next(three)
    with three.opened():
        three.page.keyboard.press("d")
    assert (width(three), names(three)) == (320, [])
    three.click((160, 100))
    with three.opened():
        three.page.locator("[data-do=photo-next]").click()
    assert width(three) == 330
    assert three.page.locator("[data-do=photo-next]").is_disabled()
    three.page.keyboard.press("PageDown")
    three.settle()
    with three.opened():
        three.page.locator(".sam-photo").first.click()
    assert (width(three), names(three)) == (310, ["Object 1"])
    assert [progress for _, progress, _ in strip(three)] == ["begun", "begun", "untouched"]


def test_while_another_photo_opens_the_objects_of_the_last_one_are_hidden_and_not_lost(three):
    three.click((155, 100))
    press_next(three)
    assert row(three, 0).locator("input").is_visible()
    gate = hold_opening(three)
    three.page.keyboard.press("d")
    three.wait_for("() => document.querySelector('.sam').dataset.state === 'opening'")
    assert not row(three, 0).locator("input").is_visible()
    assert not three.page.locator(".sam-panel [data-do=next]").is_visible()
    assert three.part("object-section").get_attribute("aria-busy") == "true"
    three.page.keyboard.press("Escape")
    assert row(three, 0).locator("input").is_visible()
    assert three.part("object-section").get_attribute("aria-busy") == "false"
    assert names(three) == ["Object 1"]
    gate.release(0)


def test_a_photo_is_marked_as_done_and_stays_so(three):
    three.page.keyboard.press("f")
    assert strip(three)[0][1] == "done"
    assert three.text("photo-count") == "1 of 3, 1 done"
    three.page.wait_for_timeout(400)
    three.reload()
    three.wait_for_more("ready", 0)
    assert [progress for _, progress, _ in strip(three)] == ["done", "untouched", "untouched"]
    three.page.keyboard.press("f")
    assert strip(three)[0][1] == "untouched"


@pytest.mark.parametrize(
    "record", [{}, [], 5, {"photos": 5}, {"photos": [None, 1, {"key": 2}]}], ids=str
)
def test_a_damaged_record_of_the_set_is_as_none(three, record):
    three.page.wait_for_timeout(400)
    three.page.evaluate(REPLACE_SETS, record)
    three.reload()
    three.settle()
    assert three.complaints == []
    assert strip(three) == []


def test_a_reload_brings_back_the_set_and_the_open_photo(three):
    with three.opened():
        three.page.keyboard.press("d")
    three.page.wait_for_timeout(400)
    three.reload()
    three.wait_for_more("ready", 0)
    assert [is_open for *_, is_open in strip(three)] == [False, True, False]
    assert width(three) == 320


def test_a_photo_is_not_added_twice(three, files):
    three.choose_file(files[0])
    three.settle()
    with three.opened():
        three.choose_file(files[2])
    assert len(strip(three)) == 3
    assert width(three) == 330


def test_a_removed_photo_comes_back_with_undo_and_its_work_is_kept(three, files):
    three.click((155, 100))
    press_next(three)
    with three.opened():
        three.page.get_by_label("Remove 310.png from the set").click()
    assert [name for name, *_ in strip(three)] == ["320.png", "330.png"]
    three.part("note-undo").click()
    assert [name for name, *_ in strip(three)] == ["310.png", "320.png", "330.png"]
    with three.opened():
        three.page.locator(".sam-photo").first.click()
    assert names(three) == ["Object 1"]


def test_removing_the_last_photo_leads_to_the_empty_page(demo):
    demo.click(LEFT.centre)
    demo.page.get_by_label("Remove discs.png from the set").evaluate("(button) => button.click()")
    demo.page.wait_for_selector(".sam[data-state=empty]")
    assert demo.part("first").is_visible()


def test_the_next_photo_is_encoded_ahead_and_is_not_uploaded_again(three):
    while not (ahead := [query for query in three.sent("open") if query.get("ahead")]):
        three.page.wait_for_timeout(50)
    assert [query["name"] for query in ahead if "name" in query] == ["320.png"]
    with three.opened():
        three.page.keyboard.press("d")
    assert width(three) == 320
    sent = [query["name"] for query in three.sent("open") if "name" in query]
    assert sent.count("320.png") == 1


def test_a_file_that_is_no_photo_leaves_the_set_as_it_was(three, tmp_path):
    (tmp_path / "notes.txt").write_text("no photo")
    with three.refused():
        three.choose_file(tmp_path / "notes.txt")
    assert len(strip(three)) == 3
    assert width(three) == 310
    three.click((155, 100))
    assert three.mask()[100, 155]


def test_photos_that_cannot_be_shown_do_not_stop_the_others(empty_demo, files, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    choose(empty_demo, [files[0], tmp_path / "broken.png", files[1]])
    with empty_demo.refused():
        empty_demo.page.keyboard.press("d")
    assert width(empty_demo) == 310
    with empty_demo.opened():
        empty_demo.page.locator(".sam-photo").nth(2).click()
    assert width(empty_demo) == 320


def click_incoming(demo, width, xy):
    """Clicks a pixel of a photo, 200 pixels high, that is being opened."""
    demo.wait_for(f"() => document.querySelector('[data-part=incoming]').width === {width}")
    demo.part("incoming").wait_for(state="visible")
    box = demo.part("incoming").bounding_box()
    scale = min(box["width"] / width, box["height"] / 200)
    x = box["x"] + box["width"] / 2 + (xy[0] - width / 2) * scale
    y = box["y"] + box["height"] / 2 + (xy[1] - 100) * scale
    demo.page.mouse.click(x, y)


def begin_last(demo):
    """Begins to open the last photo, which is not encoded ahead, and clicks its disc: the gate."""
    gate = hold_opening(demo)
    demo.page.locator(".sam-photo").last.click()
    click_incoming(demo, 330, (165, 100))
    gate.wait_held(1)
    return gate


def test_the_strip_shows_which_photo_is_being_opened(three):
    gate = begin_last(three)
    assert [is_shown for _, _, is_shown in strip(three)] == [False, False, True]
    assert three.text("photo-count").startswith("3 of 3")
    assert three.page.locator("[data-do=photo-next]").is_disabled()
    three.page.keyboard.press("Escape")
    assert [is_shown for _, _, is_shown in strip(three)] == [True, False, False]
    gate.release(1)
    with three.opened():
        three.page.locator("[data-do=photo-next]").click()
    assert width(three) == 320


def test_a_click_on_a_photo_that_is_left_before_it_is_open_is_answered_when_it_is(three):
    gate = begin_last(three)
    three.page.locator(".sam-photo").first.click()
    three.page.wait_for_selector(".sam[data-state=ready]")
    gate.release(1)
    three.settle()
    assert three.interactions() == []
    with three.opened(), three.answered():
        three.page.locator(".sam-photo").last.click()
    assert width(three) == 330
    assert three.mask()[100, 165]


@pytest.mark.parametrize("key", ["Escape", "Control+z"])
def test_a_click_on_a_photo_that_is_being_opened_can_be_taken_back(three, key):
    gate = begin_last(three)
    three.page.keyboard.press(key)
    three.page.keyboard.press("n")  # keeps nothing
    if key == "Escape":
        three.page.wait_for_selector(".sam[data-state=ready]")
        gate.release(1)
    with three.opened():
        if key == "Escape":
            three.page.locator(".sam-photo").last.click()
        else:
            gate.release(1)
    three.settle()
    assert width(three) == 330
    assert three.interactions() == []
    assert names(three) == []


def test_an_object_is_kept_and_named_before_its_photo_is_open(three):
    gate = begin_last(three)
    for key in ("n", *"fade", "Enter"):  # f, a, d and e are shortcuts, too
        three.page.keyboard.press(key)
    with three.answered():
        gate.release(1)
    three.wait_for_objects(1)
    three.settle()
    assert names(three) == ["fade"]
    assert width(three) == 330
    assert not three.mask().any()
    assert [progress for _, progress, _ in strip(three)] == ["untouched", "untouched", "begun"]


def test_a_click_on_an_object_counts_before_its_photo_is_open_again(three):
    with three.opened():
        three.page.locator(".sam-photo").last.click()
    three.click((165, 100))
    press_next(three)
    with three.opened():
        three.page.locator(".sam-photo").first.click()
    gate = begin_last(three)
    with three.opened():
        gate.release(1)
    three.wait_settled()
    assert row(three, 0).get_attribute("aria-current")  # it is edited
    assert len(names(three)) == 1
