"""Slow, late, lost and refused replies: no wrong mask appears and no click is lost."""

import signal

import numpy as np
import pytest

from tests.browser.driver import VIEWPORT, Demo, Gate
from tests.serving import HELD, LEFT, RIGHT, draw, running_app


def first_is_held(gate, route, _query):
    return not gate.held and gate.hold(route)


def second_is_held(gate, route, query):
    return len(query["interactions"]) == 2 and gate.hold(route)


def test_no_mask_appears_when_its_click_was_cleared_meanwhile(demo):
    shown = demo.count("shown")
    gate = Gate(demo, first_is_held)
    demo.press(LEFT.centre)
    gate.wait_held(1)
    demo.page.keyboard.press("Escape")
    gate.release(1)
    demo.settle()
    assert not demo.mask().any()
    assert demo.count("shown") == shown
    assert demo.button("mask").is_disabled()
    demo.click(RIGHT.centre)
    assert demo.mask()[RIGHT.y, RIGHT.x]
    assert not demo.mask()[LEFT.y, LEFT.x]


def test_no_mask_of_the_old_photo_appears_on_a_new_one(demo, tmp_path):
    other, shown = tmp_path / "other.png", demo.count("shown")
    draw(200, 300, [RIGHT]).save(other)
    gate = Gate(demo, first_is_held)
    demo.press(LEFT.centre)
    gate.wait_held(1)
    demo.open(other)
    gate.release(1)
    demo.settle()
    assert not demo.mask().any()
    assert demo.count("shown") == shown


def test_an_earlier_photo_that_opens_late_does_not_replace_the_newer_one(demo, tmp_path):
    ready, uploads = demo.count("ready"), []

    def hold_first(route):
        uploads.append(route)
        if len(uploads) > 1:
            route.continue_()

    old, new = tmp_path / "old.png", tmp_path / "new.png"
    draw(120, 100, [], ground=(10, 20, 30)).save(old)
    draw(200, 300, [RIGHT]).save(new)
    demo.page.route("**/upload*", hold_first)
    with demo.page.expect_request("**/upload*"):
        demo.choose_file(old)
    demo.open(new)
    uploads[0].continue_()
    demo.settle()
    assert demo.count("ready") == ready + 1
    assert demo.pixels("photo").shape[:2] == (300, 200)
    assert demo.alert() == ""


def test_quick_clicks_are_sent_together_and_the_mask_is_that_of_all(demo):
    shown = demo.data("shown")
    gate = Gate(demo, lambda gate, route, _: gate.hold(route))
    demo.press(LEFT.centre)
    gate.wait_held(1)
    demo.press((100, 120))
    demo.press(RIGHT.centre)
    demo.settle()
    assert len(gate.held) == 1
    gate.held[0].continue_()
    gate.wait_held(2)
    assert demo.data("shown") == shown
    assert not demo.mask().any()
    gate.held[1].continue_()
    demo.wait_settled()
    demo.settle()
    assert [len(sent) for sent in demo.interactions()] == [1, 3]

    quick = demo.mask()
    demo.page.unroute_all()
    demo.do("clear")
    for xy in (LEFT.centre, (100, 120), RIGHT.centre):
        demo.click(xy)
    assert np.array_equal(demo.mask(), quick)


def test_no_candidate_can_be_chosen_while_a_newer_click_is_unanswered(demo):
    gate = Gate(
        demo, lambda gate, route, query: len(query["interactions"]) == 2 and gate.hold(route)
    )
    demo.click(LEFT.centre)
    (best,) = demo.pressed()
    demo.press((100, 120))
    gate.wait_held(1)
    demo.page.keyboard.press("2" if best != 1 else "1")
    with demo.answered():
        gate.held[0].continue_()
        demo.press((80, 80))
    assert demo.alert() == ""
    assert [step["type"] for step in demo.interactions()[-1]] == ["point"] * 3


def test_an_expired_photo_is_opened_again_and_the_clicks_are_replayed(demo):
    expired = []

    def once(gate, route, query):
        if expired:
            return False
        expired.append(query["token"])
        reply = {"ok": False, "expired": True, "error": "Gone."}
        route.fulfill(json=reply)
        return True

    demo.click(LEFT.centre)
    marks = demo.marks()
    Gate(demo, once)
    demo.click(RIGHT.centre)
    first, *_, last = demo.sent("segment")
    assert expired == [first["token"]]
    assert last["token"] != first["token"]
    assert last["interactions"] == [
        *first["interactions"],
        {"type": "point", "x": RIGHT.x, "y": RIGHT.y, "label": 1},
    ]
    assert demo.mask()[RIGHT.y, RIGHT.x]
    assert demo.marks() > marks
    assert demo.alert() == ""
    assert demo.data("busy") == "no"


@pytest.fixture(scope="module")
def small_app():
    """An application with room for one embedding, which a test may restart."""
    with running_app(HELD, MOBILESAM_CACHE_MB="3") as app:
        yield app


@pytest.fixture
def tabs(browser, small_app):
    """Two tabs of that application."""
    context = browser.new_context(viewport=VIEWPORT)
    tabs = [Demo(context.new_page()) for _ in range(2)]
    for one in tabs:
        one.load(small_app.url)
    yield tabs
    context.close()


