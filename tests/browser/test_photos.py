"""Photos of every kind are shown upright, and a click means the pixel that the user sees."""

import numpy as np
import pytest
from PIL import Image

from mobilesam import Prompt, clean_mask
from tests.serving import (
    GROUND,
    RED,
    YELLOW,
    Disc,
    assert_same_masks,
    draw,
    iou,
    save_rotated,
)

TOP, BOTTOM = Disc(50, 60, 30), Disc(140, 230, 40, YELLOW)
UPRIGHT_HW = (300, 200)


def upright():
    return draw(200, 300, [TOP, BOTTOM])


def colour_at(demo, x, y):
    return demo.pixels("photo")[y, x, :3].astype(int)


def assert_shows_upright(demo, tolerance=25):
    assert demo.pixels("photo").shape[:2] == UPRIGHT_HW
    for (x, y), colour in {TOP.centre: RED, BOTTOM.centre: YELLOW, (150, 60): GROUND}.items():
        assert np.abs(colour_at(demo, x, y) - colour).max() <= tolerance, (x, y)


def assert_click_means_what_is_seen(demo):
    for disc in (TOP, BOTTOM):
        demo.click(disc.centre)
        assert demo.interactions()[-1] == [{"type": "point", "x": disc.x, "y": disc.y, "label": 1}]
        assert demo.mask().shape == UPRIGHT_HW
        assert iou(demo.mask(), disc.mask(UPRIGHT_HW)) > 0.9
        demo.do("clear")


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_sideways_photo_of_a_phone_is_shown_and_clicked_upright(demo, tmp_path, orientation):
    demo.open(save_rotated(upright(), tmp_path / "phone.jpg", orientation))
    assert_shows_upright(demo)
    assert_click_means_what_is_seen(demo)
    assert not demo.sent("preview")


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff"])
def test_a_rotated_photo_that_browsers_do_not_rotate_comes_from_the_server(demo, tmp_path, suffix):
    demo.open(save_rotated(upright(), tmp_path / f"rotated{suffix}"))
    assert len(demo.sent("preview")) == 1
    assert_shows_upright(demo)
    assert_click_means_what_is_seen(demo)


def test_a_tiff_that_browsers_cannot_show_comes_from_the_server(demo, tmp_path):
    upright().save(tmp_path / "scan.tiff")
    demo.open(tmp_path / "scan.tiff")
    assert_shows_upright(demo)
    assert_click_means_what_is_seen(demo)


def test_transparency_is_white_on_the_page_as_it_is_for_the_model(demo, tmp_path):
    photo = upright().convert("RGBA")
    alpha = photo.split()[3].point(lambda _: 255)
    alpha.paste(0, (120, 0, 200, 120))
    photo.putalpha(alpha)
    photo.save(tmp_path / "holes.png")
    demo.open(tmp_path / "holes.png")
    assert colour_at(demo, 150, 60).min() > 245
    assert np.abs(colour_at(demo, *TOP.centre) - RED).max() <= 25


def test_an_animated_gif_opens_with_its_first_frame_and_says_so(demo, tmp_path):
    frames = [upright(), draw(200, 300, [Disc(100, 150, 60)], ground=(0, 0, 0))]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:], duration=50)
    demo.open(tmp_path / "moving.gif")
    assert demo.alert() == "Animated GIF: only its first frame is used."
    assert demo.part("alert").get_attribute("data-kind") == "note"
    assert_shows_upright(demo)
    assert_click_means_what_is_seen(demo)


def test_a_long_panorama_is_clicked_where_it_is_seen(demo, tmp_path, bundled):
    disc = Disc(5000, 220, 120)
    draw(6000, 400, [disc]).save(tmp_path / "panorama.png")
    demo.open(tmp_path / "panorama.png")
    demo.click(disc.centre)
    ((point,),) = demo.interactions()
    # A pixel of the page is several of the photo.
    assert abs(point["x"] - disc.x) <= 6
    assert abs(point["y"] - disc.y) <= 6
    prompt = Prompt([(point["x"], point["y"])], [1])
    embedding = bundled.encode(tmp_path / "panorama.png")
    prediction = bundled.predict(embedding, prompt)
    painted = demo.mask()
    mask = prediction.mask(prediction.best, painted.shape)
    assert_same_masks(painted, clean_mask(mask, prompt, embedding.original_size))
    assert painted[disc.y * painted.shape[0] // 400, disc.x * painted.shape[1] // 6000]
    overflow = demo.page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert overflow <= 0


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (1, 40)])
def test_a_tiny_photo_can_be_clicked_and_boxed(demo, tmp_path, size):
    width, height = size
    draw(width, height, [Disc(width // 2, height // 2, width // 3)]).save(tmp_path / "tiny.png")
    demo.open(tmp_path / "tiny.png")
    demo.click((width // 2, height // 2))
    point = {"type": "point", "x": width // 2, "y": height // 2, "label": 1}
    assert demo.interactions()[-1] == [point]
    demo.do("clear")  # in a tiny photo the drag would take hold of the point
    demo.drag((0, 0), (width - 1 + 0.4, height - 1 + 0.4))
    assert demo.interactions()[-1] == [{"type": "box", "box": [0, 0, width, height]}]
    assert demo.mask().shape == (height, width)
    assert demo.alert() == ""


def test_a_photo_of_sixteen_bits_opens(demo, tmp_path):
    values = np.zeros((300, 200), np.uint16) + 9000
    values[TOP.mask(UPRIGHT_HW)] = 60000
    Image.fromarray(values).save(tmp_path / "sixteen.png")
    demo.open(tmp_path / "sixteen.png")
    demo.click(TOP.centre)
    assert iou(demo.mask(), TOP.mask(UPRIGHT_HW)) > 0.9
