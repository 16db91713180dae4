"""The comparison: photo and result on both sides of a slider, on any background, as a file."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.serving import BLUE, GROUND, Disc, draw, save_rotated

LARGE = Disc(500, 450, 300)
WIDTH, HEIGHT = 1700, 900


def as_array(data):
    return np.array(Image.open(io.BytesIO(data)))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A photo larger than what shows of it in the comparison."""
    path = tmp_path_factory.mktemp("photos") / "two discs.png"
    draw(WIDTH, HEIGHT, [LARGE, Disc(1300, 300, 150)]).save(path)
    return path


@pytest.fixture
def comparing(demo, large):
    demo.open(large)
    demo.click(LARGE.centre)
    demo.do("compare")
    return demo


def on(demo, background):
    demo.page.locator(f"[data-background={background}]").click()


def shown(demo):
    """The comparison as it is on the screen, (H, W, 3)."""
    return as_array(demo.part("compare-view").screenshot())[..., :3].astype(int)


def at(pixels, x, y):
    """The pixel of a result of any size, at this pixel of the photo."""
    height, width = pixels.shape[:2]
    return pixels[int(y * height / HEIGHT), int(x * width / WIDTH)]


def save(demo):
    with demo.page.expect_download() as saved:
        demo.page.locator("[data-do=compare-save]").click()
    return saved.value.suggested_filename, Path(saved.value.path()).read_bytes()


def near(pixel, colour):
    return np.abs(np.array(pixel[:3]) - colour).max() <= 6


def test_there_is_nothing_to_compare_before_there_is_a_mask(demo, large):
    demo.open(large)
    assert demo.button("compare").is_disabled()
    demo.click(LARGE.centre)
    assert demo.button("compare").is_enabled()


def test_the_slider_moves_between_photo_and_result(comparing):
    on(comparing, "white")
    place = 1200, 800  # ground, outside the mask
    assert at(shown(comparing), *place).min() >= 250
    comparing.part("compare-at").fill("100")
    assert near(at(shown(comparing), *place), GROUND)
    comparing.part("compare-at").focus()
    comparing.page.keyboard.press("Home")
    assert at(shown(comparing), *place).min() >= 250
    assert near(at(shown(comparing), *LARGE.centre), LARGE.colour)
    comparing.page.keyboard.press("ArrowRight")
    assert comparing.part("compare-at").input_value() == "0.5"


def test_the_line_can_be_dragged_on_the_picture(comparing):
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


def test_every_background_gives_another_result(comparing, tmp_path):
    place = 1300, 450  # 150 pixels below the centre of the small disc: its edge
    after = {}
    for background in ("none", "white", "black", "blur"):
        on(comparing, background)
        after[background] = comparing.pixels("compare-after")
        pressed = comparing.page.locator("[data-background][aria-pressed=true]")
        assert pressed.get_attribute("data-background") == background
        assert near(at(after[background], *LARGE.centre), LARGE.colour)
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


def test_a_background_that_is_no_picture_is_refused_and_the_last_one_stays(comparing, tmp_path):
    on(comparing, "black")
    (tmp_path / "words.png").write_text("no picture")
    comparing.part("compare-file").set_input_files(tmp_path / "words.png")
    comparing.wait_for(
        "() => document.querySelector('[data-part=compare-note]').textContent.includes('Choose a')"
    )
    assert comparing.page.locator("[data-background=black]").get_attribute("aria-pressed") == "true"


def test_the_file_has_the_size_of_the_photo_and_the_edge_of_the_mask(comparing, large):
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


def test_the_file_of_a_sideways_photo_is_upright(demo, tmp_path):
    demo.open(save_rotated(draw(400, 240, [Disc(100, 120, 60)]), tmp_path / "held.jpg"))
    demo.click((100, 120))
    demo.do("compare")
    picture = as_array(save(demo)[1])
    assert picture.shape == (240, 400, 4)
    assert picture[120, 100, 3] == 255
    assert near(picture[120, 100], Disc(0, 0, 0).colour)


def test_a_photo_that_the_browser_has_only_as_a_smaller_copy_is_not_saved(demo, tmp_path):
    draw(2400, 1600, [Disc(700, 800, 400)]).save(tmp_path / "scan.tif")
    demo.open(tmp_path / "scan.tif")
    demo.click((700, 800))
    demo.do("compare")
    assert demo.page.locator("[data-do=compare-save]").is_disabled()
    assert "smaller copy" in demo.text("compare-note")


def test_escape_closes_only_the_comparison_and_the_focus_returns(comparing):
    assert comparing.page.evaluate("() => document.activeElement.dataset.part") == "compare-at"
    comparing.page.keyboard.press("Escape")
    assert not comparing.part("compare").is_visible()
    assert comparing.page.evaluate("() => document.activeElement.dataset.do") == "compare"
    assert comparing.mask().any()
    comparing.page.keyboard.press("Enter")
    assert comparing.part("compare").is_visible()
    comparing.page.mouse.click(5, 5)
    assert not comparing.part("compare").is_visible()