def test_a_photo_whose_embedding_was_evicted_is_encoded_again(tabs, photo, tmp_path):
    demo, neighbour = tabs
    other = tmp_path / "other.png"
    draw(200, 300, [RIGHT]).save(other)
    demo.open(photo)
    demo.click(LEFT.centre)
    before = demo.mask()
    neighbour.open(other)  # evicts the first photo
    demo.click((100, 120))
    with demo.answered():
        demo.do("undo")
    assert np.array_equal(demo.mask(), before)
    assert len(demo.tokens()) == 2
    assert demo.alert() == ""


def test_a_restart_of_the_server_loses_neither_an_open_photo_nor_one_being_opened(
    tabs, small_app, photo, tmp_path
):
    demo, opening = tabs
    other = tmp_path / "other.png"
    draw(ground=(20, 30, 90)).save(other)
    demo.open(photo)
    demo.click(LEFT.centre)
    with opening.opened():
        with small_app.holds.held("encode"):
            opening.choose_file(other)
            small_app.holds.wait_begun("encode")
            # What is sent again waits for the server, however long its start takes.
            gate = Gate(opening, Gate.hold, "open")
            small_app.stop(signal.SIGKILL)
        with small_app.holds.held("load"):
            small_app.start()
            gate.release(1)
            opening.wait_for(
                "() => document.querySelector('[data-part=busy]').innerText.includes('the model')"
            )
    opening.click(RIGHT.centre)
    assert opening.mask()[RIGHT.y, RIGHT.x]
    assert opening.alert() == ""

    demo.click(RIGHT.centre)
    assert len(demo.tokens()) == 2
    assert [len(sent) for sent in demo.interactions()][-1] == 2
    assert demo.mask()[RIGHT.y, RIGHT.x]
    name, _ = demo.download("mask")
    assert name == "discs-mask.png"


def test_lost_requests_are_sent_again_until_one_is_answered(demo):
    lost = []

    def twice(_gate, route, _query):
        if len(lost) == 2:
            return False
        lost.append(route)
        route.abort()
        return True

    Gate(demo, twice)
    demo.click(LEFT.centre)
    assert len(lost) == 2
    assert demo.mask()[LEFT.y, LEFT.x]
    assert demo.alert() == ""
    sent = demo.interactions()
    assert sent == sent[:1] * 3


def test_without_a_network_one_sentence_appears_and_the_clicks_stay(empty_demo, photo):
    demo, down = empty_demo, [True]
    demo.open(photo)

    def lose(_gate, route, _query):
        if down:
            route.abort()
        return bool(down)

    demo.page.evaluate(
        "() => { const real = window.setTimeout;"
        " window.setTimeout = (f, ms, ...a) => real(f, Math.min(ms, 50), ...a); }"
    )
    Gate(demo, lose)
    with demo.refused():
        demo.press(LEFT.centre)
    assert "does not answer" in demo.alert()
    assert demo.marks() > 0
    assert not demo.mask().any()
    down.clear()
    demo.click((100, 120))
    assert [len(history) for history in demo.interactions()][-1] == 2
    assert demo.mask()[LEFT.y, LEFT.x]
    assert demo.alert() == ""


def test_a_refused_click_shows_the_servers_sentence_and_can_be_undone(demo):
    def refuse_second(_gate, route, query):
        if len(query["interactions"]) < 2:
            return False
        route.fulfill(json={"ok": False, "error": "Not this one."})
        return True

    Gate(demo, refuse_second)
    demo.click(LEFT.centre)
    before = demo.pixels("mask")
    with demo.refused():
        demo.press(RIGHT.centre)
    assert demo.alert() == "Not this one."
    demo.do("undo")
    demo.settle()
    assert demo.alert() == ""
    assert np.array_equal(demo.pixels("mask"), before)


def test_a_full_queue_gets_a_sentence_and_the_photo_can_be_opened_later(empty_demo, photo):
    demo = empty_demo
    full = {"ok": False, "error": "The server is busy. Try again shortly."}

    def refuse(_gate, route, _query):
        route.fulfill(json=full)
        return True

    Gate(demo, refuse, "open")
    with demo.refused():
        demo.choose_file(photo)
    assert demo.alert() == full["error"]
    assert demo.count("ready") == 0
    demo.page.unroute_all()
    demo.open(photo)
    assert demo.alert() == ""


def test_a_user_in_a_long_queue_sees_how_many_photos_are_ahead(empty_demo, photo):
    demo = empty_demo

    def answer_first(gate, route, query):
        if "path" in query:
            reply = route.fetch().json()
            route.fulfill(json={**reply, "state": "queued", "position": 12})
            return True
        return gate.hold(route)

    gate = Gate(demo, answer_first, "open")
    demo.choose_file(photo)
    demo.wait_for(
        "() => document.querySelector('[data-part=busy]').innerText.includes('12 photos')"
    )
    with demo.opened():
        gate.release(1)
    assert not demo.part("busy").is_visible()
