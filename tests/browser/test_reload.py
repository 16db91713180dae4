"""What remains of the objects after a reload, with another photo, in another tab, after a day."""

import time

import numpy as np
import pytest

from tests.browser.driver import Demo
from tests.browser.object_list import coco_masks, edit, is_drawn, names, press_next, row, save_all
from tests.serving import LEFT, Disc, draw

_SAVED = """() => new Promise((resolve) => {
  const opening = indexedDB.open('mobilesam');
  opening.onsuccess = () => {
    const counting = opening.result.transaction('kept').objectStore('kept').count();
    counting.onsuccess = () => { opening.result.close(); resolve(counting.result); };
  };
})"""


SAVED_MS = 400
"""The page saves its state a moment after the last change."""


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


def test_another_photo_replaces_what_is_saved_and_another_tab_starts_empty(two, app, other):
    two.open(other)
    reload(two)
    two.wait_for_more("ready", 0)
    assert names(two) == []
    assert shown_ratio(two) == "200 / 100"
    tab = Demo(two.page.context.new_page())
    tab.load(app.url)
    tab.wait_for_model()
    tab.settle()
    assert tab.data("state") == "empty"
    tab.page.close()


def test_a_duplicated_tab_gets_its_own_name_and_does_not_change_the_first(two, other):
    name = "() => sessionStorage.getItem('mobilesam-tab')"
    mine = two.page.evaluate(name)
    with two.page.expect_popup() as opened:
        two.page.evaluate("() => { window.open(location.href); }")  # with what the session stores
    copy = Demo(opened.value)
    copy.wait_for(f"(mine) => ![null, mine].includes(({name})())", mine)
    copy.open(other)
    reload(two)
    two.wait_for_more("ready", 0)
    assert names(two) == ["Object 1", "Object 2"]


def test_a_photo_whose_objects_could_not_be_saved_gets_no_others(two, other):
    two.page.evaluate("""() => {
      const put = IDBObjectStore.prototype.put;
      IDBObjectStore.prototype.put = function (value, key) {
        if (key.endsWith(':work')) throw new DOMException('full', 'QuotaExceededError');
        return put.call(this, value, key);
      };
    }""")
    two.open(other)
    reload(two)
    two.wait_for_more("ready", 0)
    assert shown_ratio(two) == "200 / 100"
    assert names(two) == []


def test_what_was_saved_is_deleted_after_a_day(new_demo, photo):
    demo = new_demo()
    demo.open(photo)
    demo.page.wait_for_timeout(SAVED_MS)
    demo.page.clock.set_fixed_time(time.time() + 24 * 3600 + 60)
    assert demo.page.evaluate(_SAVED) > 0
    demo.page.wait_for_timeout(SAVED_MS)
    demo.reload()
    demo.page.evaluate(
        f"() => {{ setInterval(async () => {{ window.saved = await ({_SAVED})(); }}, 50); }}"
    )
    demo.wait_for("() => window.saved === 0")
    assert demo.data("state") == "empty"


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


def test_the_objects_of_the_last_photo_can_be_restored(two, other):
    two.open(other)
    assert names(two) == []
    assert "discs.png" in two.text("note-text")
    with two.opened():
        two.part("note-undo").click()
    assert names(two) == ["Object 1", "Object 2"]
    assert is_drawn(two, LEFT)


def test_downloaded_objects_are_closed_without_a_note(two, other):
    save_all(two, "index_png")
    two.wait_for("() => document.querySelector('.sam').dataset.busy === 'no'")
    two.open(other)
    assert not two.part("note").is_visible()
