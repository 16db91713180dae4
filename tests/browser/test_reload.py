"""What remains of the objects after a reload, with another photo, in another tab, after a day."""

import time

import numpy as np
import pytest

from tests.browser.driver import Demo
from tests.browser.object_list import coco_masks, edit, is_drawn, names, press_next, row, save_all
from tests.serving import LEFT, Disc, draw

_COUNT = """async () => {
  const settled = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const database = await settled(indexedDB.open('mobilesam'));
  const names = Array.from(database.objectStoreNames).filter((name) => name !== 'settings');
  const transaction = database.transaction(names);
  const count = (name) => settled(transaction.objectStore(name).count());
  const counts = await Promise.all(names.map(count));
  database.close();
  return counts.reduce((a, b) => a + b, 0);
}"""
"""How many records the browser keeps."""
_FULL = """(name) => {
  const put = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function (value, key) {
    if (this.name === name) throw new DOMException('full', 'QuotaExceededError');
    return put.call(this, value, key);
  };
}"""
SAVED_MS = 400
"""The page saves its state at once; this is longer than that takes."""


@pytest.fixture
def demo(empty_demo, photo):
    """A tab of its own, as the state that a reload restores belongs to the tab."""
    empty_demo.open(photo)
    return empty_demo


@pytest.fixture
def other(tmp_path):
    """Another photo."""
    path = tmp_path / "other.png"
    draw(200, 100, [Disc(50, 50, 30)]).save(path)
    return path


def reload(demo):
    demo.page.wait_for_timeout(SAVED_MS)
    demo.reload()


def shown_ratio(demo):
    return demo.page.evaluate("() => document.querySelector('.sam-frame').style.aspectRatio")


def test_a_reload_restores_photo_objects_and_clicks(two):
    field = row(two, 0).locator("input")
    field.fill("red disc")
    field.press("Enter")
    two.part("exclusive").check()
    two.part("winner").select_option("predicted_iou")
    two.click((20, 20))
    before = coco_masks(save_all(two, "coco_rle")[1])
    reload(two)
    two.wait_for_more("ready", 0)
    two.wait_for_more("shown", 0)
    assert names(two) == ["red disc", "Object 2", "Object 3"]
    assert two.interactions()[-1] == [{"type": "point", "x": 20, "y": 20, "label": 1}]
    assert two.part("exclusive").is_checked()
    assert two.part("winner").input_value() == "predicted_iou"
    after = coco_masks(save_all(two, "coco_rle")[1])
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[name], mask) for name, mask in before.items())
    two.do("undo")
    assert not two.mask().any()
    edit(two, 0)
    assert [step["x"] for step in two.interactions()[-1]] == [LEFT.x]


def test_the_work_in_a_photo_comes_back_with_the_photo_in_this_and_in_another_tab(
    two, app, photo, other
):
    two.open(other)
    assert names(two) == []
    reload(two)
    two.wait_for_more("ready", 0)
    assert (names(two), shown_ratio(two)) == ([], "200 / 100")
    two.open(photo)
    assert names(two) == ["Object 1", "Object 2"]
    assert is_drawn(two, LEFT)
    tab = Demo(two.page.context.new_page())
    tab.load(app.url)
    tab.wait_for_model()
    tab.settle()
    assert tab.data("state") == "empty"
    tab.open(photo)
    assert names(tab) == ["Object 1", "Object 2"]
    tab.page.close()


def test_a_mask_that_was_not_kept_yet_comes_back_with_its_undo(demo, photo, other):
    for x in (LEFT.x, LEFT.x + 20, LEFT.x - 20):
        demo.click((x, LEFT.y))
    field = row(demo, 0).locator("input")
    field.fill("red disc")
    field.press("Enter")
    demo.open(other)
    demo.open(photo)
    assert names(demo) == ["red disc"]
    demo.wait_settled()
    assert demo.mask()[LEFT.y, LEFT.x]
    with demo.answered():
        demo.do("undo")
    assert [step["x"] for step in demo.interactions()[-1]] == [LEFT.x, LEFT.x + 20]


