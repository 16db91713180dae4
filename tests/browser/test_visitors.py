"""Two visitors at once: neither sees, moves or keeps anything of the other."""

import time

import numpy as np
import pytest

from mobilesam import Prompt
from tests.serving import BLUE, LEFT, RIGHT, Disc, draw

THEIRS = Disc(120, 200, 60, BLUE)


@pytest.fixture
def two(new_demo, photo, tmp_path):
    """Two visitors in browsers of their own, with two photos, and the photos."""
    other = tmp_path / "other.png"
    draw(240, 320, [THEIRS, Disc(60, 60, 25)]).save(other)
    one, two = new_demo(), new_demo()
    one.choose_file(photo)
    two.open(other)
    one.wait_for("() => document.querySelector('.sam').dataset.ready === '1'")
    return (one, photo), (two, other)


def expected(bundled, path, points):
    """The mask after a number of clicks, by the Python API."""
    embedding, logits, prediction = bundled.encode(path), None, None
    for count in range(1, len(points) + 1):
        prediction = bundled.predict(embedding, Prompt(points[:count], [1] * count), logits)
        logits = prediction.low_res_logits[prediction.best : prediction.best + 1]
    return prediction.masks[prediction.best]


def test_interleaved_clicks_of_two_visitors_never_mix(two, bundled):
    (one, photo), (other, other_photo) = two
    clicks = [(LEFT.centre, THEIRS.centre), ((100, 120), (130, 210)), (RIGHT.centre, (60, 60))]
    for count, (mine, theirs) in enumerate(clicks, start=1):
        with one.answered(), other.answered():
            one.press(mine)
            other.press(theirs)
        so_far = [mine for mine, _ in clicks[:count]], [theirs for _, theirs in clicks[:count]]
        assert np.array_equal(one.mask(), expected(bundled, photo, so_far[0]))
        assert np.array_equal(other.mask(), expected(bundled, other_photo, so_far[1]))
    assert len(one.tokens()) == len(other.tokens()) == 1
    assert one.tokens() != other.tokens()

    other.do("clear")
    assert one.mask().any()
    with one.answered():
        one.do("undo")
    assert np.array_equal(one.mask(), expected(bundled, photo, [c[0] for c in clicks[:2]]))


def test_the_same_photo_twice_has_two_tokens_and_two_histories(demo, new_demo, photo):
    other = new_demo()
    other.open(photo)
    demo.click(LEFT.centre)
    other.click(RIGHT.centre)
    assert demo.tokens() != other.tokens()
    assert demo.mask()[LEFT.y, LEFT.x]
    assert not demo.mask()[RIGHT.y, RIGHT.x]
    assert other.mask()[RIGHT.y, RIGHT.x]
    assert not other.mask()[LEFT.y, LEFT.x]


def test_the_files_of_a_visitor_who_leaves_are_removed(new_demo, app, photo, tmp_path):
    named = tmp_path / "leaving.png"
    named.write_bytes(photo.read_bytes())
    demo = new_demo()
    demo.open(named)
    demo.click(LEFT.centre)
    demo.download("mask")
    assert list(app.files.rglob("leaving-mask.png"))
    demo.page.close()
    deadline = time.monotonic() + 60
    while list(app.files.rglob("leaving-mask.png")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
