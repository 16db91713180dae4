"""Encode, click and everything against the original: `python -m benchmarks.latency`.

Every contender runs in a process of its own, and they take turns (A B A B ...). Reported is the
median of the ratios within a round, because a shared machine changes its speed meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
BASELINE = "original"
CONTENDERS = (BASELINE, "original-tuned", "ours-plain", "ours")
BAR_PX, LABEL_PX, PLOT_PX = 34, 330, 560


class Contender:
    """A child process that does one task at a time."""

    def __init__(self, name: str, photo: Path, environment: dict[str, str]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.contender", name, str(photo)],
            cwd=ROOT,
            env=os.environ | {"MOBILESAM_WEIGHTS": "bundled"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        while (line := self._process.stdout.readline()) != "ready\n":
            if not line:
                raise RuntimeError(f"{name} did not start.")

    def run(self, task: str, argument: int) -> float:
        """Seconds that the task took inside the child."""
        self._process.stdin.write(f"{task} {argument}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(30)


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    task: str
    contender: str
    median_ms: float
    ratio: float
    lowest: float
    highest: float


def compare(
    contenders: Sequence[Contender], task: str, rounds: int, warm_up: int, calls: int
) -> list[Figure]:
    """Rounds in turn, each contender doing the task `calls` times in a row."""
    samples: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for index in range(warm_up + rounds):
        for contender in contenders if index % 2 else reversed(contenders):
            seconds = statistics.median(
                contender.run(task, index * calls + call) for call in range(calls)
            )
            if index >= warm_up:
                samples[contender.name].append(seconds)
    return figures(task, samples)


def everything(contenders: Sequence[Contender], points_per_side: int, rounds: int) -> list[Figure]:
    """The whole grid, run in full."""
    samples: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            samples[contender.name].append(contender.run("everything", points_per_side))
    return figures(f"everything {points_per_side}x{points_per_side}", samples)


def figures(task: str, samples: dict[str, list[float]]) -> list[Figure]:
    rows = []
    for name, seconds in samples.items():
        ratios = [base / own for base, own in zip(samples[BASELINE], seconds, strict=True)]
        rows.append(
            Figure(
                task,
                name,
                1000 * statistics.median(seconds),
                statistics.median(ratios),
                min(ratios),
                max(ratios),
            )
        )
    return rows


def draw(rows: Sequence[Figure], target: Path) -> None:
    """Bars of how many times faster than the original each contender is."""
    font = ImageFont.load_default(17)
    size = (LABEL_PX + PLOT_PX + 120, BAR_PX * len(rows) + 30)
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    longest = max(row.ratio for row in rows)
    for index, row in enumerate(rows):
        top = 15 + index * BAR_PX
        pen.text((12, top + 5), f"{row.task}: {row.contender}", fill="#0f172a", font=font)
        end = LABEL_PX + PLOT_PX * row.ratio / longest
        colour = "#1e6fff" if row.contender == "ours" else "#94a3b8"
        pen.rectangle((LABEL_PX, top, end, top + BAR_PX - 10), fill=colour)
        pen.text((end + 8, top + 3), f"{row.ratio:.1f} x", fill="#0f172a", font=font)
    picture.save(target)


def machine(environment: dict[str, str]) -> dict[str, object]:
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "timm", "numpy", "gradio")},
        "environment": environment,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, default=ROOT / "examples" / "street.jpg")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--points-per-side", type=int, default=32, help="0 leaves everything out")
    parser.add_argument("--isa", help="limits oneDNN and torch to it, such as AVX2")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--picture", type=Path, help="draw the bars here")
    arguments = parser.parse_args()
    environment = (
        {"ONEDNN_MAX_CPU_ISA": arguments.isa, "ATEN_CPU_CAPABILITY": arguments.isa.lower()}
        if arguments.isa
        else {}
    )
    contenders = [Contender(name, arguments.photo, environment) for name in CONTENDERS]
    try:
        rows = compare(contenders, "encode", arguments.rounds, warm_up=2, calls=1)
        rows += compare(contenders, "click", arguments.rounds, warm_up=2, calls=5)
        if arguments.points_per_side:
            pair = [contenders[0], contenders[-1]]
            rows += everything(pair, arguments.points_per_side, rounds=1)
    finally:
        for contender in contenders:
            contender.close()
    for row in rows:
        print(
            f"{row.task:18} {row.contender:15} {row.median_ms:10.1f} ms"
            f"  {row.ratio:6.2f} x  [{row.lowest:.2f} .. {row.highest:.2f}]"
        )
    if arguments.json:
        report = {"machine": machine(environment), "rows": [vars(row) for row in rows]}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if arguments.picture:
        draw(rows, arguments.picture)


if __name__ == "__main__":
    main()
