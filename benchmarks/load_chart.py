"""The pictures of a load: bars for users at once, and the course of memory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.chart import BAR, FAINT, GAP, INK, MARGIN, PLOT, RULE, STEP, WIDTH, Pen, duration

BLUE, PALE, GREY = "#1e6fff", "#bfdbfe", "#94a3b8"
BLOCKS = {
    "A click, from asking to its mask": ("click_p50_ms", "click_p99_ms", 1),
    "A photo, from upload to the first click": ("open_p50_s", "open_p99_s", 1000),
}
_LABEL = 150
_TITLE = 34
_CURVE_HEIGHT = 240


def draw_load(rows: Sequence[dict[str, Any]], caption: str, target: Path) -> None:
    """Draws medians and 99th percentiles for each number of users.

    Args:
        rows: of `benchmarks.load_report.load_row`.
        caption: a line about the machine.
        target: a PNG.
    """
    pen = Pen(2 * MARGIN + len(BLOCKS) * (_TITLE + GAP + len(rows) * STEP) + 16)
    pen.text(MARGIN, MARGIN - 4, caption, 13, FAINT, "lm")
    top = MARGIN + 20.0
    for title, (middle, last, factor) in BLOCKS.items():
        pen.text(MARGIN, top + 12, title, 16, INK, "lm")
        top += _TITLE
        scale = PLOT / max(max(row[last] for row in rows), 1e-9)
        start = MARGIN + _LABEL
        for row in rows:
            people = f"{row['users']} user{'s' if row['users'] > 1 else ''}"
            pen.text(MARGIN, top + BAR / 2, people, 14, INK, "lm")
            pen.bar(start, top, start + scale * row[last], PALE)
            pen.bar(start, top, start + scale * row[middle], BLUE)
            figures = f"{duration(factor * row[middle])}, {duration(factor * row[last])}"
            pen.text(start + scale * row[last] + 8, top + BAR / 2, figures, 14, INK, "lm")
            top += STEP
        top += GAP
    pen.text(
        MARGIN, top - 4, "dark: the median; pale: all but the slowest hundredth", 12, FAINT, "lm"
    )
    pen.save(target)


def draw_memory(course: Sequence[dict[str, float]], caption: str, target: Path) -> None:
    """Draws what the process and its cache held after each photo.

    Args:
        course: of `benchmarks.memory`.
        caption: a line about the machine.
        target: a PNG.
    """
    pen = Pen(_CURVE_HEIGHT + 2 * MARGIN + 60)
    pen.text(MARGIN, MARGIN - 4, caption, 13, FAINT, "lm")
    left, right, top = MARGIN + 70, WIDTH - MARGIN - 110, MARGIN + 30
    bottom = top + _CURVE_HEIGHT
    highest = 500 * (int(max(held["rss_mb"] for held in course) / 500) + 1)
    most = max(held["photos"] for held in course)

    def at(held: dict[str, float], name: str) -> tuple[float, float]:
        x = left + (right - left) * held["photos"] / most
        return x, bottom - _CURVE_HEIGHT * held[name] / highest

    for level in range(0, highest + 1, 500):
        y = bottom - _CURVE_HEIGHT * level / highest
        pen.line(left, y, right, y, RULE, 1)
        pen.text(left - 10, y, f"{level:,} MB", 12, FAINT, "rm")
    for name, label, colour in (("rss_mb", "the process", BLUE), ("cache_mb", "embeddings", GREY)):
        points = [at(held, name) for held in course]
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            pen.line(x0, y0, x1, y1, colour, 2)
        pen.text(right + 10, points[-1][1], label, 13, colour, "lm")
    for share in (0, 0.5, 1):
        x = left + share * (right - left)
        pen.text(x, bottom + 16, f"{share * most:,.0f} photos", 12, FAINT, "mm")
    pen.save(target)
