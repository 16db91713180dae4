"""The browser decodes: a preview under the pointer, a mask before the server's, and what switches
it off without a word.
"""

import re

import numpy as np
import pytest

from tests.browser.driver import VIEWPORT, Demo, Gate
from tests.browser.object_list import edit, names, press_next, row
from tests.serving import LEFT, RIGHT, draw, iou

EMBEDDING, WEIGHTS = "**/decoder/embedding", "**/decoder/weights/*"
WORKER, CLIENT = "**/io/decoder_worker.js", "**/io/local_decoder.js"
PATIENCE_MS = 60_000  # the tests' machine may be busy
PREVIEWED_MS = 500  # longer than a preview takes
GROUND = (150, 185)
POINT = {"type": "point", "x": LEFT.x, "y": LEFT.y, "label": 1}
SAVE_DATA = "Object.defineProperty(navigator, 'connection', {value: {saveData: true}});"
NO_SIMD = "WebAssembly.validate = () => false;"


def serve_with(page, pattern, name, value):
    """Serves a script in which a constant has another value."""

    def answer(route):
        response = route.fetch()
        body, count = re.subn(rf"\b{name} = \d+", f"{name} = {value}", response.text())
        assert count == 1
        route.fulfill(response=response, body=body)

    page.route(pattern, answer)


@pytest.fixture
def prepared(browser, app):
    """prepared(script="", slow_ms=...): a page that previews, before its photo is opened."""
    contexts = []

    def prepare(script="", slow_ms=PATIENCE_MS):
        contexts.append(browser.new_context(viewport=VIEWPORT))
        demo = Demo(contexts[0].new_page())
        demo.asked = []
        demo.page.on("request", lambda request: demo.asked.append(request.url))
        serve_with(demo.page, WORKER, "SLOW_MS", slow_ms)
        serve_with(demo.page, CLIENT, "TIMEOUT_MS", PATIENCE_MS)
        if script:
            demo.page.add_init_script(script)
        demo.preview = True
        demo.load(app.url)
        demo.wait_for_model()
        return demo

    yield prepare
    for context in contexts:
        context.close()


@pytest.fixture
def hovering(prepared, photo):
    """A page whose browser is ready to decode on the photo."""
    demo = prepared()
    demo.open(photo)
    hover(demo, GROUND)
    wait_state(demo, "ready")
    return demo


def hover(demo, xy):
    demo.page.mouse.move(*demo.place(*xy))


def wait_state(demo, *states):
    demo.wait_for(
        "(states) => states.includes(document.querySelector('.sam').dataset.decoder)", list(states)
    )


def wait_next(demo, is_shown):
    demo.wait_for(
        "(shown) => document.querySelector('.sam').dataset.next === shown",
        "yes" if is_shown else "no",
    )


def preview(demo):
    """What the preview fills of the photo of 300 x 200, (H, W) bool."""
    photo, marks = (demo.part(name).bounding_box() for name in ("photo", "marks"))
    alpha = demo.pixels("marks")[..., 3]
    x = photo["x"] - marks["x"] + (np.arange(300) + 0.5) * photo["width"] / 300
    y = photo["y"] - marks["y"] + (np.arange(200) + 0.5) * photo["height"] / 200
    return alpha[np.ix_(y.astype(int), x.astype(int))] > 0


def wait_preview(demo, disc):
    """Waits until the preview shows this disc."""
    for _ in range(600):
        if iou(preview(demo), disc.mask()) > 0.9:
            return
        demo.page.wait_for_timeout(50)
    raise AssertionError(f"The preview is another one: {iou(preview(demo), disc.mask())}")


def wait_mask(demo, disc):
    """Waits until the painted mask is this disc."""
    for _ in range(600):
        if iou(demo.mask(), disc.mask()) > 0.9:
            return
        demo.page.wait_for_timeout(50)
    raise AssertionError(f"The mask is another one: {iou(demo.mask(), disc.mask())}")


