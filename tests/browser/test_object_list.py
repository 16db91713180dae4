"""Several things in one photo: kept, named, taken up again, deleted, saved, loaded, restored."""

import io
import json
import time

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mobilesam.web.kept import MAX_KEPT
from tests.browser.driver import Visitor
from tests.serving import LEFT, RIGHT, Disc, draw, iou

_ROWS = """() => [...document.querySelectorAll('.sam-object')].map((row) => ({
  name: row.querySelector('input').value,
  current: row.hasAttribute('aria-current'),
  visible: row.dataset.visible === 'yes',
  colour: getComputedStyle(row.querySelector('.sam-swatch')).backgroundColor,
}))"""

_KEPT = """() => new Promise((resolve) => {
  const opening = indexedDB.open('mobilesam');
  opening.onsuccess = () => {
    const counting = opening.result.transaction('kept').objectStore('kept').count();
    counting.onsuccess = () => { opening.result.close(); resolve(counting.result); };
  };
})"""


def rows(visitor):
    return visitor.page.evaluate(_ROWS)


def names(visitor):
    return [row["name"] for row in rows(visitor)]


def press_next(visitor):
    visitor.page.locator(".sam-panel [data-do=next]").click()


def row(visitor, at):
    return visitor.page.locator(".sam-object").nth(at)


def take_up(visitor, at):
    with visitor.answered():
        row(visitor, at).locator(".sam-swatch").click()


def delete(visitor, at):
    row(visitor, at).get_by_label("Delete").click()


def layer_at(visitor, disc):
    """The pixel of the layer of kept objects in the middle of a disc."""
    pixels = visitor.pixels("layer")
    height, width = pixels.shape[:2]
    return pixels[round((disc.y + 0.5) * height / 200), round((disc.x + 0.5) * width / 300)]


def is_drawn(visitor, disc):
    return layer_at(visitor, disc)[3] > 0


def save_all(visitor, kind):
    visitor.part("format").select_option(kind)
    return visitor.download("save-all")


def index_picture(visitor):
    return np.array(Image.open(io.BytesIO(save_all(visitor, "index_png")[1])))


def coco_masks(data):
    document = json.loads(data)
    categories = {one["id"]: one["name"] for one in document["categories"]}
    return {
        categories[one["category_id"]]: coco_mask.decode(one["segmentation"]) == 1
        for one in document["annotations"]
    }


def disc_mask(disc):
    y, x = np.mgrid[:200, :300]
    return (x - disc.x) ** 2 + (y - disc.y) ** 2 <= disc.radius**2


@pytest.fixture
def two(at_work):
    """A visitor who has kept both discs, and begun a third object."""
    at_work.click(LEFT.centre)
    press_next(at_work)
    at_work.click(RIGHT.centre)
    press_next(at_work)
    return at_work


def test_a_kept_object_stays_in_its_colour_and_the_next_click_begins_another(at_work):
    assert not at_work.page.locator(".sam-panel [data-do=next]").is_enabled()
    at_work.click(LEFT.centre)
    press_next(at_work)
    assert not at_work.mask().any()
    assert is_drawn(at_work, LEFT)
    assert not is_drawn(at_work, RIGHT)
    swatch = rows(at_work)[0]["colour"]
    red, green, blue, _ = layer_at(at_work, LEFT)
    shown = [int(part) for part in swatch[4:-1].split(",")]
    assert np.abs(np.array(shown) - [red, green, blue]).max() <= 3
    at_work.click(RIGHT.centre)
    assert len(at_work.histories()[-1]) == 1
    assert names(at_work) == ["Object 1", "Object 2"]
    assert [one["current"] for one in rows(at_work)] == [False, True]
    assert len({one["colour"] for one in rows(at_work)}) == 2


def test_the_key_n_waits_for_the_answer_of_the_last_click(at_work):
    at_work.page.evaluate("() => document.activeElement.blur()")
    with at_work.answered():
        at_work.press(LEFT.centre)
        at_work.page.keyboard.press("n")
    at_work.wait_for("() => !document.querySelector('.sam-object[aria-current]')")
    assert names(at_work) == ["Object 1"]
    assert is_drawn(at_work, LEFT)


