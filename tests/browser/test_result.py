"""The result: the cut-out on any background, beside the photo, and as a file of its full size."""

import numpy as np
import pytest
from PIL import Image

from tests.browser.driver import Gate
from tests.browser.object_list import delete, press_next
from tests.browser.result_view import (
    HEIGHT,
    LARGE,
    SMALL,
    WIDTH,
    at,
    cutout_of,
    near,
    on,
    pull,
    save,
    show_result,
    shown,
    wait_full,
)
from tests.serving import BLUE, GROUND, LEFT, RED, YELLOW, Disc, draw, save_rotated

BESIDE = 1200, 800  # ground


def test_there_is_no_result_before_there_is_a_mask(demo, large):
    demo.open(large)
    button = demo.page.locator(".sam-views [data-do=view-result]")
    assert button.is_disabled()
    demo.page.keyboard.press("r")
    assert demo.data("view") == "select"
    demo.click(LARGE.centre)
    button.click()
    assert demo.data("view") == "result"
    assert demo.button("tool-click").is_hidden()


def test_the_object_shows_on_every_background(result, tmp_path):
    place = 1300, 450  # 150 pixels below the centre of the small disc: its edge
    after = {}
    for background in ("none", "#ffffff", "#000000", "blur"):
        on(result, background)
        after[background] = result.pixels("result-after")
        pressed = result.page.locator("[data-background][aria-pressed=true]")
        assert pressed.get_attribute("data-background") == background
        assert near(at(after[background], *LARGE.centre), RED)
    assert at(after["none"], *place)[3] == 0
    assert tuple(at(after["#ffffff"], *place)) == (255, 255, 255, 255)
    assert tuple(at(after["#000000"], *place)) == (0, 0, 0, 255)
    assert near(at(after["blur"], 1650, 850), GROUND)
    assert not near(at(after["blur"], *place), GROUND)
    result.part("result-colour").fill("#2850dc")
    assert near(at(result.pixels("result-after"), *place), BLUE)
    assert result.page.locator("[data-background=colour][data-pressed=true]").is_visible()
    assert result.page.locator("[data-background][aria-pressed=true]").count() == 0


def test_a_background_picture_fills_the_result_and_is_not_uploaded(result, tmp_path):
    Image.new("RGB", (40, 400), BLUE).save(tmp_path / "tall.png")
    posts = []
    result.page.on("request", lambda request: posts.append(request.method == "POST"))
    result.part("result-file").set_input_files(tmp_path / "tall.png")
    result.page.wait_for_selector("[data-background=picture][aria-pressed=true]")
    after = result.pixels("result-after")
    for corner in ((2, 2), (1697, 2), (2, 897), (1697, 897), BESIDE):
        assert near(at(after, *corner), BLUE)
    assert near(at(after, *LARGE.centre), RED)
    assert not any(posts)


def test_a_background_that_is_no_picture_is_refused_and_the_last_one_stays(result, tmp_path):
    on(result, "#000000")
    (tmp_path / "words.png").write_text("no picture")
    with result.refused():
        result.part("result-file").set_input_files(tmp_path / "words.png")
    assert "Choose a JPEG" in result.alert()
    assert result.page.locator("[data-background='#000000'][aria-pressed=true]").is_visible()


def test_the_line_of_the_comparison_moves_by_pointer_and_by_key(result):
    on(result, "#000000")
    result.do("result-compare")
    picture = shown(result)
    assert near(at(picture, 700, 800), GROUND)
    assert at(picture, *BESIDE).max() <= 6
    box = result.part("result-view").bounding_box()
    y = box["y"] + 0.9 * box["height"]
    result.page.mouse.move(box["x"] + box["width"] / 2, y)
    result.page.mouse.down()
    result.page.mouse.move(box["x"] + 0.9 * box["width"], y, steps=4)
    result.page.mouse.up()
    assert abs(float(result.part("result-at").input_value()) - 90) <= 1
    assert near(at(shown(result), *BESIDE), GROUND)
    result.page.keyboard.press("Home")
    assert at(shown(result), *BESIDE).max() <= 6
    result.page.keyboard.press("ArrowRight")
    assert result.part("result-at").input_value() == "0.5"


def test_the_file_is_what_shows_in_the_size_of_the_photo(result, large):
    photo = np.array(Image.open(large))
    result.do("result-edges")
    wait_full(result)
    name, plain = save(result)
    assert name == "two discs-picture.png"
    assert plain.shape == (HEIGHT, WIDTH, 4)
    mask = plain[..., 3] == 255
    assert set(np.unique(plain[..., 3])) == {0, 255}
    assert np.array_equal(plain[mask][:, :3], photo[mask])
    assert np.mean(mask ^ LARGE.mask((HEIGHT, WIDTH))) < 0.02
    on(result, "#ffffff")
    white = save(result)[1]
    assert (white[~mask] == 255).all()
    assert np.array_equal(white[mask][:, :3], photo[mask])


def test_edges_are_soft_by_default_and_crop_is_the_cut_out_file(result):
    whole = save(result)[1]
    result.do("result-crop")
    name, cropped = save(result)
    assert name == "two discs-cutout.png"
    assert np.array_equal(cropped, cutout_of(result))
    rows, columns = np.nonzero(whole[..., 3])
    crop = whole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert np.array_equal(crop[..., 3], cropped[..., 3])
    assert len(np.unique(cropped[..., 3])) > 4
    result.do("result-edges")
    result.page.wait_for_selector("[data-part=result-view][data-full=yes]")
    hard = save(result)[1]
    assert set(np.unique(hard[..., 3])) == {0, 255}
    assert np.array_equal(cutout_of(result), hard)


