"""Slow, late, lost and refused answers: no wrong mask appears and no click is lost."""

import json
import signal

import numpy as np

from tests.browser.driver import SERVER_CALLS, Demo, wait_for_held
from tests.serving import LEFT, RIGHT, draw, running_app

PAUSE_MS = 400


class Gate:
    """Stands between page and server: holds calls, refuses them or answers in their place."""

    def __init__(self, demo, answer):
        self.held = []
        self.passed = 0
        self._answer = answer
        self._page = demo.page
        demo.page.route(SERVER_CALLS, self._take)

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


def test_no_mask_appears_when_its_click_was_cleared_meanwhile(demo):
    gate = Gate(demo, first_is_held)
    demo.press(LEFT.centre)
    gate.wait_held(1)
    demo.page.keyboard.press("Escape")
    with demo.page.expect_response(SERVER_CALLS):
        gate.held[0].continue_()
    demo.page.wait_for_timeout(PAUSE_MS)
    assert not demo.mask().any()
    assert demo.count("shown") == 0
    assert demo.button("mask").is_disabled()
    demo.click(RIGHT.centre)
    assert demo.mask()[RIGHT.y, RIGHT.x]
    assert not demo.mask()[LEFT.y, LEFT.x]


def test_no_mask_of_the_old_photo_appears_on_a_new_one(demo, tmp_path):
    other = tmp_path / "other.png"
    draw(200, 300, [RIGHT]).save(other)
    gate = Gate(demo, first_is_held)
    demo.press(LEFT.centre)
    gate.wait_held(1)
    demo.open(other)
    with demo.page.expect_response(SERVER_CALLS):
        gate.held[0].continue_()
    demo.page.wait_for_timeout(PAUSE_MS)
    assert not demo.mask().any()
    assert demo.count("shown") == 0


def test_an_earlier_photo_that_opens_late_does_not_replace_the_newer_one(demo, tmp_path):
    held = []

    def hold_first_upload(route):
        if held:
            route.continue_()
        else:
            held.append(route)

    old, new = tmp_path / "old.png", tmp_path / "new.png"
    draw(120, 100, [], ground=(10, 20, 30)).save(old)
    draw(200, 300, [RIGHT]).save(new)
    demo.page.route("**/upload*", hold_first_upload)
    demo.choose_file(old)
    while not held:
        demo.page.wait_for_timeout(50)
    demo.open(new)
    held[0].continue_()
    demo.page.wait_for_timeout(3 * PAUSE_MS)
    assert demo.count("ready") == 2
    assert demo.pixels("photo").shape[:2] == (300, 200)
    assert demo.alert() == ""


def test_quick_clicks_wait_for_each_other_and_the_mask_is_that_of_all(demo, new_demo, photo):
    gate = Gate(demo, lambda gate, route, _: gate.hold(route))
    demo.press(LEFT.centre)
    gate.wait_held(1)
    demo.press((100, 120))
    demo.press(RIGHT.centre)
    demo.page.wait_for_timeout(PAUSE_MS)
    assert len(gate.held) == 1
    gate.held[0].continue_()
    gate.wait_held(2)
    assert demo.count("shown") == 0
    assert not demo.mask().any()
    with demo.page.expect_response(SERVER_CALLS):
        gate.held[1].continue_()
    demo.wait_for("() => document.querySelector('.sam').dataset.shown === '2'")
    demo.page.wait_for_timeout(PAUSE_MS)
    assert [len(history) for history in demo.interactions()] == [1, 3]

    slowly = new_demo()
    slowly.open(photo)
    for xy in (LEFT.centre, (100, 120), RIGHT.centre):
        slowly.click(xy)
    assert np.array_equal(demo.mask(), slowly.mask())


def test_a_candidate_of_the_mask_before_cannot_be_chosen_for_the_one_on_its_way(demo):
    gate = Gate(demo, lambda gate, route, query: len(query["history"]) == 2 and gate.hold(route))
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
        reply = {"ok": False, "seq": query["seq"], "expired": True, "error": "Gone."}
        route.fulfill(json=reply)
        return True

    demo.click(LEFT.centre)
    marks = demo.marks()
    Gate(demo, once)
    demo.click(RIGHT.centre)
    first, *_, last = [c["data"] for c in demo.calls if c["fn_name"] == "segment"]
    assert expired == [first["token"]]
    assert last["token"] != first["token"]
    assert last["history"] == [
        *first["history"],
        {"type": "point", "x": RIGHT.x, "y": RIGHT.y, "label": 1},
    ]
    assert demo.mask()[RIGHT.y, RIGHT.x]
    assert demo.marks() > marks
    assert demo.alert() == ""
    assert demo.data("busy") == "no"