def test_an_object_taken_up_again_has_its_clicks_and_their_undo(two):
    assert not two.button("undo").is_enabled()
    take_up(two, 0)
    assert [one["current"] for one in rows(two)] == [True, False]
    assert two.mask()[LEFT.y, LEFT.x]
    assert not is_drawn(two, LEFT)
    assert is_drawn(two, RIGHT)
    two.click((95, 110))
    assert [step["x"] for step in two.histories()[-1]] == [LEFT.x, 95]
    with two.answered():
        two.do("undo")
    assert [step["x"] for step in two.histories()[-1]] == [LEFT.x]
    take_up(two, 1)
    assert [step["x"] for step in two.histories()[-1]] == [RIGHT.x]
    assert names(two) == ["Object 1", "Object 2"]


def test_a_kept_object_that_is_emptied_and_left_is_as_it_was(two):
    take_up(two, 0)
    two.do("clear")
    assert not two.mask().any()
    take_up(two, 1)
    assert names(two) == ["Object 1", "Object 2"]
    assert is_drawn(two, LEFT)


def test_the_key_e_takes_up_the_object_under_the_pointer(two):
    two.page.mouse.move(*two.place(*RIGHT.centre))
    with two.answered():
        two.page.keyboard.press("e")
    assert [one["current"] for one in rows(two)] == [False, True]


def test_objects_survive_undo_redo_and_clear_of_another(two):
    two.click((20, 20))
    two.do("undo")
    two.do("redo")
    two.do("clear")
    assert names(two)[:2] == ["Object 1", "Object 2"]
    assert is_drawn(two, LEFT)
    assert is_drawn(two, RIGHT)


def test_a_name_can_be_changed_but_not_be_empty(two):
    field = row(two, 0).locator("input")
    field.fill("red disc")
    field.press("Enter")
    assert set(coco_masks(save_all(two, "coco_rle")[1])) == {"red disc", "Object 2"}
    field = row(two, 1).locator("input")
    field.fill("   ")
    field.press("Enter")
    assert names(two) == ["red disc", "Object 2"]


def test_a_hidden_object_is_not_drawn_and_is_saved_all_the_same(two):
    row(two, 0).locator(".sam-eye").click()
    assert not is_drawn(two, LEFT)
    assert is_drawn(two, RIGHT)
    assert set(np.unique(index_picture(two))) == {0, 1, 2}
    row(two, 0).locator(".sam-eye").click()
    assert is_drawn(two, LEFT)


def test_a_deleted_object_is_gone_until_undo_brings_it_back_to_its_place(two):
    delete(two, 0)
    assert names(two) == ["Object 2"]
    assert not is_drawn(two, LEFT)
    assert "Object 1" in two.text("note-text")
    two.part("note-undo").click()
    assert names(two) == ["Object 1", "Object 2"]
    assert is_drawn(two, LEFT)
    assert not two.part("note").is_visible()


def test_by_keyboard_an_object_is_deleted_brought_back_and_the_focus_stays_near(two):
    focused = "() => document.activeElement.getAttribute('aria-label')"
    row(two, 0).get_by_label("Delete Object 1").focus()
    two.page.keyboard.press("Enter")
    assert names(two) == ["Object 2"]
    assert two.page.evaluate(focused) == "Delete Object 2"
    two.page.keyboard.press("Control+z")
    assert names(two) == ["Object 1", "Object 2"]
    assert not two.part("note").is_visible()
    for _ in range(2):
        row(two, 0).locator(".sam-remove").focus()
        two.page.keyboard.press("Enter")
    assert names(two) == []
    assert two.page.evaluate("() => document.activeElement.dataset.part") == "marks"