def test_an_equal_photo_with_another_name_has_the_same_work(two, photo, tmp_path, other):
    two.open(other)
    copy = tmp_path / "copy of it.png"
    copy.write_bytes(photo.read_bytes())
    two.open(copy)
    assert names(two) == ["Object 1", "Object 2"]


def test_what_another_tab_did_in_the_photo_shows_when_the_user_comes_back(two, app, photo):
    tab = Demo(two.page.context.new_page())
    tab.load(app.url)
    tab.open(photo)
    tab.click((20, 20))
    press_next(tab)
    tab.page.wait_for_timeout(SAVED_MS)
    tab.page.close()
    two.page.evaluate("() => { window.dispatchEvent(new Event('focus')); }")
    two.wait_for_objects(3)
    two.click((280, 20))
    press_next(two)
    assert len(names(two)) == 4


def test_a_duplicated_tab_begins_with_the_same_photos_and_does_not_change_the_first(two, other):
    name = "() => sessionStorage.getItem('mobilesam-tab')"
    mine = two.page.evaluate(name)
    with two.page.expect_popup() as opened:
        two.page.evaluate("() => { window.open(location.href); }")  # with what the session stores
    copy = Demo(opened.value)
    copy.wait_for(f"(mine) => ![null, mine].includes(({name})())", mine)
    copy.wait_for_objects(2)
    assert names(copy) == names(two)
    copy.open(other)
    assert copy.data("photos") == "2"
    reload(two)
    two.wait_for_more("ready", 0)
    assert names(two) == ["Object 1", "Object 2"]
    assert two.data("photos") == "1"


def leaving_asks(demo):
    """Whether the browser would ask before it closes the page."""
    return demo.page.evaluate(
        "() => !window.dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    )


def test_a_full_disk_is_one_sentence_and_closing_the_page_asks(two, other):
    assert not leaving_asks(two)
    two.page.evaluate(_FULL, "works")
    with two.refused():
        two.click((20, 20))
    assert "no room for your work" in two.alert()
    assert leaving_asks(two)
    two.page.locator("[data-do=dismiss]").click()
    two.click((60, 20))
    assert two.alert() == ""  # said once
    two.open(other)
    reload(two)
    two.wait_for_more("ready", 0)
    assert (names(two), shown_ratio(two)) == ([], "200 / 100")


def test_photos_without_room_on_the_disk_keep_their_objects(two, photo, other):
    two.page.evaluate(_FULL, "photos")
    two.open(other)
    two.wait_for(
        "() => document.querySelector('[data-part=alert-text]').innerText.includes('room')"
    )
    two.click((50, 50))
    reload(two)
    two.wait_for(
        "() => document.querySelector('[data-part=alert-text]').innerText.includes('any more')"
    )
    two.open(other)
    assert names(two) == ["Object 1"]


def test_what_was_saved_is_deleted_after_a_month(new_demo, photo):
    demo = new_demo()
    demo.open(photo)
    demo.page.wait_for_timeout(SAVED_MS)
    demo.page.clock.set_fixed_time(time.time() + 29 * 24 * 3600)
    demo.reload()
    demo.page.wait_for_timeout(SAVED_MS)
    assert demo.page.evaluate(_COUNT) > 0
    demo.page.clock.set_fixed_time(time.time() + 61 * 24 * 3600)
    demo.reload()
    demo.wait_for(f"async () => await ({_COUNT})() === 0")
    assert demo.data("state") == "empty"


def test_everything_that_is_kept_can_be_deleted(two):
    two.forget()
    two.wait_for(f"async () => await ({_COUNT})() === 0")
    reload(two)
    two.settle()
    assert two.data("state") == "empty"


def test_without_storage_everything_else_works(context, app, photo):
    demo = Demo(context.new_page())
    demo.page.add_init_script("""
      IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError'); };
    """)
    demo.load(app.url)
    demo.open(photo)
    demo.click(LEFT.centre)
    press_next(demo)
    reload(demo)
    demo.open(photo)
    assert names(demo) == []
    assert demo.complaints == []
    demo.page.close()
