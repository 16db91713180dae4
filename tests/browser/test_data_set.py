"""Classes, the data set of all photos, and projects, as a user works with them."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tests.browser.object_list import names, press_next, row
from tests.serving import Disc, draw

_VERTICES = """(word) => (
  document.querySelector('[data-part=set-vertices]').innerText.includes(word))"""
_FORGET = """async (name) => {
  const settled = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const database = await settled(indexedDB.open('mobilesam'));
  const table = database.transaction('works', 'readwrite').objectStore('works');
  for (const key of await settled(table.getAllKeys())) {
    if ((await settled(table.get(key))).name === name) await settled(table.delete(key));
  }
  database.close();
}"""
_ARE_OPTIONS_KEPT = """(seed) => new Promise((resolve) => {
  indexedDB.open('mobilesam').onsuccess = ({target: {result: database}}) => {
    const asked = database.transaction('settings').objectStore('settings').get('export');
    asked.onsuccess = () => resolve(asked.result?.options.setSeed === seed);
    database.close();
  };
})"""
SIZES = ((300, 200), (320, 210), (340, 220))


@pytest.fixture
def three(empty_demo, tmp_path):
    """Three photos; in the first and second, two discs of the classes "cat" and "dog"."""
    paths = []
    for width, height in SIZES:
        left, right = Disc(80, 100, 40), Disc(220, 90, 40)
        paths.append(tmp_path / f"photo ({width}).png")
        draw(width, height, [left, right]).save(paths[-1])
    with empty_demo.opened():
        empty_demo.page.locator("input[data-part=file]").set_input_files([str(p) for p in paths])
    empty_demo.wait_for("() => document.querySelector('.sam').dataset.photos === '3'")
    for index in range(2):
        for centre, name in (((80, 100), "cat"), ((220, 90), "dog")):
            empty_demo.click(centre)
            press_next(empty_demo)
            rename(empty_demo, -1, name)
        if index == 0:
            step(empty_demo)
    return empty_demo


def rename(demo, at, name):
    field = row(demo, at).locator("input")
    field.fill(name)
    field.press("Enter")


def step(demo, key="d"):
    with demo.opened():
        demo.page.keyboard.press(key)


def open_dialog(demo):
    demo.page.locator(".sam-head [data-do=set]").click()
    demo.part("set").wait_for(state="visible")


def export(demo, file_format, **options):
    """The file names of a data set, and how to read one."""
    demo.part("set-format").select_option(file_format)
    if options.get("photos"):
        demo.part("set-photos").check()
    for part in ("train", "val", "test"):
        demo.part(f"set-{part}").fill(str(options.get(part, 100 if part == "train" else 0)))
    with demo.page.expect_download() as download:
        demo.page.locator("[data-do=set-export]").click()
    archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    demo.wait_for(
        "() => document.querySelector('[data-part=set-progress]').innerText.startsWith('Saved')"
    )
    return archive


def class_names(demo):
    fields = demo.part("class-list").locator("input")
    return [field.input_value() for field in fields.all()]


def test_names_become_classes_with_fixed_ids_in_one_coco_file(three):
    open_dialog(three)
    assert class_names(three) == ["cat", "dog"]
    archive = export(three, "coco_rle")
    document = json.loads(archive.read("annotations/instances_train.json"))
    assert [(one["id"], one["name"]) for one in document["categories"]] == [(1, "cat"), (2, "dog")]
    images = {one["id"]: one for one in document["images"]}
    assert [one["file_name"] for one in images.values()] == ["photo (300).png", "photo (320).png"]
    assert [one["category_id"] for one in document["annotations"]] == [1, 2, 1, 2]
    for annotation in document["annotations"]:
        mask = coco_mask.decode(annotation["segmentation"])
        image = images[annotation["image_id"]]
        assert mask.shape == (image["height"], image["width"])
        disc = Disc(*((80, 100, 40) if annotation["category_id"] == 1 else (220, 90, 40)))
        assert mask[disc.y, disc.x]
        assert abs(int(mask.sum()) - np.pi * 40**2) < 0.15 * np.pi * 40**2


def test_the_second_format_needs_no_photo_again(three):
    open_dialog(three)
    export(three, "coco_rle")
    three.calls.clear()
    archive = export(three, "yolo", photos=True, train=50, val=50)
    assert not three.sent("open")
    assert not three.sent("masks")
    labels = [name for name in archive.namelist() if name.startswith("labels/")]
    assert len(labels) == 2
    for name in labels:
        lines = archive.read(name).decode().splitlines()
        assert [line.split()[0] for line in lines] == ["0", "1"]
        picture = name.replace("labels/", "images/").replace(".txt", ".png")
        assert Image.open(io.BytesIO(archive.read(picture))).size in SIZES
    assert {name.split("/")[1] for name in labels} == {"train", "val"}


def test_a_photo_that_is_done_is_background_and_others_are_left_out(three):
    step(three)
    three.page.keyboard.press("f")
    open_dialog(three)
    document = json.loads(export(three, "coco_rle").read("annotations/instances_train.json"))
    assert len(document["images"]) == 3
    assert len(document["annotations"]) == 4


def test_a_photo_whose_work_is_gone_is_named_and_the_others_are_exported(three):
    three.page.evaluate(_FORGET, "photo (300).png")  # as another tab can
    open_dialog(three)
    document = json.loads(export(three, "coco_rle").read("annotations/instances_train.json"))
    assert [one["file_name"] for one in document["images"]] == ["photo (320).png"]
    assert "photo (300).png (The work in this photo is gone" in three.text("set-progress")


def test_without_any_object_the_page_says_what_to_do(empty_demo, photo):
    empty_demo.open(photo)
    open_dialog(empty_demo)
    empty_demo.page.locator("[data-do=set-export]").click()
    assert "No photo has objects yet" in empty_demo.text("set-progress")


def test_the_last_class_is_the_default_and_names_are_suggested(three):
    step(three)
    three.click((80, 100))
    press_next(three)
    assert names(three) == ["dog"]
    options = three.page.evaluate(
        "() => [...document.querySelectorAll('#sam-class-names option')].map(({value}) => value)"
    )
    assert options == ["cat", "dog"]
    assert row(three, 0).locator("input").get_attribute("list") == "sam-class-names"


def test_a_class_is_renamed_in_all_photos_and_merged_into_another(three):
    open_dialog(three)
    field = three.part("class-list").locator("input").first
    field.fill("lion")
    field.press("Tab")
    assert class_names(three) == ["lion", "dog"]
    three.page.locator("[data-do=set-close]").click()
    assert names(three) == ["lion", "dog"]
    step(three, "a")
    assert names(three) == ["lion", "dog"]
    open_dialog(three)
    field = three.part("class-list").locator("input").nth(1)
    field.fill("lion")
    field.press("Tab")
    assert class_names(three) == ["lion"]
    three.page.locator("[data-do=set-close]").click()
    assert names(three) == ["lion", "lion"]
    step(three)
    assert names(three) == ["lion", "lion"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("names.txt", "dog\nbird\n"),
        ("data.yaml", "names:\n  0: dog\n  1: bird\n"),
        ("coco.json", '{"categories": [{"id": 7, "name": "bird"}, {"id": 3, "name": "dog"}]}'),
    ],
)
def test_a_class_list_from_a_file_decides_the_ids(three, name, content):
    open_dialog(three)
    three.page.locator("input[data-part=class-file]").set_input_files(
        {"name": name, "mimeType": "text/plain", "buffer": content.encode()}
    )
    three.wait_for("() => document.querySelectorAll('[data-part=class-list] li').length === 3")
    assert class_names(three) == ["dog", "bird", "cat"]
    document = json.loads(export(three, "coco_rle").read("annotations/instances_train.json"))
    assert [one["name"] for one in document["categories"]] == ["dog", "bird", "cat"]
    assert [one["category_id"] for one in document["annotations"]] == [3, 1, 3, 1]


def test_what_was_saved_is_in_sight_in_a_low_window(three):
    three.page.set_viewport_size({"width": 1280, "height": 500})
    open_dialog(three)
    three.part("set-format").select_option("yolo")
    three.part("set").evaluate("(dialog) => dialog.scrollTo(0, 0)")
    with three.page.expect_download():
        three.page.locator("[data-do=set-export]").evaluate("(button) => button.click()")
    three.wait_for(
        "() => /^Saved/.test(document.querySelector('[data-part=set-progress]').innerText)"
    )
    text = three.part("set-progress").bounding_box()
    dialog = three.part("set").bounding_box()
    assert dialog["y"] <= text["y"]
    assert text["y"] + text["height"] <= dialog["y"] + dialog["height"]


def test_the_class_list_survives_a_reload(three):
    three.wait_for(_ARE_OPTIONS_KEPT, "7")
    three.reload()
    three.wait_for_more("ready", 0)
    open_dialog(three)
    assert class_names(three) == ["cat", "dog"]


def test_what_was_chosen_for_exports_survives_a_reload(three):
    open_dialog(three)
    three.part("set-format").select_option("yolo")
    three.part("set-tolerance").select_option("1")
    three.part("set-val").fill("20")
    three.part("set-photos").check()
    three.part("set-seed").fill("7")
    three.part("set-seed").press("Tab")
    three.wait_for(_ARE_OPTIONS_KEPT, "7")
    three.reload()
    three.wait_for_more("ready", 0)
    open_dialog(three)
    values = [three.part(f"set-{name}").input_value() for name in ("format", "tolerance", "seed")]
    assert values == ["yolo", "1", "7"]
    assert three.part("set-val").input_value() == "20"
    assert three.part("set-photos").is_checked()


def test_the_vertices_of_the_open_photo_show_what_a_tolerance_saves(three):
    open_dialog(three)
    three.wait_for(
        "() => /vertices/.test(document.querySelector('[data-part=set-vertices]').innerText)"
    )
    exact = int(three.text("set-vertices").split()[0].replace(",", ""))
    three.part("set-format").select_option("yolo")
    three.part("set-tolerance").select_option("2")
    three.wait_for(
        "() => /become/.test(document.querySelector('[data-part=set-vertices]').innerText)"
    )
    before, *_, after = [
        int(word.strip(".").replace(",", ""))
        for word in three.text("set-vertices").split()
        if word.strip(".").replace(",", "").isdigit()
    ]
    assert before == exact
    assert after < exact / 3


@pytest.mark.parametrize("photos", [True, False])
def test_a_project_opens_in_another_browser(three, new_demo, app, photos, tmp_path):
    open_dialog(three)
    three.part("project-photos").set_checked(photos)
    with three.page.expect_download() as download:
        three.page.locator("[data-do=project-save]").click()
    project = tmp_path / download.value.suggested_filename
    download.value.save_as(project)
    other = new_demo()
    other.wait_for_model()
    other.page.locator("input[data-part=project-file]").set_input_files(str(project))
    other.wait_for("() => document.querySelector('.sam').dataset.photos === '3'")
    if photos:
        other.wait_for_more("ready", 0)
        assert names(other) == ["cat", "dog"]
        other.wait_settled()
        step(other)
        assert names(other) == ["cat", "dog"]
    else:
        other.wait_for_more("failed", 0)
        assert "any more" in other.alert()
    open_dialog(other)
    assert class_names(other) == ["cat", "dog"]


def test_a_file_that_is_no_project_is_refused(demo):
    with demo.refused():
        demo.page.locator("input[data-part=project-file]").set_input_files(
            {"name": "a.mobilesam", "mimeType": "", "buffer": b"no project"}
        )
    assert "no project of this page" in demo.alert()
