"""The comparison: photo and result on either side of a slider, on any background, and its file."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.serving import BLUE, GROUND, Disc, draw, save_rotated

THING = Disc(500, 450, 300)
WIDTH, HEIGHT = 1700, 900


def as_array(data):
    return np.array(Image.open(io.BytesIO(data)))


@pytest.fixture
def large(tmp_path):
    """A photo larger than what shows of it in the comparison."""
    draw(WIDTH, HEIGHT, [THING, Disc(1300, 300, 150)]).save(tmp_path / "two discs.png")
    return tmp_path / "two discs.png"


@pytest.fixture
def comparing(visitor, large):
    visitor.open(large)
    visitor.click(THING.centre)
    visitor.do("compare")
    return visitor


def on(visitor, background):
    visitor.page.locator(f"[data-background={background}]").click()


def shown(visitor):
    """The comparison as it is on the screen, (H, W, 3)."""
    return as_array(visitor.part("compare-view").screenshot())[..., :3].astype(int)


def at(pixels, x, y):
    """The pixel at a place of the photo, of a picture of any size."""
    height, width = pixels.shape[:2]
    return pixels[int(y * height / HEIGHT), int(x * width / WIDTH)]


def save(visitor):
    with visitor.page.expect_download() as saved:
        visitor.page.locator("[data-do=compare-save]").click()
    with open(saved.value.path(), "rb") as file:
        return saved.value.suggested_filename, file.read()


def near(pixel, colour):
    return np.abs(np.array(pixel[:3]) - colour).max() <= 6


def test_there_is_nothing_to_compare_before_there_is_a_mask(visitor, large):
    assert visitor.button("compare").is_disabled()
    visitor.open(large)
    assert visitor.button("compare").is_disabled()
    visitor.click(THING.centre)
    assert visitor.button("compare").is_enabled()


def test_the_slider_moves_between_photo_and_result(comparing):
    on(comparing, "white")
    place = 1200, 800  # ground, outside the mask
    assert at(shown(comparing), *place).min() >= 250
    comparing.part("compare-at").fill("100")
    assert near(at(shown(comparing), *place), GROUND)
    comparing.part("compare-at").focus()
    comparing.page.keyboard.press("Home")
    assert at(shown(comparing), *place).min() >= 250
    assert near(at(shown(comparing), *THING.centre), THING.colour)
    comparing.page.keyboard.press("ArrowRight")
    assert comparing.part("compare-at").input_value() == "0.5"


def test_the_picture_itself_can_be_dragged(comparing):
    on(comparing, "black")
    box = comparing.part("compare-view").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 0.9 * box["height"]
    comparing.page.mouse.move(x, y)
    comparing.page.mouse.down()
    comparing.page.mouse.move(box["x"] + 0.9 * box["width"], y, steps=4)
    comparing.page.mouse.up()
    assert abs(float(comparing.part("compare-at").input_value()) - 90) <= 1
    assert near(at(shown(comparing), 1400, 800), GROUND)
    assert at(shown(comparing), 1640, 800).max() <= 6


def test_every_background_is_another_picture(comparing, tmp_path):
    place = 1300, 450  # 150 pixels below the centre of the small disc: its edge
    after = {}
    for background in ("none", "white", "black", "blur"):
        on(comparing, background)
        after[background] = comparing.pixels("compare-after")
        pressed = comparing.page.locator("[data-background][aria-pressed=true]")
        assert pressed.get_attribute("data-background") == background
        assert near(at(after[background], *THING.centre), THING.colour)
    assert at(after["none"], *place)[3] == 0
    assert tuple(at(after["white"], *place)) == (255, 255, 255, 255)
    assert tuple(at(after["black"], *place)) == (0, 0, 0, 255)
    red = at(after["blur"], *place)[0]
    assert GROUND[0] + 15 < red < 205  # neither of the two colours that meet there
    assert near(at(after["blur"], 1650, 850), GROUND)
    Image.new("RGB", (40, 400), BLUE).save(tmp_path / "tall.png")
    posts = []
    comparing.page.on("request", lambda request: posts.append(request.method == "POST"))
    comparing.part("compare-file").set_input_files(tmp_path / "tall.png")
    comparing.wait_for(
        "() => document.querySelector('[data-background=picture][aria-pressed=true]')"
    )
    after["picture"] = comparing.pixels("compare-after")
    for corner in ((2, 2), (1697, 2), (2, 897), (1697, 897), place):
        assert near(at(after["picture"], *corner), BLUE)
    assert not any(posts)


def test_a_file_that_is_no_picture_is_refused_and_the_background_stays(comparing, tmp_path):
    on(comparing, "black")
    (tmp_path / "words.png").write_text("no picture")
    comparing.part("compare-file").set_input_files(tmp_path / "words.png")
    comparing.wait_for(
        "() => document.querySelector('[data-part=compare-note]').textContent.includes('Choose a')"
    )
    assert comparing.page.locator("[data-background=black]").get_attribute("aria-pressed") == "true"


def test_the_file_has_the_photos_own_size_and_the_masks_own_edge(comparing, large):
    comparing.page.keyboard.press("Escape")
    mask = as_array(comparing.download("mask")[1]) == 255
    comparing.do("compare")
    name, data = save(comparing)
    picture, photo = as_array(data), np.array(Image.open(large))
    assert name == "two discs-picture.png"
    assert picture.shape == (HEIGHT, WIDTH, 4)
    assert np.array_equal(picture[..., 3], mask * np.uint8(255))
    assert np.array_equal(picture[mask][:, :3], photo[mask])
    assert not picture[~mask].any()
    on(comparing, "white")
    picture = as_array(save(comparing)[1])
    assert (picture[~mask] == 255).all()
    assert np.array_equal(picture[mask][:, :3], photo[mask])


def test_the_file_of_a_photo_held_sideways_is_upright(visitor, tmp_path):
    visitor.open(save_rotated(draw(400, 240, [Disc(100, 120, 60)]), tmp_path / "held.jpg"))
    visitor.click((100, 120))
    visitor.do("compare")
    picture = as_array(save(visitor)[1])
    assert picture.shape == (240, 400, 4)
    assert picture[120, 100, 3] == 255
    assert near(picture[120, 100], Disc(0, 0, 0).colour)


def test_a_photo_that_the_browser_has_only_smaller_is_not_saved_as_if_it_were_whole(
    visitor, tmp_path
):
    draw(2400, 1600, [Disc(700, 800, 400)]).save(tmp_path / "scan.tif")
    visitor.open(tmp_path / "scan.tif")
    visitor.click((700, 800))
    visitor.do("compare")
    assert visitor.page.locator("[data-do=compare-save]").is_disabled()
    assert "smaller copy" in visitor.text("compare-note")


def test_escape_closes_it_alone_and_the_focus_returns(comparing):
    assert comparing.page.evaluate("() => document.activeElement.dataset.part") == "compare-at"
    comparing.page.keyboard.press("Escape")
    assert not comparing.part("compare").is_visible()
    assert comparing.page.evaluate("() => document.activeElement.dataset.do") == "compare"
    assert comparing.mask().any()
    comparing.page.keyboard.press("Enter")
    assert comparing.part("compare").is_visible()
    comparing.page.mouse.click(5, 5)
    assert not comparing.part("compare").is_visible()