def test_a_photo_whose_embedding_was_evicted_is_encoded_again_by_itself(browser, photo, tmp_path):
    other = tmp_path / "other.png"
    draw(200, 300, [RIGHT]).save(other)
    # 5 MB hold one embedding; the second photo evicts the first.
    with running_app(MOBILESAM_CACHE_MB="5") as app:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        demo, neighbour = (Demo(context.new_page()) for _ in range(2))
        for one in (demo, neighbour):
            one.page.goto(app.url)
            one.page.wait_for_selector(".sam[data-loaded=yes]")
        demo.open(photo)
        demo.click(LEFT.centre)
        before = demo.mask()
        neighbour.open(other)
        with demo.answered():
            demo.click((100, 120))
        with demo.answered():
            demo.do("undo")
        assert np.array_equal(demo.mask(), before)
        assert len(demo.tokens()) == 2
        assert demo.alert() == ""

        app.stop()
        app.start()
        demo.click(RIGHT.centre)
        assert len(demo.tokens()) == 3
        assert demo.mask()[RIGHT.y, RIGHT.x]
        name, _ = demo.download("mask")
        assert name == "discs-mask.png"
        context.close()


def test_lost_calls_are_sent_again_until_one_arrives(demo):
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
    histories = demo.interactions()
    assert histories == histories[:1] * 3


def test_without_a_network_one_sentence_appears_and_the_clicks_are_kept(demo):
    down = [True]

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
        if len(query["history"]) < 2:
            return False
        route.fulfill(json={"ok": False, "seq": query["seq"], "error": "Not this one."})
        return True

    Gate(demo, refuse_second)
    demo.click(LEFT.centre)
    before = demo.pixels("mask")
    with demo.refused():
        demo.press(RIGHT.centre)
    assert demo.alert() == "Not this one."
    with demo.answered():
        demo.do("undo")
    assert demo.alert() == ""
    assert np.array_equal(demo.pixels("mask"), before)


def test_a_visitor_whose_turn_would_not_come_is_told_at_once_and_may_try_again(new_demo, photo):
    demo = new_demo()
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

    demo.page.route(SERVER_CALLS, answer)
    with demo.refused():
        demo.choose_file(photo)
    assert demo.alert() == full["error"]
    assert demo.count("ready") == 0
    demo.page.unroute(SERVER_CALLS)
    demo.open(photo)
    assert demo.alert() == ""


def test_a_visitor_in_a_long_line_is_told_how_many_photos_were_before(demo, photo):
    held = []

    def answer(route):
        if '"line"' in route.request.post_data:
            route.fulfill(json={"ok": True, "seq": None, "before": 12})
        else:
            route.continue_()

    demo.page.route(SERVER_CALLS, answer)
    demo.page.route("**/queue/join*", lambda route: held.append(route))
    demo.choose_file(photo)
    demo.wait_for(
        "() => document.querySelector('[data-part=busy]').innerText.includes('12 photos')"
    )
    with demo.opened():
        wait_for_held(demo, held, 1)
        held[0].continue_()
    assert not demo.part("busy").is_visible()


def test_a_photo_on_its_way_when_the_server_is_restarted_is_sent_again(browser, photo, tmp_path):
    with running_app(("-m", "tests.faulty_app", "slow_work", str(tmp_path))) as app:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        demo = Demo(context.new_page())
        demo.page.goto(app.url)
        demo.page.wait_for_selector(".sam[data-loaded=yes]")
        demo.choose_file(photo)
        app.wait_logged("FAULT encode begins")
        app.stop(signal.SIGKILL)
        app.start()
        demo.page.wait_for_selector(".sam[data-ready]")
        demo.click(LEFT.centre)
        assert demo.mask()[LEFT.y, LEFT.x]
        assert demo.alert() == ""
        context.close()
