"""The result: the cut-out on any background, beside the photo, and as a file of its full size."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser.driver import Gate
from tests.browser.object_list import delete, press_next
from tests.serving import BLUE, GROUND, LEFT, RED, YELLOW, Disc, draw, save_rotated

LARGE, SMALL = Disc(500, 450, 300), Disc(1300, 300, 150, YELLOW)
WIDTH, HEIGHT = 1700, 900
BESIDE = 1200, 800  # ground
MOVES_APART_MS = 700  # moves that follow sooner are undone together
CLIPBOARD = """async () => {
  const [item] = await navigator.clipboard.read();
  const bytes = new Uint8Array(await (await item.getType('image/png')).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}"""


def as_array(data):
    return np.array(Image.open(io.BytesIO(data)))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A photo larger than what shows of it."""
    path = tmp_path_factory.mktemp("photos") / "two discs.png"
    draw(WIDTH, HEIGHT, [LARGE, SMALL]).save(path)
    return path


@pytest.fixture
def result(demo, large):
    """The result of a click on the large disc."""
    demo.open(large)
    demo.click(LARGE.centre)
    show_result(demo)
    return demo


def show_result(demo):
    demo.page.keyboard.press("r")
    wait_full(demo)


def wait_full(demo):
    """Waits until the cut-out at its own size shows."""
    demo.page.wait_for_selector(".sam[data-view=result] [data-part=result-view][data-full=yes]")


def on(demo, background):
    demo.page.locator(f"[data-background='{background}']").click()


def shown(demo):
    """The result as it is on the screen, (H, W, 3)."""
    return as_array(demo.part("result-view").screenshot())[..., :3].astype(int)


def at(pixels, x, y):
    """The pixel of a result of any size, at this pixel of the photo."""
    height, width = pixels.shape[:2]
    return pixels[int(y * height / HEIGHT), int(x * width / WIDTH)]


def save(demo, command="result-save"):
    name, data = demo.download(command)
    return name, as_array(data)


def near(pixel, colour):
    return np.abs(np.array(pixel[:3], int) - colour).max() <= 6


def cutout_of(demo):
    """The cut-out file of the panel."""
    with demo.page.expect_download() as saved:
        demo.page.locator(".sam-panel [data-do=cutout]").click()
    return as_array(Path(saved.value.path()).read_bytes())


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


def test_the_object_moves_and_scales_on_another_background(result):
    result.do("result-edges")
    on(result, "#ffffff")
    wait_full(result)
    box = result.part("result-view").bounding_box()
    scale = box["width"] / WIDTH
    x, y = box["x"] + LARGE.x * scale, box["y"] + LARGE.y * scale
    result.page.mouse.move(x, y)
    result.page.mouse.down()
    result.page.mouse.move(x + 500 * scale, y, steps=5)
    result.page.mouse.up()
    moved = save(result)[1]
    rows, columns = np.nonzero(moved[..., 1] < 200)
    assert abs(columns.mean() - 1000) < 5
    assert abs(rows.mean() - LARGE.y) < 5
    before = np.ptp(columns)
    result.part("result-size").fill("50")
    rows, columns = np.nonzero(save(result)[1][..., 1] < 200)
    assert abs(np.ptp(columns) / before - 0.5) < 0.02
    assert abs(columns.mean() - 1000) < 5
    result.page.mouse.move(x, y)
    result.page.mouse.wheel(0, -120)
    result.wait_for("() => document.querySelector('[data-part=result-size]').value === '64'")
    result.part("result-view").focus()
    result.page.keyboard.press("Shift+ArrowLeft")
    columns = np.nonzero(save(result)[1][..., 1] < 200)[1]
    assert abs(columns.mean() - 830) < 5
    on(result, "none")  # where it was in the photo
    assert save(result)[1][LARGE.y, LARGE.x - 290, 3] == 255


def test_escape_returns_and_the_mask_and_the_focus_are_there(result):
    result.page.keyboard.press("Escape")
    assert result.data("view") == "select"
    assert result.page.evaluate("() => document.activeElement.dataset.part") == "marks"
    assert result.mask().any()
    result.click((300, 300), "right")
    assert result.data("view") == "select"


def red_centre(demo):
    """The middle of the object in the saved result, whose background is white: (x, y)."""
    rows, columns = np.nonzero(save(demo)[1][..., 1] < 200)
    return columns.mean(), rows.mean()


def pull(demo, dx, dy):
    """Drags the object in the result by a number of the photo's pixels."""
    box = demo.part("result-view").bounding_box()
    scale = box["width"] / WIDTH
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    demo.page.mouse.move(x, y)
    demo.page.mouse.down()
    demo.page.mouse.move(x + dx * scale, y + dy * scale, steps=4)
    demo.page.mouse.up()
    demo.page.wait_for_timeout(MOVES_APART_MS)


def test_moves_are_undone_and_done_again_and_the_mask_stays(result):
    on(result, "#ffffff")
    interactions = result.interactions()[-1]
    pull(result, 300, 0)
    pull(result, 0, 100)
    result.part("result-size").fill("50")
    places = [red_centre(result)]
    for keys in ["Control+z"] * 3 + ["Control+Shift+z", "Control+y"]:
        result.page.keyboard.press(keys)
        places.append(red_centre(result))
    wanted = [(800, 550), (800, 550), (800, 450), (500, 450), (800, 450), (800, 550)]
    for place, goal in zip(places, wanted, strict=True):
        assert place == pytest.approx(goal, abs=6)
    assert result.part("result-size").input_value() == "100"
    for _ in range(3):
        result.page.keyboard.press("Control+z")
    result.page.keyboard.press("Control+z")  # there is nothing left to undo in this view
    assert result.data("view") == "result"
    assert red_centre(result) == pytest.approx(LARGE.centre, abs=6)
    result.page.keyboard.press("Escape")
    assert result.interactions()[-1] == interactions
    result.page.keyboard.press("Control+z")
    assert not result.mask().any()


def test_a_drag_and_turns_of_the_wheel_are_one_step_each(result):
    on(result, "#000000")
    size = result.part("result-size")
    box = result.part("result-view").bounding_box()
    result.page.mouse.move(box["x"] + 40, box["y"] + 40)
    for _ in range(4):
        result.page.mouse.wheel(0, -60)
    result.wait_for("() => document.querySelector('[data-part=result-size]').value === '162'")
    result.page.keyboard.press("Control+z")
    assert size.input_value() == "100"


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


def test_another_photo_has_another_background_picture_and_the_object_in_its_place(result, tmp_path):
    Image.new("RGB", (40, 40), BLUE).save(tmp_path / "blue.png")
    result.part("result-file").set_input_files(tmp_path / "blue.png")
    result.page.wait_for_selector("[data-background=picture][aria-pressed=true]")
    pull(result, 300, 50)
    draw(WIDTH, HEIGHT, [LARGE]).save(tmp_path / "one disc.png")
    result.open(tmp_path / "one disc.png")
    result.click(LARGE.centre)
    show_result(result)
    assert result.page.locator("[data-background=none][aria-pressed=true]").is_visible()
    on(result, "#ffffff")
    assert red_centre(result) == pytest.approx(LARGE.centre, abs=6)
    result.page.keyboard.press("Control+z")
    assert result.data("view") == "result"


def test_the_size_can_be_changed_only_where_the_object_can_be_moved(result):
    size = result.part("result-size")
    assert size.is_disabled()
    box = size.bounding_box()
    on(result, "#ffffff")
    assert size.is_enabled()
    assert size.bounding_box() == box
    view = result.part("result-view").bounding_box()
    assert box["y"] >= view["y"] + view["height"]


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


# -- copy, share and drag ------------------------------------------------------------------------


@pytest.fixture
def copying(new_demo, large):
    demo = new_demo(permissions=["clipboard-read", "clipboard-write"])
    demo.open(large)
    demo.click(LARGE.centre)
    return demo


def copied(demo):
    demo.wait_for("() => document.querySelector('[data-part=alert-text]').textContent")
    text = demo.alert()
    demo.page.locator("[data-do=dismiss]").click()
    return text, as_array(base64.b64decode(demo.page.evaluate(CLIPBOARD)))


def assert_same_picture(one, other):
    assert one.shape == other.shape
    assert np.array_equal(one[..., 3], other[..., 3])
    # The browser stores colours multiplied by alpha.
    difference = np.abs(one[..., :3].astype(int) - other[..., :3]) * (one[..., 3:] / 255)
    assert difference.max() <= 1.5


def test_the_cut_out_is_copied_by_key_and_by_button_as_it_is_downloaded(copying):
    copying.page.keyboard.press("Control+c")
    text, picture = copied(copying)
    assert text == "Cut-out copied."
    cutout = cutout_of(copying)
    assert len(np.unique(cutout[..., 3])) > 4
    assert_same_picture(picture, cutout)
    copying.page.evaluate("() => navigator.clipboard.writeText('other')")
    copying.page.locator(".sam-panel [data-do=copy]").click()
    assert_same_picture(copied(copying)[1], cutout)


def test_the_result_is_copied_as_it_shows(copying):
    show_result(copying)
    on(copying, "blur")
    copying.page.locator(".sam-finish [data-do=copy]").click()
    text, picture = copied(copying)
    assert text == "Picture copied."
    saved = save(copying)[1]
    assert picture.shape[:2] == (HEIGHT, WIDTH)
    assert (saved[..., 3] == 255).all()  # the browser leaves it out of what it copies
    assert np.array_equal(picture[..., :3], saved[..., :3])


def test_selected_text_and_fields_are_copied_by_the_browser(copying):
    copying.page.evaluate(
        "() => getSelection().selectAllChildren(document.querySelector('[data-part=verdict]'))"
    )
    copying.page.keyboard.press("Control+c")
    copying.settle()
    assert "Quality" in copying.page.evaluate("() => navigator.clipboard.readText()")
    assert copying.sent("export") == []


def test_what_cannot_be_copied_is_one_sentence(copying):
    copying.page.evaluate(
        "() => { navigator.clipboard.write = () => Promise.reject(new Error('no')); }"
    )
    with copying.refused():
        copying.page.keyboard.press("Control+c")
    assert "did not let this page copy" in copying.alert()
    with copying.refused():
        copying.page.keyboard.press("Escape")  # the sentence
        copying.page.keyboard.press("Escape")  # the mask
        copying.page.keyboard.press("Control+c")
    assert "There is no mask yet" in copying.alert()


def test_the_result_is_shared_where_the_browser_can(copying):
    assert copying.page.locator("[data-do=share]").is_hidden()
    copying.page.add_init_script(
        "navigator.canShare = () => true;"
        "navigator.share = async ({files: [file]}) => { window.shared = [file.name, file.type,"
        " file.size]; };"
    )
    copying.page.wait_for_timeout(400)
    copying.reload()
    copying.wait_for_more("ready", 0)
    copying.wait_for_objects(1)
    show_result(copying)
    copying.page.locator("[data-do=share]").click()
    copying.wait_for("() => window.shared")
    name, kind, size = copying.page.evaluate("() => window.shared")
    assert (name, kind) == ("two discs-picture.png", "image/png")
    assert size == len(copying.download("result-save")[1])


def test_the_cut_out_can_be_dragged_out_of_the_page(result):
    result.page.evaluate(
        "() => document.addEventListener('dragstart', ({dataTransfer}) => { window.dragged ="
        " ['DownloadURL', 'text/uri-list'].map((type) => dataTransfer.getData(type)); })"
    )
    box = result.part("result-view").bounding_box()
    x, y = box["x"] + box["width"] / 3, box["y"] + box["height"] / 2
    result.page.mouse.move(x, y)
    result.page.mouse.down()
    result.page.mouse.move(x + 40, y + 40, steps=5)
    result.wait_for("() => window.dragged")
    file, url = result.page.evaluate("() => window.dragged")
    result.page.mouse.up()
    assert file == f"image/png:two discs-cutout.png:{url}"
    assert np.array_equal(as_array(result.page.request.get(url).body()), cutout_of(result))


# -- small screens -------------------------------------------------------------------------------


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


def test_two_fingers_scale_the_object_and_one_moves_it(phone):
    phone.click(LEFT.centre)
    phone.page.locator("[data-do=view-result]:visible").first.tap()
    wait_full(phone)
    phone.page.locator("[data-background='#000000']").tap()
    box = phone.part("result-view").bounding_box()
    session = phone.page.context.new_cdp_session(phone.page)

    def touch(kind, *points):
        places = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch("touchStart", (x - 20, y), (x + 20, y))
    touch("touchMove", (x - 40, y), (x + 40, y))
    touch("touchEnd")
    phone.wait_for("() => document.querySelector('[data-part=result-size]').value === '200'")
    touch("touchStart", (x, y))
    touch("touchMove", (x, y - 0.25 * box["height"]))
    touch("touchEnd")
    phone.settle()
    rows = np.nonzero(phone.pixels("result-after")[..., 0] > 150)[0]
    assert rows.max() < 170  # of 200, where its lower edge was at 200


def test_a_move_by_a_finger_is_undone_by_a_button(phone):
    phone.click(LEFT.centre)
    phone.page.locator("[data-do=view-result]:visible").first.tap()
    wait_full(phone)
    undo = phone.page.locator(".sam-history [data-do=undo]")
    assert undo.is_disabled()
    phone.page.locator("[data-background='#000000']").tap()
    phone.part("result-size").fill("200")
    undo.tap()
    assert phone.part("result-size").input_value() == "100"
    assert undo.is_disabled()
    assert phone.data("view") == "result"