def test_the_outline_of_the_object_under_the_pointer_shows_without_a_request(hovering):
    for disc in (LEFT, RIGHT):
        hover(hovering, disc.centre)
        wait_preview(hovering, disc)
    assert hovering.sent("segment") == []
    assert not hovering.mask().any()
    hovering.page.mouse.move(0, 0)
    wait_next(hovering, False)
    assert hovering.marks() == 0


def test_the_preview_is_the_mask_that_a_click_then_makes(hovering):
    hover(hovering, RIGHT.centre)
    wait_preview(hovering, RIGHT)
    before = preview(hovering)
    hovering.click(RIGHT.centre)
    assert iou(before, hovering.mask()) > 0.94  # half of the line lies outside
    wait_next(hovering, False)


def test_nothing_is_previewed_where_a_click_would_do_something_else(hovering):
    hover(hovering, LEFT.centre)
    wait_preview(hovering, LEFT)
    hovering.do("tool-brush")
    wait_next(hovering, False)
    hovering.do("tool-click")
    hovering.click(LEFT.centre)
    hover(hovering, RIGHT.centre)  # a correction
    hovering.settle()
    assert hovering.data("next") == "no"
    press_next(hovering)
    hovering.page.keyboard.press("Enter")
    hover(hovering, RIGHT.centre)
    wait_preview(hovering, RIGHT)
    hover(hovering, LEFT.centre)  # would edit the object again
    wait_next(hovering, False)


def test_a_click_shows_a_mask_at_once_and_the_servers_takes_its_place(hovering):
    gate = Gate(hovering, Gate.hold)
    hovering.press(LEFT.centre)
    wait_mask(hovering, LEFT)
    gate.wait_held(1)
    local = hovering.mask()
    assert hovering.candidates().count() == 3
    assert hovering.data("shown") != hovering.data("asked")
    gate.release(1)
    hovering.wait_settled()
    assert np.count_nonzero(hovering.mask() != local) <= 3
    assert hovering.interactions() == [[POINT]]


def test_nothing_is_previewed_where_the_crosshair_was_when_it_is_gone(hovering):
    hovering.click(LEFT.centre)
    for key in ("n", "Enter"):  # the crosshair shows where the photo has the focus again
        hovering.page.keyboard.press(key)
    row(hovering, 0).locator(".sam-remove").click()
    hovering.page.wait_for_timeout(PREVIEWED_MS)
    assert hovering.data("next") == "no"


def test_an_object_is_kept_and_named_before_the_server_has_answered(hovering):
    """The next click is for another object, and the first one gets the server's mask later."""
    gate = Gate(hovering, Gate.hold)
    keyboard = hovering.page.keyboard
    for count, (disc, name) in enumerate([(LEFT, "cat"), (RIGHT, "dog")], start=1):
        hovering.press(disc.centre)
        wait_mask(hovering, disc)
        keyboard.press("n")
        keyboard.type(name)
        keyboard.press("Enter")
        assert names(hovering) == ["cat", "dog"][:count]
    assert [len(sent) for sent in hovering.interactions()] == [1]
    gate.release(1)
    hovering.settle()
    hovering.page.unroute_all()
    edit(hovering, 0)
    assert iou(hovering.mask(), LEFT.mask()) > 0.9
    edit(hovering, 1)
    assert iou(hovering.mask(), RIGHT.mask()) > 0.9
    assert names(hovering) == ["cat", "dog"]


