"""Slow, late, lost and refused answers: no wrong mask appears and no click is lost."""

import json
import signal

import numpy as np

from tests.browser.driver import SERVER_CALLS, Visitor, wait_for_held
from tests.serving import LEFT, RIGHT, draw, running_app

PAUSE_MS = 400


class Gate:
    """Stands between page and server: holds calls, refuses them or answers in their place."""

    def __init__(self, visitor, answer):
        self.held = []
        self.passed = 0
        self._answer = answer
        self._page = visitor.page
        visitor.page.route(SERVER_CALLS, self._take)

    def _take(self, route):
        call = json.loads(route.request.post_data)
        if call["fn_name"] == "segment" and self._answer(self, route, call["data"]):
            return
        self.passed += 1
        route.continue_()

    def hold(self, route, _query=None):
        self.held.append(route)
        return True

    def wait_held(self, count):
        for _ in range(100):
            if len(self.held) >= count:
                return
            self._page.wait_for_timeout(50)
        raise AssertionError(f"{len(self.held)} calls held, not {count}")


def first_is_held(gate, route, _query):
    return not gate.held and gate.hold(route)


def test_no_mask_appears_when_its_click_was_cleared_meanwhile(at_work):
    gate = Gate(at_work, first_is_held)
    at_work.press(LEFT.centre)
    gate.wait_held(1)
    at_work.page.keyboard.press("Escape")
    with at_work.page.expect_response(SERVER_CALLS):
        gate.held[0].continue_()
    at_work.page.wait_for_timeout(PAUSE_MS)
    assert not at_work.mask().any()
    assert at_work.count("shown") == 0
    assert at_work.button("mask").is_disabled()
    at_work.click(RIGHT.centre)
    assert at_work.mask()[RIGHT.y, RIGHT.x]
    assert not at_work.mask()[LEFT.y, LEFT.x]


def test_no_mask_of_the_old_photo_appears_on_a_new_one(at_work, tmp_path):
    other = tmp_path / "other.png"
    draw(200, 300, [RIGHT]).save(other)
    gate = Gate(at_work, first_is_held)
    at_work.press(LEFT.centre)
    gate.wait_held(1)
    at_work.open(other)
    with at_work.page.expect_response(SERVER_CALLS):
        gate.held[0].continue_()
    at_work.page.wait_for_timeout(PAUSE_MS)
    assert not at_work.mask().any()
    assert at_work.count("shown") == 0


def test_an_earlier_photo_that_opens_late_does_not_replace_the_newer_one(at_work, tmp_path):
    held = []

    def hold_first_upload(route):
        if held:
            route.continue_()
        else:
            held.append(route)

    old, new = tmp_path / "old.png", tmp_path / "new.png"
    draw(120, 100, [], ground=(10, 20, 30)).save(old)
    draw(200, 300, [RIGHT]).save(new)
    at_work.page.route("**/upload*", hold_first_upload)
    at_work.choose_file(old)
    while not held:
        at_work.page.wait_for_timeout(50)
    at_work.open(new)
    held[0].continue_()
    at_work.page.wait_for_timeout(3 * PAUSE_MS)
    assert at_work.count("ready") == 2
    assert at_work.pixels("photo").shape[:2] == (300, 200)
    assert at_work.alert() == ""


def test_quick_clicks_wait_for_each_other_and_the_mask_is_that_of_all(at_work, visit, photo):
    gate = Gate(at_work, lambda gate, route, _: gate.hold(route))
    at_work.press(LEFT.centre)
    gate.wait_held(1)
    at_work.press((100, 120))
    at_work.press(RIGHT.centre)
    at_work.page.wait_for_timeout(PAUSE_MS)
    assert len(gate.held) == 1
    gate.held[0].continue_()
    gate.wait_held(2)
    assert at_work.count("shown") == 0
    assert not at_work.mask().any()
    with at_work.page.expect_response(SERVER_CALLS):
        gate.held[1].continue_()
    at_work.wait_for("() => document.querySelector('.sam').dataset.shown === '2'")
    at_work.page.wait_for_timeout(PAUSE_MS)
    assert [len(history) for history in at_work.histories()] == [1, 3]

    slowly = visit()
    slowly.open(photo)
    for xy in (LEFT.centre, (100, 120), RIGHT.centre):
        slowly.click(xy)
    assert np.array_equal(at_work.mask(), slowly.mask())


def test_a_candidate_of_the_mask_before_cannot_be_chosen_for_the_one_on_its_way(at_work):
    gate = Gate(at_work, lambda gate, route, query: len(query["history"]) == 2 and gate.hold(route))
    at_work.click(LEFT.centre)
    (best,) = at_work.pressed()
    at_work.press((100, 120))
    gate.wait_held(1)
    at_work.page.keyboard.press("2" if best != 1 else "1")
    with at_work.answered():
        gate.held[0].continue_()
        at_work.press((80, 80))
    assert at_work.alert() == ""
    assert [step["type"] for step in at_work.histories()[-1]] == ["point"] * 3


def test_an_expired_photo_is_opened_again_and_the_clicks_are_replayed(at_work):
    expired = []

    def once(gate, route, query):
        if expired:
            return False
        expired.append(query["token"])
        reply = {"ok": False, "seq": query["seq"], "expired": True, "error": "Gone."}
        route.fulfill(json=reply)
        return True

    at_work.click(LEFT.centre)
    marks = at_work.marks()
    Gate(at_work, once)
    at_work.click(RIGHT.centre)
    first, *_, last = [c["data"] for c in at_work.calls if c["fn_name"] == "segment"]
    assert expired == [first["token"]]
    assert last["token"] != first["token"]
    assert last["history"] == [
        *first["history"],
        {"type": "point", "x": RIGHT.x, "y": RIGHT.y, "label": 1},
    ]
    assert at_work.mask()[RIGHT.y, RIGHT.x]
    assert at_work.marks() > marks
    assert at_work.alert() == ""
    assert at_work.data("busy") == "no"