def test_the_object_at_work_can_be_deleted_and_brought_back_too(at_work):
    at_work.click(LEFT.centre)
    delete(at_work, 0)
    assert not at_work.mask().any()
    assert names(at_work) == []
    at_work.click(RIGHT.centre)
    assert names(at_work) == ["Object 2"]
    at_work.part("note-undo").click()
    assert names(at_work) == ["Object 1", "Object 2"]
    take_up(at_work, 0)
    assert at_work.mask()[LEFT.y, LEFT.x]


def test_the_index_picture_has_every_object_also_the_one_at_work(at_work):
    at_work.click(LEFT.centre)
    press_next(at_work)
    at_work.click(RIGHT.centre)
    name, data = save_all(at_work, "index_png")
    pixels = np.array(Image.open(io.BytesIO(data)))
    assert name == "discs-index.png"
    assert pixels.shape == (200, 300)
    assert iou(pixels == 1, disc_mask(LEFT)) > 0.9
    assert iou(pixels == 2, disc_mask(RIGHT)) > 0.8


def test_a_coco_file_holds_the_masks_that_the_page_showed(at_work):
    at_work.click(LEFT.centre)
    shown = {"Object 1": at_work.mask()}
    press_next(at_work)
    at_work.click(RIGHT.centre)
    shown["Object 2"] = at_work.mask()
    saved = coco_masks(save_all(at_work, "coco_rle")[1])
    assert saved.keys() == shown.keys()
    for name, mask in shown.items():
        assert np.array_equal(saved[name], mask)


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        ("mask_png", "-mask.png"),
        ("cutouts_zip", "-cutouts.zip"),
        ("coco_polygons", ".json"),
        ("yolo", "-yolo.zip"),
        ("labelme", "-labelme.json"),
    ],
)
def test_every_file_that_is_offered_can_be_saved(two, kind, ending):
    name, data = save_all(two, kind)
    assert name.endswith(ending)
    assert len(data) > 100
    assert two.alert() == ""


def load(visitor, data, name="masks.json"):
    visitor.page.locator("input[data-part=masks-file]").set_input_files(
        {"name": name, "mimeType": "application/json", "buffer": data}
    )


def wait_for_objects(visitor, count):
    visitor.wait_for("(n) => Number(document.querySelector('.sam').dataset.objects) === n", count)


@pytest.mark.parametrize("kind", ["coco_rle", "labelme"])
def test_a_file_that_was_saved_gives_the_same_masks_to_another_visitor(two, visit, photo, kind):
    saved = save_all(two, kind)[1]
    before = coco_masks(save_all(two, "coco_rle")[1])
    other = visit()
    other.open(photo)
    load(other, saved)
    wait_for_objects(other, 2)
    assert names(other) == ["Object 1", "Object 2"]
    after = coco_masks(save_all(other, "coco_rle")[1])
    for name, mask in before.items():
        assert np.array_equal(after[name], mask)
    take_up(other, 0)
    assert np.array_equal(other.mask(), before["Object 1"])
    other.click((95, 110))
    assert [step["type"] for step in other.histories()[-1]] == ["mask", "point"]


def test_a_file_of_masks_can_be_dropped_and_a_bad_one_loses_nothing(two):
    drop = """(text) => {
      const data = new DataTransfer();
      data.items.add(new File([text], 'masks.json', {type: 'application/json'}));
      document.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true}));
    }"""
    with two.refused():
        two.page.evaluate(drop, '{"shapes": "none"}')
    assert "labelme" in two.alert()
    assert names(two) == ["Object 1", "Object 2"]
    shape = {"label": "corner", "points": [[0, 0], [30, 0], [30, 30]], "shape_type": "polygon"}
    two.page.evaluate(drop, json.dumps({"shapes": [shape]}))
    wait_for_objects(two, 3)
    assert names(two)[2] == "corner"
    assert two.alert() == ""


def test_one_object_too_many_is_refused_with_a_sentence_and_the_others_stay(two):
    shape = {"label": "spot", "shape_type": "rectangle", "points": [[1, 1], [9, 9]]}
    load(two, json.dumps({"shapes": [shape] * (MAX_KEPT - 2)}).encode())
    wait_for_objects(two, MAX_KEPT)
    with two.refused():
        load(two, json.dumps({"shapes": [shape]}).encode())
    assert f"takes {MAX_KEPT} objects" in two.alert()
    assert len(names(two)) == MAX_KEPT
    delete(two, 0)
    load(two, json.dumps({"shapes": [shape]}).encode())
    wait_for_objects(two, MAX_KEPT)
    assert names(two)[0] == "Object 2"