def test_a_candidate_and_corrections_go_on_while_the_server_is_silent(hovering):
    gate = Gate(hovering, Gate.hold)
    hovering.press(LEFT.centre)
    wait_mask(hovering, LEFT)
    others = [index for index in range(3) if index not in hovering.pressed()]
    first = hovering.mask()
    hovering.page.keyboard.press(str(others[0] + 1))
    hovering.page.wait_for_selector(
        f"[data-part=candidates] button:nth-child({others[0] + 1})[aria-pressed=true]"
    )
    hovering.press(RIGHT.centre)
    hovering.wait_for(
        "() => !document.querySelectorAll('[data-part=candidates] button').length"
    )  # a correction has no candidates
    corrected = hovering.mask()
    assert np.count_nonzero(corrected != first) > 100
    gate.wait_held(1)
    gate.held[0].continue_()  # the answer to the first click, which is no longer the newest
    gate.wait_held(2)
    hovering.settle()
    assert np.array_equal(hovering.mask(), corrected)
    gate.held[1].continue_()
    hovering.wait_settled()
    assert [len(sent) for sent in hovering.interactions()] == [1, 3]
    assert np.count_nonzero(hovering.mask() != corrected) <= 0.01 * corrected.sum()


def test_a_box_is_previewed_while_it_is_drawn(hovering):
    x0, y0, x1, y1 = RIGHT.box
    hover(hovering, (x0 - 3, y0 - 3))
    hovering.page.mouse.down()
    for share in (0.5, 1):
        hover(hovering, (x0 + share * (x1 + 3 - x0), y0 + share * (y1 + 3 - y0)))
    for _ in range(100):
        if preview(hovering)[RIGHT.y, RIGHT.x] and not preview(hovering)[LEFT.y, LEFT.x]:
            break
        hovering.page.wait_for_timeout(50)
    assert iou(preview(hovering), RIGHT.mask()) > 0.7  # the box itself is drawn too
    assert hovering.sent("segment") == []
    with hovering.answered():
        hovering.page.mouse.up()
    assert iou(hovering.mask(), RIGHT.mask()) > 0.8


def test_the_mask_follows_a_marker_without_a_request_until_it_is_dropped(hovering):
    hovering.click(LEFT.centre)
    hover(hovering, LEFT.centre)
    hovering.page.mouse.down()
    hover(hovering, (150, 90))
    hover(hovering, RIGHT.centre)
    wait_mask(hovering, RIGHT)
    assert hovering.interactions() == [[POINT]]
    with hovering.answered():
        hovering.page.mouse.up()
    assert hovering.interactions()[1:] == [[{**POINT, "x": RIGHT.x, "y": RIGHT.y}]]
    assert iou(hovering.mask(), RIGHT.mask()) > 0.9


def works_without(demo, state):
    """The decoder has switched itself off, without a word, and a click makes a mask."""
    hover(demo, LEFT.centre)
    wait_state(demo, state)
    hover(demo, RIGHT.centre)
    demo.settle()
    assert demo.data("next") == "no"
    demo.click(RIGHT.centre)
    assert iou(demo.mask(), RIGHT.mask()) > 0.9
    assert demo.alert() == ""
    assert not [text for text in demo.complaints if text.startswith("uncaught")]


@pytest.mark.parametrize("script", [SAVE_DATA, NO_SIMD], ids=["saves data", "has no SIMD"])
def test_a_browser_that_should_not_decode_loads_nothing(prepared, photo, script):
    demo = prepared(script)
    demo.open(photo)
    works_without(demo, "off")
    assert not [url for url in demo.asked if "/decoder" in url and "local_decoder" not in url]