def test_a_photo_whose_embedding_was_evicted_is_encoded_again_by_itself(browser, photo, tmp_path):
    other = tmp_path / "other.png"
    draw(200, 300, [RIGHT]).save(other)
    # 5 MB hold one embedding; the second photo evicts the first.
    with running_app(MOBILESAM_CACHE_MB="5") as app:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        visitor, neighbour = (Visitor(context.new_page()) for _ in range(2))
        for one in (visitor, neighbour):
            one.page.goto(app.url)
            one.page.wait_for_selector(".sam[data-loaded=yes]")
        visitor.open(photo)
        visitor.click(LEFT.centre)
        before = visitor.mask()
        neighbour.open(other)
        with visitor.answered():
            visitor.click((100, 120))
        with visitor.answered():
            visitor.do("undo")
        assert np.array_equal(visitor.mask(), before)
        assert len(visitor.tokens()) == 2
        assert visitor.alert() == ""

        app.stop()
        app.start()
        visitor.click(RIGHT.centre)
        assert len(visitor.tokens()) == 3
        assert visitor.mask()[RIGHT.y, RIGHT.x]
        name, _ = visitor.download("mask")
        assert name == "discs-mask.png"
        context.close()


def test_lost_calls_are_sent_again_until_one_arrives(at_work):
    lost = []

    def twice(_gate, route, _query):
        if len(lost) == 2:
            return False
        lost.append(route)
        route.abort()
        return True

    Gate(at_work, twice)
    at_work.click(LEFT.centre)
    assert len(lost) == 2
    assert at_work.mask()[LEFT.y, LEFT.x]
    assert at_work.alert() == ""
    histories = at_work.histories()
    assert histories == histories[:1] * 3


def test_without_a_network_one_sentence_appears_and_the_clicks_are_kept(at_work):
    down = [True]

    def lose(_gate, route, _query):
        if down:
            route.abort()
        return bool(down)

    at_work.page.evaluate(
        "() => { const real = window.setTimeout;"
        " window.setTimeout = (f, ms, ...a) => real(f, Math.min(ms, 50), ...a); }"
    )
    Gate(at_work, lose)
    with at_work.refused():
        at_work.press(LEFT.centre)
    assert "does not answer" in at_work.alert()
    assert at_work.marks() > 0
    assert not at_work.mask().any()
    down.clear()
    at_work.click((100, 120))
    assert [len(history) for history in at_work.histories()][-1] == 2
    assert at_work.mask()[LEFT.y, LEFT.x]
    assert at_work.alert() == ""


def test_a_refused_click_shows_the_servers_sentence_and_can_be_undone(at_work):
    def refuse_second(_gate, route, query):
        if len(query["history"]) < 2:
            return False
        route.fulfill(json={"ok": False, "seq": query["seq"], "error": "Not this one."})
        return True

    Gate(at_work, refuse_second)
    at_work.click(LEFT.centre)
    before = at_work.pixels("mask")
    with at_work.refused():
        at_work.press(RIGHT.centre)
    assert at_work.alert() == "Not this one."
    with at_work.answered():
        at_work.do("undo")
    assert at_work.alert() == ""
    assert np.array_equal(at_work.pixels("mask"), before)


def test_a_visitor_whose_turn_would_not_come_is_told_at_once_and_may_try_again(visit, photo):
    visitor = visit()
    full = {
        "ok": False,
        "seq": None,
        "error": "Very many are waiting. Try again in a minute.",
    }

    def answer(route):
        if '"line"' in route.request.post_data:
            route.fulfill(json=full)
        else:
            route.continue_()

    visitor.page.route(SERVER_CALLS, answer)
    with visitor.refused():
        visitor.choose_file(photo)
    assert visitor.alert() == full["error"]
    assert visitor.count("ready") == 0
    visitor.page.unroute(SERVER_CALLS)
    visitor.open(photo)
    assert visitor.alert() == ""


def test_a_visitor_in_a_long_line_is_told_how_many_photos_were_before(visitor, photo):
    held = []

    def answer(route):
        if '"line"' in route.request.post_data:
            route.fulfill(json={"ok": True, "seq": None, "before": 12})
        else:
            route.continue_()

    visitor.page.route(SERVER_CALLS, answer)
    visitor.page.route("**/queue/join*", lambda route: held.append(route))
    visitor.choose_file(photo)
    visitor.wait_for(
        "() => document.querySelector('[data-part=busy]').innerText.includes('12 photos')"
    )
    with visitor.opened():
        wait_for_held(visitor, held, 1)
        held[0].continue_()
    assert not visitor.part("busy").is_visible()


def test_a_photo_on_its_way_when_the_server_is_restarted_is_sent_again(browser, photo, tmp_path):
    with running_app(("-m", "tests.faulty_app", "slow_work", str(tmp_path))) as app:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        visitor = Visitor(context.new_page())
        visitor.page.goto(app.url)
        visitor.page.wait_for_selector(".sam[data-loaded=yes]")
        visitor.choose_file(photo)
        app.wait_logged("FAULT encode begins")
        app.stop(signal.SIGKILL)
        app.start()
        visitor.page.wait_for_selector(".sam[data-ready]")
        visitor.click(LEFT.centre)
        assert visitor.mask()[LEFT.y, LEFT.x]
        assert visitor.alert() == ""
        context.close()
