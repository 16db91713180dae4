"""What a reload, another photo, another tab and a day leave of the objects."""

import time

import numpy as np

from tests.browser.driver import Demo
from tests.browser.object_list import coco_masks, is_drawn, names, press_next, row, save_all, take_up
from tests.serving import LEFT, Disc, draw

_KEPT = """() => new Promise((resolve) => {
  const opening = indexedDB.open('mobilesam');
  opening.onsuccess = () => {
    const counting = opening.result.transaction('kept').objectStore('kept').count();
    counting.onsuccess = () => { opening.result.close(); resolve(counting.result); };
  };
})"""


def reload(demo):
    demo.page.wait_for_timeout(600)  # what is kept is written a moment after the last change
    demo.page.reload()
    demo.page.wait_for_selector(".sam[data-loaded=yes]")


def test_a_reload_brings_photo_objects_and_clicks_back(two):
    field = row(two, 0).locator("input")
    field.fill("red disc")
    field.press("Enter")
    two.part("exclusive").check()
    two.part("winner").select_option("predicted_iou")
    two.click((20, 20))
    before = coco_masks(save_all(two, "coco_rle")[1])
    reload(two)
    two.wait_for("() => document.querySelector('.sam').dataset.ready === '1'")
    two.wait_for("() => document.querySelector('.sam').dataset.shown")
    assert names(two) == ["red disc", "Object 2", "Object 3"]
    assert two.interactions()[-1] == [{"type": "point", "x": 20, "y": 20, "label": 1}]
    assert two.part("exclusive").is_checked()
    assert two.part("winner").input_value() == "predicted_iou"
    after = coco_masks(save_all(two, "coco_rle")[1])
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[name], mask) for name, mask in before.items())
    two.do("undo")
    assert not two.mask().any()
    take_up(two, 0)
    assert [step["x"] for step in two.interactions()[-1]] == [LEFT.x]


def test_another_photo_replaces_what_is_kept_and_another_tab_begins_anew(two, app, tmp_path):
    path = tmp_path / "other.png"
    draw(200, 100, [Disc(50, 50, 30)]).save(path)
    two.open(path)
    reload(two)
    two.wait_for("() => document.querySelector('.sam').dataset.ready === '1'")
    assert names(two) == []
    ratio = two.page.evaluate("() => document.querySelector('.sam-frame').style.aspectRatio")
    assert ratio == "200 / 100"
    tab = two.page.context.new_page()
    tab.goto(app.url)
    tab.wait_for_selector(".sam[data-loaded=yes]")
    tab.wait_for_timeout(1000)
    assert tab.evaluate("() => document.querySelector('.sam').dataset.state") == "empty"


def test_a_copy_of_a_tab_gets_a_name_of_its_own_and_harms_nothing(two, tmp_path):
    name = "() => sessionStorage.getItem('mobilesam-tab')"
    mine = two.page.evaluate(name)
    with two.page.expect_popup() as opened:
        two.page.evaluate("() => { window.open(location.href); }")  # with what the session stores
    copy = Demo(opened.value)
    copy.wait_for(f"(mine) => ![null, mine].includes(({name})())", mine)
    path = tmp_path / "other.png"
    draw(200, 100, [Disc(50, 50, 30)]).save(path)
    copy.open(path)
    reload(two)
    two.wait_for("() => document.querySelector('.sam').dataset.ready === '1'")
    assert names(two) == ["Object 1", "Object 2"]


def test_a_photo_whose_own_objects_were_not_kept_gets_no_others(two, tmp_path):
    two.page.evaluate("""() => {
      const put = IDBObjectStore.prototype.put;
      IDBObjectStore.prototype.put = function (value, key) {
        if (key.endsWith(':work')) throw new DOMException('full', 'QuotaExceededError');
        return put.call(this, value, key);
      };
    }""")
    path = tmp_path / "other.png"
    draw(200, 100, [Disc(50, 50, 30)]).save(path)
    two.open(path)
    reload(two)
    two.wait_for("() => document.querySelector('.sam').dataset.ready === '1'")
    ratio = two.page.evaluate("() => document.querySelector('.sam-frame').style.aspectRatio")
    assert ratio == "200 / 100"
    assert names(two) == []


def test_what_is_kept_is_gone_after_a_day(two):
    two.page.wait_for_timeout(600)  # as in reload, by the clock of today
    two.page.clock.set_fixed_time(time.time() + 24 * 3600 + 60)
    assert two.page.evaluate(_KEPT) > 0
    reload(two)
    two.page.evaluate(
        f"() => {{ setInterval(async () => {{ window.kept = await ({_KEPT})(); }}, 50); }}"
    )
    two.wait_for("() => window.kept === 0")
    assert two.data("state") == "empty"


def test_a_browser_that_keeps_nothing_loses_nothing_else(browser, app, photo):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script("""
      IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError'); };
    """)
    demo = Demo(context.new_page())
    demo.page.goto(app.url)
    demo.page.wait_for_selector(".sam[data-loaded=yes]")
    demo.open(photo)
    demo.click(LEFT.centre)
    press_next(demo)
    reload(demo)
    demo.open(photo)
    assert names(demo) == []
    assert demo.complaints == []
    context.close()


def test_objects_put_away_by_another_photo_can_be_brought_back(two, tmp_path):
    path = tmp_path / "other.png"
    draw(200, 100, [Disc(50, 50, 30)]).save(path)
    two.open(path)
    assert names(two) == []
    assert "discs.png" in two.text("note-text")
    with two.opened():
        two.part("note-undo").click()
    assert names(two) == ["Object 1", "Object 2"]
    assert is_drawn(two, LEFT)


def test_objects_that_were_saved_are_put_away_without_a_word(two, tmp_path):
    save_all(two, "index_png")
    two.wait_for("() => document.querySelector('.sam').dataset.busy === 'no'")
    path = tmp_path / "other.png"
    draw(200, 100, [Disc(50, 50, 30)]).save(path)
    two.open(path)
    assert not two.part("note").is_visible()
