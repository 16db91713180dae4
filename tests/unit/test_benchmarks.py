"""What the benchmarks compute from their measurements, with numbers worked out by hand."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import distillation
from benchmarks.agreement import (
    Agreement,
    distinct_photos,
    gridded_prompts,
    mask_agreement,
    relative_error,
    summary,
)
from benchmarks.chart import draw, duration
from benchmarks.crops import large_photos, small_region, view_xyxy
from benchmarks.delaying_proxy import delaying_proxy
from benchmarks.growth import load_figures, size_of
from benchmarks.load import is_same
from benchmarks.load_chart import draw_load, draw_memory
from benchmarks.load_photos import interaction_logs, photo_of
from benchmarks.load_report import (
    FAILED,
    OUTCOMES,
    REFUSED,
    WRONG,
    Sample,
    load_row,
    load_table,
    percentile,
)
from benchmarks.machine import high_water_mark_mb, resident_mb
from benchmarks.memory import memory_figures
from benchmarks.quality import Click, compared, stability
from benchmarks.report import Figure, figures, floor_ms, table, with_floors
from mobilesam import Prediction, Prompt
from mobilesam.frame import Frame
from mobilesam.interactions import parse_interactions
from mobilesam.masks import mask_to_coco_rle


def test_a_ratio_is_taken_within_its_round_and_against_the_original() -> None:
    samples = {"original": [2.0, 4.0, 9.0], "ours": [1.0, 4.0, 3.0]}
    original, ours = figures("click", "ms", samples, 1000)
    assert (original.median, original.ratio) == (4000, 1)
    assert (ours.median, ours.ratio, ours.lowest, ours.highest) == (3000, 2, 1, 3)


def test_the_floor_is_the_arithmetic_at_the_measured_rate() -> None:
    assert floor_ms(77.5, 155) == pytest.approx(500)
    rows = [*figures("encode", "ms", {"original": [1.0]}, 1000), Figure("start", "ours", "ms", 5)]
    floor = Figure("encode", "floor float32", "ms", pytest.approx(500), pytest.approx(2))
    assert with_floors(rows, {"float32": 155}) == [rows[0], floor, rows[1]]


def test_only_the_encoder_has_a_floor_in_half_precision() -> None:
    tasks = ("encode", "click")
    rows = [row for task in tasks for row in figures(task, "ms", {"original": [1.0]}, 1000)]
    floors = with_floors(rows, {"float32": 155, "bfloat16": 310})
    assert [(row.task, row.contender, row.median) for row in floors if row not in rows] == [
        ("encode", "floor float32", pytest.approx(500)),
        ("encode", "floor bfloat16", pytest.approx(250)),
        ("click", "floor float32", pytest.approx(1600 / 155)),
    ]


def test_the_table_leaves_out_what_there_is_nothing_to_compare_with() -> None:
    lines = table([Figure("click to paint", "ours", "ms", 80.6)]).splitlines()
    assert lines[1].split() == ["click", "to", "paint", "ours", "80.6", "ms"]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (7.617, "7.62 ms"),
        (17.86, "17.9 ms"),
        (9.996, "10.0 ms"),
        (400.85, "401 ms"),
        (999.6, "1.00 s"),
        (1072.4, "1.07 s"),
        (169091, "169 s"),
    ],
)
def test_a_duration_has_three_digits(milliseconds: float, text: str) -> None:
    assert duration(milliseconds) == text


def test_bars_are_as_long_as_their_figures(tmp_path: Path) -> None:
    rows = figures("encode", "ms", {"original": [1.0], "ours": [0.25]}, 1000)
    draw(rows, "a photo", tmp_path / "bars.png")
    picture = np.array(Image.open(tmp_path / "bars.png")).astype(int)
    widths = [
        (np.abs(picture - colour).sum(axis=2) < 12).sum(axis=1).max()
        for colour in ((0x94, 0xA3, 0xB8), (0x1E, 0x6F, 0xFF))
    ]
    assert widths[1] / widths[0] == pytest.approx(0.25, abs=0.02)  # with the blue text beside it


def test_the_peak_of_memory_is_linuxs_high_water_mark() -> None:
    assert high_water_mark_mb("VmPeak:\t 9 kB\nVmHWM:\t 1000000 kB\nVmRSS:\t 5 kB\n") == 1024
    with pytest.raises(ValueError, match="VmHWM"):
        high_water_mark_mb("VmRSS:\t 5 kB\n")


@pytest.mark.parametrize("size_hw", [(40, 900), (683, 1024)])
def test_prompts_are_half_points_half_boxes_within_the_photo(size_hw: tuple[int, int]) -> None:
    prompts = gridded_prompts(size_hw, seed=3)
    for prompt in prompts:
        prompt.check_answerable(size_hw)
    assert [prompt.box is not None for prompt in prompts] == [False, True] * 5
    assert prompts == gridded_prompts(size_hw, seed=3)
    assert prompts != gridded_prompts(size_hw, seed=4)


def test_masks_agree_by_intersection_over_union_and_empty_ones_wholly() -> None:
    empty, left, all_ = np.zeros((4, 4), bool), np.zeros((4, 4), bool), np.ones((4, 4), bool)
    left[:, :2] = True
    assert mask_agreement(left, all_) == 0.5
    assert mask_agreement(empty, empty) == 1
    assert mask_agreement(empty, left) == 0


def test_an_error_is_relative_to_the_exact_embedding() -> None:
    assert relative_error(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5])) == pytest.approx(0.1)


def test_another_default_is_counted_only_where_there_is_a_choice() -> None:
    answers = [Agreement(1, True, True), Agreement(0.5, True, False)]
    answers += [Agreement(0.9, False, True), Agreement(0.8, False, True)]
    got = summary(answers, [0.01, 0.03])
    assert (got["photos"], got["prompts"], got["prompts_with_a_choice"]) == (2, 4, 2)
    assert (got["mean_iou"], got["lowest_iou"]) == (pytest.approx(0.8), 0.5)
    assert (got["share_below_0.9"], got["share_with_another_default"]) == (0.5, 0.5)
    assert got["embedding_relative_error_mean"] == pytest.approx(0.02)
    assert got["embedding_relative_error_worst"] == 0.03


def test_a_photo_counts_once_whatever_its_name(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "b.bmp")
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "c.png")
    (tmp_path / "notes.txt").write_text("no photo")
    assert [path.name for path, _ in distinct_photos([tmp_path])] == ["a.png", "c.png"]


@pytest.mark.parametrize("megapixels", [0.1, 8, 40])
def test_a_resized_photo_keeps_its_shape_and_the_limit(megapixels: float) -> None:
    height, width = size_of(megapixels, (682, 1024))
    assert 0.99 * megapixels * 1e6 < height * width <= megapixels * 1e6
    assert height / width == pytest.approx(682 / 1024, rel=0.01)


def test_throughput_counts_all_clicks_over_the_time_they_took_together() -> None:
    got = load_figures([0.1, 0.2, 0.6, 0.1], 0.5)
    assert got == {"clicks_per_s": 8, "median_ms": pytest.approx(150), "worst_ms": 600}


def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed() -> None:
    values = [float(value) for value in range(200, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1)] == [100, 190, 198, 200]
    assert percentile([7.0], 0.01) == 7
    assert percentile([], 0.5) == 0


def test_a_load_counts_what_became_of_everything_and_times_only_what_was_answered() -> None:
    samples = [
        *[Sample("click", seconds) for seconds in (0.1, 0.1, 0.1, 0.5)],
        Sample("click", 9, WRONG),
        Sample("click", 8, REFUSED, "Try again in a moment."),
        Sample("open", 2.0),
        Sample("open", 60, FAILED, "HTTP 500"),
        Sample("click", 0.3, beside_encode=True),
    ]
    row = load_row(3, samples, seconds=2)
    assert (row["clicks"], row["clicks_per_s"], row["photos_per_s"]) == (5, 2.5, 0.5)
    assert (row["click_p50_ms"], row["click_p99_ms"], row["click_p99_over_p50"]) == (100, 500, 5)
    assert (row["click_without_encode_p50_ms"], row["click_beside_encode_p50_ms"]) == (100, 300)
    assert (row["open_p50_s"], row["open_p99_s"]) == (2, 2)
    counts = [row[outcome] for outcome in OUTCOMES]
    assert dict(zip(OUTCOMES, counts, strict=True)) == {
        "answered": 6,
        "expired": 0,
        "refused": 1,
        "failed": 1,
        "wrong": 1,
    }
    said = load_table([row]).splitlines()[2:]
    assert said == ["  1 x Try again in a moment.", "  1 x HTTP 500"]


@pytest.mark.parametrize(("moved", "same"), [(0, True), (1, True), (400, False)])
def test_a_mask_may_differ_by_rounding_and_not_by_more(moved: int, same: bool) -> None:
    mask = np.zeros((100, 100), bool)
    mask[:40, :50] = True
    other = mask.copy()
    other.reshape(-1)[np.flatnonzero(mask)[:moved]] = False
    assert is_same(mask_to_coco_rle(other), mask_to_coco_rle(mask)) is same
    assert not is_same(mask_to_coco_rle(mask.T), mask_to_coco_rle(mask))


def test_every_visitor_has_a_photo_and_clicks_of_its_own_and_always_the_same() -> None:
    photos = [photo_of(user) for user in range(17)]
    assert len(set(photos)) == 17
    assert photo_of(3) == photos[3]
    assert Image.open(io.BytesIO(photos[3])).size == (640, 480)
    assert interaction_logs(3) == interaction_logs(3)
    assert interaction_logs(3) != interaction_logs(4)
    for history in interaction_logs(3):
        parse_interactions(history)


def test_memory_is_compared_with_that_after_the_first_hundred_photos() -> None:
    held = {"cache_mb": 4, "cache_bound_mb": 512, "made_folders": 0}
    course = [
        {"photos": 1, "rss_mb": 500, "open_photos": 1, **held},
        *({"photos": n, "rss_mb": 1200, "open_photos": 2, **held} for n in range(50, 101)),
        {"photos": 100, "rss_mb": 1000, "open_photos": 0, "at_rest": True, **held},
        *({"photos": n, "rss_mb": 1500, "open_photos": 1, **held} for n in range(101, 199)),
        {"photos": 199, "rss_mb": 1600, "open_photos": 1, **held},
        {"photos": 200, "rss_mb": 1050, "open_photos": 0, "at_rest": True, **held},
    ]
    got = memory_figures(course)
    assert (got["settled_mb"], got["end_mb"], got["peak_mb"]) == (1000, 1050, 1600)
    assert got["growth_percent"] == pytest.approx(5)
    assert (got["settled_at_work_mb"], got["end_at_work_mb"]) == (1200, 1500)
    assert got["growth_at_work_percent"] == pytest.approx(25)
    assert got["open_photos"] == 0
    assert resident_mb("VmHWM:\t 9 kB\nVmRSS:\t 1000000 kB\n") == 1024


@pytest.mark.slow
def test_the_pictures_of_a_load_hold_a_bar_and_a_curve(tmp_path: Path) -> None:
    row = load_row(10, [Sample("click", 0.1), Sample("click", 0.4), Sample("open", 1)], 1)
    draw_load([row], "a machine", tmp_path / "load.png")
    course = [{"photos": n, "rss_mb": 900, "cache_mb": 4 * n} for n in (1, 100)]
    draw_memory(course, "a machine", tmp_path / "memory.png")
    for name in ("load.png", "memory.png"):
        picture = np.array(Image.open(tmp_path / name)).astype(int)
        blue = np.abs(picture - (0x1E, 0x6F, 0xFF)).sum(axis=2) < 100
        assert blue.any(axis=0).sum() > 200


@pytest.mark.slow
def test_a_complete_comparison_of_schemes_is_drawn_without_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distillation, "run", lambda *command: pytest.fail(f"it runs {command}"))
    ious = {"decoupled": 0.75, "semi-coupled": 0.5, "coupled": 0.25}
    for name in (*(f"{scheme}-0" for scheme in ious), "finetuned-0", "teacher"):
        (tmp_path / f"{name}.safetensors").touch()
        (tmp_path / f"{name}.figures.json").write_text('{"iou_point": 0.5}')
    for scheme, iou in ious.items():
        evaluation = {"point_iou": iou, "box_iou": 1 - iou}
        lines = [
            {"scheme": scheme},
            {"step": 5, "seconds": 3.0, "evaluation": {}},
            {"scheme": scheme},
            {"step": 0, "evaluation": evaluation},
            {"step": 9, "loss": 1.0, "seconds": 7.5},
            {"step": 10, "evaluation": evaluation},
        ]
        (tmp_path / f"{scheme}-0.jsonl").write_text("\n".join(map(json.dumps, lines)))
    picture, table = tmp_path / "course.png", tmp_path / "figures.json"
    inputs = "--photos a --annotations b --test-photos c --test-annotations d --seeds 0"
    outputs = ["--results", str(tmp_path), "--picture", str(picture), "--json", str(table)]
    distillation.main([*inputs.split(), *outputs])

    course = json.loads(table.read_text())["runs"]["coupled-0"]
    found = [(at["step"], at["seconds"], at["box_iou"]) for at in course]
    assert found == [(0, 0, 0.75), (10, 7.5, 0.75)]
    pixels = np.array(Image.open(picture)).astype(int)

    def heights(colour: tuple[int, int, int]) -> list[float]:
        """Of the lines across the upper and across the lower diagram, in pixels."""
        is_line = (np.abs(pixels - colour).sum(axis=2) < 60).sum(axis=1) > 1000
        return [float(np.flatnonzero(half).mean()) for half in np.split(is_line, 2)]

    by_point, by_box = np.subtract(heights((0x64, 0x74, 0x8B)), heights((0x1E, 0x6F, 0xFF)))
    assert by_point == pytest.approx(0.5 * 400, abs=2)  # the diagrams are 400 pixels high
    assert by_box == pytest.approx(-0.5 * 400, abs=2)


def test_stability_by_hand():
    logits = np.array([[-5.0, -1.5, -0.5], [0.5, 1.5, np.log(3)]], np.float32)
    assert stability(logits) == pytest.approx(2 / 4)
    assert stability(np.full((2, 2), -3.0)) == 0


def test_rules_are_compared_with_and_without_clean_up():
    """The second candidate is the object, and a speck which only clean-up takes away."""
    logits = np.full((3, 256, 256), -1, np.float32)
    logits[0, :64] = logits[1, :128] = logits[1, 200, 200] = logits[2] = 1
    ious = np.array([0.5, 0.6, 0.9], np.float32)
    expected = np.zeros((256, 256), bool)
    expected[:128] = True
    prediction = Prediction(logits, ious, Frame((256, 256), (1024, 1024)), 0.0)
    rows = {
        row["rule"]: row for row in compared([Click(prediction, Prompt([(9, 9)], [1]), expected)])
    }
    assert rows["predicted IoU"]["as_predicted"] == {"iou": 0.5, "parts": 1, "holes": 0}
    best = rows["best candidate"]
    assert best["as_predicted"]["parts"] == 2
    assert best["clean"] == {"iou": 1.0, "parts": 1, "holes": 0}


def test_the_small_object_is_the_largest_region_below_the_limit() -> None:
    labels = np.zeros((100, 100), np.int64)
    labels[:10, :10] = 1  # 100 pixels
    labels[20:30, :12] = 2  # 120
    labels[50:, :] = 3  # 5,000
    labels[40, :9] = 4  # a speck
    mask = small_region([labels], 200)
    assert mask is not None
    assert mask.sum() == 120
    assert mask[25, 5]
    assert small_region([labels], 100) is None


def test_the_view_is_centred_on_the_object_within_the_photo() -> None:
    assert view_xyxy((200, 150), (300, 400), 4) == (150, 112, 250, 187)
    assert view_xyxy((10, 290), (300, 400), 2) == (0, 150, 200, 300)
    assert view_xyxy((10, 290), (300, 400), 1) == (0, 0, 400, 300)


def test_a_large_photo_consists_of_the_photos_that_its_objects_are_in() -> None:
    objects = []
    for number in range(4):
        buffer = io.BytesIO()
        Image.new("RGB", (520, 400), (60 * number, 0, 0)).save(buffer, "PNG")
        mask = np.zeros((400, 520), bool)
        mask[10 + number, 20] = True
        objects.append((buffer.getvalue(), mask))
    placed = list(large_photos(objects, 2))
    assert [tuple(np.argwhere(mask)[0]) for _, mask in placed] == [
        (10, 20), (11, 532), (396, 20), (397, 532),
    ]  # fmt: skip
    photo, mask = placed[3]
    assert photo.shape == (768, 1024, 3)
    assert photo[mask].tolist() == [[180, 0, 0]]


def test_the_delaying_proxy_hands_everything_on_a_round_trip_later():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def echo() -> None:
            connection, _ = server.accept()
            with connection:
                while data := connection.recv(1000):
                    connection.sendall(data)

        echoing = threading.Thread(target=echo)
        echoing.start()
        with (
            delaying_proxy(server.getsockname()[1]) as proxy,
            socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
        ):
            for round_trip_s in (0.0, 0.2):
                proxy.round_trip_s = round_trip_s
                started, received = time.perf_counter(), b""
                client.sendall(b"x" * 200_000)
                while len(received) < 200_000:
                    received += client.recv(200_000)
                assert time.perf_counter() - started >= round_trip_s
                assert received == b"x" * 200_000
        echoing.join(10)
