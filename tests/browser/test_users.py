"""Two users at once: neither sees or changes anything of the other."""

import pytest

from mobilesam import Prompt, clean_mask
from tests.serving import BLUE, LEFT, RIGHT, Disc, assert_same_masks, draw

THEIRS = Disc(120, 200, 60, BLUE)


@pytest.fixture
def other_photo(tmp_path):
    path = tmp_path / "other.png"
    draw(240, 320, [THEIRS, Disc(60, 60, 25)]).save(path)
    return path


def expected(bundled, path, points):
    """The mask after a number of clicks, by the Python API."""
    embedding, logits, prediction = bundled.encode(path), None, None
    for count in range(1, len(points) + 1):
        prompt = Prompt(points[:count], [1] * count)
        prediction = bundled.predict(embedding, prompt, logits)
        logits = prediction.low_res_logits[prediction.best : prediction.best + 1]
    return clean_mask(prediction.masks[prediction.best], prompt)


def test_interleaved_clicks_of_two_users_never_mix(new_demo, photo, other_photo, bundled):
    one, other = new_demo(), new_demo()
    with one.opened():
        one.choose_file(photo)
        other.open(other_photo)
    clicks = [(LEFT.centre, THEIRS.centre), ((100, 120), (130, 210)), (RIGHT.centre, (60, 60))]
    for count, (mine, theirs) in enumerate(clicks, start=1):
        with one.answered(), other.answered():
            one.press(mine)
            other.press(theirs)
        so_far = [mine for mine, _ in clicks[:count]], [theirs for _, theirs in clicks[:count]]
        assert_same_masks(one.mask(), expected(bundled, photo, so_far[0]))
        assert_same_masks(other.mask(), expected(bundled, other_photo, so_far[1]))
    assert len(one.tokens()) == len(other.tokens()) == 1
    assert one.tokens() != other.tokens()

    other.do("clear")
    assert one.mask().any()
    with one.answered():
        one.do("undo")
    assert_same_masks(one.mask(), expected(bundled, photo, [c[0] for c in clicks[:2]]))


def test_the_same_photo_in_two_tabs_has_two_tokens_and_two_masks(demo, empty_demo, photo):
    empty_demo.open(photo)
    demo.click(LEFT.centre)
    empty_demo.click(RIGHT.centre)
    assert demo.tokens() != empty_demo.tokens()
    assert demo.mask()[LEFT.y, LEFT.x]
    assert not demo.mask()[RIGHT.y, RIGHT.x]
    assert empty_demo.mask()[RIGHT.y, RIGHT.x]
    assert not empty_demo.mask()[LEFT.y, LEFT.x]


def is_left(app, start):
    return any(path.name.startswith(start) for path in app.files_left())


def test_the_files_of_a_user_are_removed_when_the_tab_is_closed(empty_demo, app, photo, tmp_path):
    named = tmp_path / "leaving.png"
    named.write_bytes(photo.read_bytes())
    empty_demo.open(named)
    empty_demo.click(LEFT.centre)
    empty_demo.download("mask")
    assert is_left(app, "leaving")
    empty_demo.page.close()
    app.wait(lambda: not is_left(app, "leaving"))
