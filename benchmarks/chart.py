"""The picture of the comparison: bars of milliseconds, each task on a scale of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from benchmarks.report import BASELINE, Figure

WIDTH = 880
"""A README's column; everything below is in its pixels."""
SHOWN_SCALE = 2  # for screens with two dots a pixel
DRAWN_SCALE = 4  # then halved, which smooths the edges
LABEL, PLOT, MARGIN = 190, 500, 28
TITLE, BAR, STEP, GAP = 34, 20, 28, 22
INK, FAINT, RULE, FLOOR = "#0f172a", "#64748b", "#e2e8f0", "#ea580c"
OURS = ("ours", "ours-float32")
COLOURS = {
    BASELINE: "#94a3b8",
    "original-tuned": "#cbd5e1",
    "ours": "#1e6fff",
    "ours-float32": "#7fb0ff",
}
NAMES = {
    BASELINE: "original",
    "original-tuned": "original, malloc tuned",
    "ours": "this project",
    "ours-float32": "this project in float32",
}
TITLES = {
    "encode": "Encode a photo",
    "click": "One click to its mask",
    "first page": "Start to the first page",
}


def duration(milliseconds: float) -> str:
    """Three digits, in the unit that suits: 17.9 ms, 401 ms, 1.07 s, 169 s."""
    value, unit = (milliseconds, "ms") if milliseconds < 999.5 else (milliseconds / 1000, "s")
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {unit}"


class Pen:
    """Draws in the README's pixels."""

    def __init__(self, height: int) -> None:
        size = (WIDTH * DRAWN_SCALE, height * DRAWN_SCALE)
        self.picture = Image.new("RGB", size, "white")
        self._draw = ImageDraw.Draw(self.picture)

    def text(self, x: float, y: float, text: str, size: int, colour: str, anchor: str) -> float:
        """Writes, with a margin that hides lines behind; returns where the text ends."""
        font = ImageFont.load_default(size * DRAWN_SCALE)
        at = (x * DRAWN_SCALE, y * DRAWN_SCALE)
        margin = {"stroke_width": 3 * DRAWN_SCALE, "stroke_fill": "white"}
        self._draw.text(at, text, fill=colour, font=font, anchor=anchor, **margin)
        return self._draw.textbbox(at, text, font=font, anchor=anchor)[2] / DRAWN_SCALE

    def bar(self, x: float, y: float, end: float, colour: str) -> None:
        box = [side * DRAWN_SCALE for side in (x, y, max(end, x + 2), y + BAR)]
        self._draw.rounded_rectangle(box, 3 * DRAWN_SCALE, fill=colour)

    def line(self, x0: float, y0: float, x1: float, y1: float, colour: str, width: float) -> None:
        ends = [side * DRAWN_SCALE for side in (x0, y0, x1, y1)]
        self._draw.line(ends, fill=colour, width=round(width * DRAWN_SCALE))

    def save(self, target: Path) -> None:
        width, height = self.picture.size
        size = (width * SHOWN_SCALE // DRAWN_SCALE, height * SHOWN_SCALE // DRAWN_SCALE)
        self.picture.resize(size, Image.Resampling.LANCZOS).save(target, optimize=True)


def draw(rows: Sequence[Figure], caption: str, target: Path) -> None:
    """Draws the tasks that are measured in milliseconds and have bars on both sides.

    Args:
        rows: the whole table.
        caption: a line about photo and machine.
        target: a PNG.
    """
    tasks = _charted(rows)
    bars = sum(sum(row.contender in NAMES for row in own) for own in tasks.values())
    height = 2 * MARGIN + len(tasks) * (TITLE + GAP) + bars * STEP
    pen = Pen(height)
    pen.text(MARGIN, MARGIN - 4, caption, 13, FAINT, "lm")
    top = MARGIN + 20.0
    for own in tasks.values():
        top = _group(pen, own, top) + GAP
    pen.line(MARGIN, height - 36, WIDTH - MARGIN, height - 36, RULE, 1)
    pen.line(MARGIN, height - 18, MARGIN + 16, height - 18, FLOOR, 2)
    note = "the arithmetic alone, at the rate of a matrix product of that precision on this machine"
    pen.text(MARGIN + 24, height - 18, note, 12, FAINT, "lm")
    pen.save(target)


def _charted(rows: Sequence[Figure]) -> dict[str, list[Figure]]:
    tasks: dict[str, list[Figure]] = {}
    for row in rows:
        if row.unit == "ms" and (row.task in TITLES or row.task.startswith("everything")):
            tasks.setdefault(row.task, []).append(row)
    return tasks


def _group(pen: Pen, rows: Sequence[Figure], top: float) -> float:
    """One task's bars; returns where they end."""
    title = TITLES.get(rows[0].task) or rows[0].task.capitalize() + " points"
    pen.text(MARGIN, top + 12, title, 16, INK, "lm")
    top += TITLE - 4
    bars = [row for row in rows if row.contender in NAMES]
    longest = max(row.median for row in bars)
    start = MARGIN + LABEL
    bottom = top + STEP * len(bars) - (STEP - BAR)
    ends = [start + PLOT * row.median / longest for row in bars]
    for index, (row, end) in enumerate(zip(bars, ends, strict=True)):
        pen.bar(start, top + index * STEP, end, COLOURS[row.contender])
    for row in rows:
        if row.contender.startswith("floor"):
            x = start + PLOT * row.median / longest
            pen.line(x, top - 5, x, bottom + 5, FLOOR, 2)
            precision = row.contender.removeprefix("floor ")
            # float32 takes longer, so that its label is on the right of its line.
            shift, anchor = (4, "lm") if precision == "float32" else (-4, "rm")
            pen.text(x + shift, top - 12, f"{precision} {duration(row.median)}", 12, FLOOR, anchor)
    for index, (row, end) in enumerate(zip(bars, ends, strict=True)):
        y, ours = top + index * STEP + BAR / 2, row.contender in OURS
        pen.text(MARGIN, y, NAMES[row.contender], 14, INK if ours else FAINT, "lm")
        end = pen.text(end + 8, y, duration(row.median), 14, INK, "lm")
        if ours:
            pen.text(end + 12, y, f"{row.ratio:.1f} x as fast", 14, "#1e6fff", "lm")
    return bottom