@pytest.mark.parametrize(
    ("pattern", "change", "state"),
    [
        (WEIGHTS, lambda body: b"\x01" + body[1:], "off"),
        (WEIGHTS, lambda body: body[:-2], "off"),
        (EMBEDDING, lambda body: body[:-2], "refused"),
        (EMBEDDING, lambda body: body + body, "refused"),
        (EMBEDDING, lambda body: b"\xff" * len(body), "off"),  # no numbers
        ("**/decoder/*.wasm", lambda body: body[: len(body) // 2], "off"),
    ],
    ids=["weights", "short weights", "short", "long", "no numbers", "wasm"],
)
def test_damaged_data_switches_it_off(prepared, photo, pattern, change, state):
    demo = prepared()

    def answer(route):
        response = route.fetch()
        headers = {**response.headers, "content-length": str(len(change(response.body())))}
        route.fulfill(status=200, headers=headers, body=change(response.body()))

    demo.page.route(pattern, answer)
    demo.open(photo)
    works_without(demo, state)


def test_a_server_that_does_not_send_the_embedding_is_asked_for_every_mask(prepared, photo):
    demo = prepared()
    demo.page.route(EMBEDDING, lambda route: route.abort())
    demo.open(photo)
    works_without(demo, "refused")


def test_a_slow_processor_switches_it_off(prepared, photo):
    demo = prepared(slow_ms=0)
    demo.open(photo)
    hover(demo, GROUND)
    wait_state(demo, "ready", "off")
    for x in range(10):
        hover(demo, (LEFT.x + x, LEFT.y))
        demo.page.wait_for_timeout(100)
    works_without(demo, "off")
    assert not any("worker" in text for text in demo.complaints)


def test_with_an_expired_token_the_server_answers_and_the_photo_is_opened_again(prepared, photo):
    demo = prepared()
    held = []
    demo.page.route(EMBEDDING, lambda route: held.append(route))
    demo.open(photo)
    hover(demo, LEFT.centre)
    for _ in range(600):
        if held:
            break
        demo.page.wait_for_timeout(50)
    token = held[0].request.post_data_json["token"]
    call = {**demo.calls[-1], "fn_name": "close", "data": {"tokens": [token]}}
    demo.page.request.post(demo.page.url + "gradio_api/component_server", data=call)
    demo.page.unroute(EMBEDDING)
    held[0].continue_()
    works_without(demo, "refused")
    hover(demo, LEFT.centre)
    wait_state(demo, "ready")  # with the new token


def test_a_finger_loads_nothing(phone):
    asked = []
    phone.page.on("request", lambda request: asked.append(request.url))
    phone.set_preview(True)
    with phone.answered():
        phone.page.touchscreen.tap(*phone.place(*LEFT.centre))
    assert not [url for url in asked if "/decoder" in url]
    assert phone.data("decoder") in ("idle", "off")


def test_the_setting_ends_the_preview_and_is_remembered(hovering, photo):
    hover(hovering, LEFT.centre)
    wait_preview(hovering, LEFT)
    hovering.part("model-info").click()
    hovering.part("pointer-preview").click()
    hover(hovering, LEFT.centre)
    hovering.settle()
    assert (hovering.data("next"), hovering.data("decoder")) == ("no", "idle")
    hovering.click(LEFT.centre)
    assert iou(hovering.mask(), LEFT.mask()) > 0.9
    hovering.page.reload()
    hovering.page.wait_for_selector(".sam[data-ready='1'][data-busy=no]")
    hovering.wait_for("() => !document.querySelector('[data-part=pointer-preview]').checked")
    hovering.asked.clear()
    hover(hovering, RIGHT.centre)
    hovering.settle()
    assert not [url for url in hovering.asked if "/decoder/" in url]
    hovering.part("model-info").click()
    hovering.part("pointer-preview").click()
    hovering.page.keyboard.press("Escape")
    hover(hovering, RIGHT.centre)
    wait_state(hovering, "ready")


def test_where_a_crop_will_answer_nothing_is_previewed(hovering, tmp_path):
    large = draw(1500, 1000, [type(LEFT)(450, 500, 250), type(RIGHT)(1100, 350, 150)])
    large.save(tmp_path / "large.png")
    hovering.open(tmp_path / "large.png")
    hover(hovering, GROUND)
    wait_state(hovering, "ready")
    hover(hovering, (450, 500))
    wait_next(hovering, True)
    for _ in range(3):
        hovering.do("zoom-in")
    box = hovering.part("marks").bounding_box()
    hovering.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    wait_next(hovering, False)
    hovering.settle()
    assert hovering.data("next") == "no"
