"""Rows of a comparison with the original, and their table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BASELINE = "original"
FLOORS_GFLOP = {"encode": 77.5, "click": 1.6}
"""The encoder on its square of 1024 as it is written; a click after algebra (as written 3.6)."""
HALF_PRECISION_TASKS = ("encode",)
"""What bfloat16 is used for; the decoder computes in float32."""


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    Attributes:
        task: what was measured.
        contender: whose figure it is.
        unit: of the median.
        median: over the rounds.
        ratio: median over the rounds of the original's figure over this one: how many times less
            this contender takes. None where the original has no such figure.
        lowest: the smallest of these ratios.
        highest: the largest of them.
    """

    task: str
    contender: str
    unit: str
    median: float
    ratio: float | None = None
    lowest: float | None = None
    highest: float | None = None


def figures(
    task: str, unit: str, samples: Mapping[str, Sequence[float]], factor: float = 1
) -> list[Figure]:
    """Rows of one task.

    Args:
        task: its name.
        unit: of the medians.
        samples: a figure a round by contender, the original's among them; rounds correspond.
        factor: from the samples to the unit.
    """
    rows = []
    for name, values in samples.items():
        ratios = [base / own for base, own in zip(samples[BASELINE], values, strict=True)]
        rows.append(
            Figure(
                task,
                name,
                unit,
                factor * statistics.median(values),
                statistics.median(ratios),
                min(ratios),
                max(ratios),
            )
        )
    return rows


def floor_ms(gflop: float, gflops_per_s: float) -> float:
    """What the arithmetic alone would take at the rate that a matrix product reaches here."""
    return 1000 * gflop / gflops_per_s


def with_floors(rows: Sequence[Figure], gflops_per_s: Mapping[str, float]) -> list[Figure]:
    """The rows with a floor after the encodes and after the clicks, in each precision used.

    Args:
        rows: the rows of all tasks, the original's among those of each.
        gflops_per_s: rate of a matrix product by precision; float32 is always there.
    """
    result: list[Figure] = []
    for task in dict.fromkeys(row.task for row in rows):
        own = [row for row in rows if row.task == task]
        result += own
        for precision, rate in gflops_per_s.items() if task in FLOORS_GFLOP else ():
            if precision == "float32" or task in HALF_PRECISION_TASKS:
                floor = floor_ms(FLOORS_GFLOP[task], rate)
                ratio = next(row.median for row in own if row.contender == BASELINE) / floor
                result.append(Figure(task, f"floor {precision}", "ms", floor, ratio))
    return result


def table(rows: Sequence[Figure]) -> str:
    """A line a row; the task is named once."""
    lines = [f"{'':22} {'':15} {'median':>14}  {'x less':>7}  lowest .. highest"]
    task = ""
    for row in rows:
        line = f"{row.task if row.task != task else '':22} {row.contender:15}"
        line += f" {row.median:11,.1f} {row.unit:2}"
        if row.ratio is not None:
            line += f"  {row.ratio:7.2f}"
        if row.lowest is not None:
            line += f"  [{row.lowest:.2f} .. {row.highest:.2f}]"
        lines.append(line)
        task = row.task
    return "\n".join(lines)