def test_masks_without_a_photo_are_refused_with_a_sentence(visitor):
    with visitor.refused():
        load(visitor, b"{}")
    assert visitor.alert().startswith("Open the photo first")


def overlapping():
    shapes = [
        {"label": name, "points": [[x, 50], [x + 99, 149]], "shape_type": "rectangle", **more}
        for name, x, more in [("a", 50, {"predicted_iou": 0.9}), ("b", 100, {"predicted_iou": 0.5})]
    ]
    return json.dumps({"shapes": shapes}).encode()


def test_without_overlaps_the_page_shows_and_saves_the_same(at_work):
    load(at_work, overlapping())
    wait_for_objects(at_work, 2)
    shared = Disc(125, 100, 1)
    masks = coco_masks(save_all(at_work, "coco_rle")[1])
    assert masks["a"][100, 125]
    assert masks["b"][100, 125]
    both = layer_at(at_work, shared)
    at_work.part("exclusive").check()
    masks = coco_masks(save_all(at_work, "coco_rle")[1])
    assert not masks["a"][100, 125]
    assert masks["b"][100, 125]
    later = layer_at(at_work, shared)
    assert np.array_equal(later, layer_at(at_work, Disc(180, 100, 1)))
    at_work.part("winner").select_option("predicted_iou")
    masks = coco_masks(save_all(at_work, "coco_rle")[1])
    assert masks["a"][100, 125]
    assert not masks["b"][100, 125]
    best = layer_at(at_work, shared)
    assert np.array_equal(best, layer_at(at_work, Disc(70, 100, 1)))
    assert len({tuple(one) for one in (both, later, best)}) == 3


def reload(visitor):
    visitor.page.wait_for_timeout(600)  # what is kept is written a moment after the last change
    visitor.page.reload()
    visitor.page.wait_for_selector(".sam[data-loaded=yes]")


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
    assert two.histories()[-1] == [{"type": "point", "x": 20, "y": 20, "label": 1}]
    assert two.part("exclusive").is_checked()
    assert two.part("winner").input_value() == "predicted_iou"
    after = coco_masks(save_all(two, "coco_rle")[1])
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[name], mask) for name, mask in before.items())
    two.do("undo")
    assert not two.mask().any()
    take_up(two, 0)
    assert [step["x"] for step in two.histories()[-1]] == [LEFT.x]


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
    copy = Visitor(opened.value)
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
    visitor = Visitor(context.new_page())
    visitor.page.goto(app.url)
    visitor.page.wait_for_selector(".sam[data-loaded=yes]")
    visitor.open(photo)
    visitor.click(LEFT.centre)
    press_next(visitor)
    reload(visitor)
    visitor.open(photo)
    assert names(visitor) == []
    assert visitor.complaints == []
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


def test_fingers_find_everything_on_a_narrow_screen(visit, photo):
    visitor = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    visitor.open(photo)
    for disc in (LEFT, RIGHT):
        with visitor.answered():
            visitor.page.touchscreen.tap(*visitor.place(*disc.centre))
        visitor.page.locator(".sam-bar [data-do=next]").tap()
    assert names(visitor) == ["Object 1", "Object 2"]
    overflow = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert visitor.page.evaluate(overflow) == 0
    panel = visitor.page.locator(".sam-panel").bounding_box()
    for control in visitor.page.locator(".sam-object button, .sam-panel .sam-select").all():
        box = control.bounding_box()
        assert box["height"] >= 40
        assert box["x"] + box["width"] <= panel["x"] + panel["width"]
    with visitor.answered():
        row(visitor, 0).locator(".sam-swatch").tap()
    assert visitor.mask()[LEFT.y, LEFT.x]
