"""Any JSON at all, sent to the page's functions: a reply that JSON can carry, no surprise."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mobilesam.errors import MobileSamError
from mobilesam.prompts import prompt_from_rows
from tests.event_loop import run_async
from tests.hostile_json import ANYTHING, KEYS, SCALARS
from tests.opening import new_handlers, opened

pytestmark = pytest.mark.slow

FUNCTIONS = (
    "open", "close", "model_info", "encode_crop", "segment", "everything", "export", "preview",
    "import_annotations", "masks", "combine", "read_classes",
)  # fmt: skip
XY = st.tuples(st.floats(0, 180), st.floats(0, 120)).map(list)
LABELS = st.sampled_from([0, 1])
CROPS = st.one_of(
    st.sampled_from([[0, 0, 90, 60], [0, 0, 180, 120], [20, 10, 60, 90]]),
    st.lists(st.integers(-10, 200), min_size=4, max_size=4),
)


def record(**fields):
    """An object of the page, any of whose fields may be missing or anything."""
    return st.fixed_dictionaries(
        {}, optional={name: some | ANYTHING for name, some in fields.items()}
    )


STEPS = st.one_of(
    record(type=st.just("point"), x=st.floats(0, 180), y=st.floats(0, 120), label=LABELS),
    record(type=st.just("box"), box=st.just([5, 5, 90, 60])),
    record(type=st.just("crop"), box=CROPS),
    st.builds(lambda crop: {"type": "crop", "box": crop}, CROPS),
    record(type=st.just("candidate"), index=st.integers(-1, 3)),
    record(type=st.just("mask"), rle=record(size=st.just([120, 180]), counts=st.text(max_size=9))),
    record(type=st.just("stroke"), path=st.lists(XY), radius=st.floats(0, 5000), label=LABELS),
    st.builds(lambda xy, one: {"type": "point", "x": xy[0], "y": xy[1], "label": one}, XY, LABELS),
    st.builds(lambda xy: {"type": "stroke", "path": [xy], "radius": 9, "label": 1}, XY),
)
INTERACTIONS = st.lists(STEPS, max_size=4)
RLE = record(size=st.just([120, 180]), counts=st.lists(st.integers(-1, 21_600), max_size=4))
IMAGE = record(id=st.just(1), height=st.just(120), width=st.just(180), file_name=st.text())
DOCUMENTS = st.one_of(
    record(
        images=st.lists(IMAGE, max_size=2),
        categories=st.lists(record(id=st.just(1), name=st.text()), max_size=2),
        annotations=st.lists(record(image_id=st.just(1), category_id=st.just(1), segmentation=RLE)),
    ),
    record(shapes=st.lists(record(label=st.text(), points=st.lists(XY), shape_type=st.text()))),
)
QUERIES = record(
    side=st.integers(),
    crop=CROPS,
    interactions=INTERACTIONS,
    kind=st.sampled_from(["mask", "cutout", "yolo", "coco_rle", "labelme", "cutouts_zip"]),
    objects=st.lists(record(name=st.text(min_size=1), interactions=INTERACTIONS), max_size=3),
    exclusive=st.sampled_from([None, "later", "predicted_iou"]),
    text=DOCUMENTS.map(json.dumps),
    options=record(points_per_side=st.just(1)) | st.dictionaries(KEYS, st.just(1)),
    generation=st.text(),
    path=st.text(),
    session=st.text(),
    after=st.integers(),
)  # fmt: skip
ALWAYS = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def as_starlette_does(reply):
    """Encodes a reply; UnicodeEncodeError for text that has half of a character."""
    return json.dumps(reply, allow_nan=False, ensure_ascii=False).encode("utf-8")


@pytest.fixture
def handlers(segmenter, disc, tmp_path, monkeypatch):
    """The handlers, and the token of a photo that is open."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    Image.fromarray(disc).save(tmp_path / "disc.png")
    handlers = new_handlers(segmenter, tmp_path)
    return handlers, opened(handlers, tmp_path / "disc.png")["token"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_json_gets_a_reply_that_json_can_carry(handlers, tmp_path, caplog, name):
    server, token = handlers

    def call(query):
        if name == "open":
            return run_async(server.opening.open(query, "one"))
        if name == "encode_crop":
            return run_async(server.opening.encode_crop(query))
        (owner,) = [one for one in (server, server.opening, server.files) if hasattr(one, name)]
        return getattr(owner, name)(query)

    @settings(ALWAYS, max_examples=50)
    @given(QUERIES, st.booleans())
    def ask(query, is_ours):
        reply = call({**query, **({"token": token} if is_ours else {})})
        assert isinstance(reply["ok"], bool)
        as_starlette_does(reply)
        assert reply["ok"] or 10 < len(reply["error"]) < 300
        if "path" in reply:
            assert Path(reply["path"]).resolve().is_relative_to(tmp_path)

    @settings(ALWAYS, max_examples=25)
    @given(ANYTHING)
    def ask_anything(query):
        as_starlette_does(call(query))

    ask()
    ask_anything()
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == []


def test_any_prompt_is_made_or_refused():
    @settings(ALWAYS, max_examples=300)
    @given(
        st.lists(st.tuples(SCALARS, SCALARS, SCALARS).map(list), max_size=3) | ANYTHING, ANYTHING
    )
    def ask(points, box):
        try:
            prompt = prompt_from_rows(points, box)
        except MobileSamError:
            return
        json.dumps([prompt.point_coords, prompt.point_labels, prompt.box], allow_nan=False)

    ask()