def test_one_object_or_all_of_them(demo, large):
    demo.open(large)
    demo.click(SMALL.centre)
    press_next(demo)
    demo.click(LARGE.centre)
    show_result(demo)
    assert at(demo.pixels("result-after"), *SMALL.centre)[3] == 0
    demo.do("result-all")
    wait_full(demo)
    after = demo.pixels("result-after")
    assert near(at(after, *SMALL.centre), YELLOW)
    assert near(at(after, *LARGE.centre), RED)
    alpha = save(demo)[1][..., 3]
    assert alpha[SMALL.y, SMALL.x] == alpha[LARGE.y, LARGE.x] == 255
    assert alpha[BESIDE[::-1]] == 0


def test_kept_objects_show_while_no_other_is_begun(demo, large):
    demo.open(large)
    demo.click(SMALL.centre)
    press_next(demo)
    show_result(demo)
    assert near(at(demo.pixels("result-after"), *SMALL.centre), YELLOW)


def test_escape_returns_and_the_mask_and_the_focus_are_there(result):
    result.page.keyboard.press("Escape")
    assert result.data("view") == "select"
    assert result.page.evaluate("() => document.activeElement.dataset.part") == "marks"
    assert result.mask().any()
    result.click((300, 300), "right")
    assert result.data("view") == "select"


def test_delete_does_nothing_in_the_result(result):
    result.page.keyboard.press("Delete")
    result.page.keyboard.press("Backspace")
    assert result.data("view") == "result"
    assert result.data("objects") == "1"
    result.page.keyboard.press("Escape")
    assert result.mask().any()


def test_crop_shows_a_part_of_the_same_picture(result, tmp_path):
    colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colours[..., 0] = np.arange(WIDTH) // 8
    colours[..., 2] = np.arange(HEIGHT)[:, None] // 4
    Image.fromarray(colours).save(tmp_path / "colours.png")
    result.part("result-file").set_input_files(tmp_path / "colours.png")
    result.page.wait_for_selector("[data-background=picture][aria-pressed=true]")
    pull(result, 300, 50)
    whole = save(result)[1]
    result.do("result-crop")
    cropped = save(result)[1]
    height, width = cropped.shape[:2]
    assert abs(width - 600) < 20
    assert abs(height - 600) < 20
    x, y = round(800 - width / 2), round(500 - height / 2)
    differences = [
        np.abs(whole[y + j :, x + i :][:height, :width].astype(int) - cropped).max()
        for i in range(-8, 9)
        for j in range(-8, 9)
    ]
    assert min(differences) <= 2  # the browser scales both
    result.do("result-crop")
    assert np.array_equal(save(result)[1], whole)


def test_the_result_follows_the_mask_and_goes_with_it(result):
    with result.answered():
        result.candidates().nth((result.pressed()[0] + 1) % 3).click()
    wait_full(result)
    first = save(result)[1]
    with result.answered():
        result.page.keyboard.press("Control+z")  # the candidate was chosen here
    wait_full(result)
    assert not np.array_equal(save(result)[1], first)
    delete(result, 0)
    assert result.data("view") == "select"
    result.page.keyboard.press("Control+z")
    assert result.count("objects") == 1


def test_the_file_of_a_sideways_photo_is_upright(demo, tmp_path):
    demo.open(save_rotated(draw(400, 240, [Disc(100, 120, 60)]), tmp_path / "held.jpg"))
    demo.click((100, 120))
    show_result(demo)
    picture = save(demo)[1]
    assert picture.shape == (240, 400, 4)
    assert picture[120, 100, 3] == 255
    assert near(picture[120, 100], RED)


def test_a_photo_that_the_browser_has_only_as_a_smaller_copy_is_saved_in_full(demo, tmp_path):
    disc = Disc(700, 800, 400)
    draw(2400, 1600, [disc]).save(tmp_path / "scan.tif")
    demo.open(tmp_path / "scan.tif")
    demo.click(disc.centre)
    show_result(demo)
    on(demo, "#000000")
    picture = save(demo)[1]
    assert picture.shape == (1600, 2400, 4)
    assert near(picture[800, 400], RED)


def test_a_cut_out_that_cannot_be_made_is_one_sentence(demo, large):
    demo.open(large)
    demo.click(LARGE.centre)
    reply = {"ok": False, "error": "The disk is full."}
    Gate(demo, lambda _gate, route, _query: route.fulfill(json=reply) or True, "export")
    with demo.refused():
        demo.page.keyboard.press("r")
    assert demo.data("view") == "result"
    assert near(at(demo.pixels("result-after"), *LARGE.centre), RED)


def test_a_double_click_on_a_download_asks_once(demo):
    demo.click((90, 100))
    with demo.page.expect_download():
        demo.page.locator(".sam-panel [data-do=cutout]").dblclick()
    demo.settle()
    assert len(demo.sent("export")) == 1


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390)])
def test_the_result_and_its_controls_fit_on_a_phone(phone, width, height):
    phone.page.set_viewport_size({"width": width, "height": height})
    phone.click(LEFT.centre)
    phone.page.locator("[data-do=view-result]:visible").first.tap()
    wait_full(phone)
    phone.page.locator("[data-background='#ffffff']").tap()
    view = phone.part("result-view").bounding_box()
    assert view["x"] >= 0
    assert view["x"] + view["width"] <= width
    assert phone.page.evaluate("() => document.documentElement.scrollWidth") <= width
    for command in ("view-select", "result-crop", "result-save"):
        box = phone.page.locator(f".sam-bar [data-do={command}]").bounding_box()
        assert box["height"] >= 44
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
    phone.page.locator(".sam-views [data-do=view-select]").tap()
    assert phone.data("view") == "select"
