"""The whole comparison with the original: `python -m benchmarks.latency`.

Encode, click and everything: every contender runs in a process of its own, and they take turns
(A B A B ...). Start-up and memory: whole processes in turns. The way of a mask to the page: in
turns, bytes and time. From a click to its painted mask: this project only, in a real Chromium.
Reported are medians, and the median and the range of the ratios to the original within a round,
because a shared machine changes its speed meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.chart import draw
from benchmarks.machine import machine
from benchmarks.report import BASELINE, Figure, figures, table, with_floors
from benchmarks.startup import start_ups
from benchmarks.walk import resized_example, walk
from mobilesam.images import open_photo

ROOT = Path(__file__).resolve().parents[1]
CONTENDERS = (BASELINE, "original-tuned", "ours-plain", "ours-float32", "ours")
PRODUCT_GFLOP = 2 * 4096 * 640 * 640 / 1e9
LARGE_HW = (3000, 4000)
MALLOC = "glibc's own settings for original, the demo's mallopt settings for all others"


class Contender:
    """A child process that does one task at a time.

    Attributes:
        name: which.
        facts: what it says about its threads, instruction set and modules.
    """

    def __init__(self, name: str, photo: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.contender", name, str(photo)],
            cwd=ROOT,
            env=os.environ | {"MOBILESAM_WEIGHTS": "bundled"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        while not (line := self._process.stdout.readline()).startswith("ready "):
            if not line:
                raise RuntimeError(f"{name} did not start.")
        self.facts: dict[str, Any] = json.loads(line.removeprefix("ready "))

    def run(self, task: str, argument: int) -> float:
        """Seconds that the task took inside the child."""
        self._process.stdin.write(f"{task} {argument}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(30)


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
    return figures(task, "ms", samples, 1000)


def everything(contenders: Sequence[Contender], points_per_side: int) -> list[Figure]:
    """The whole grid, run once in full."""
    samples = {
        contender.name: [contender.run("everything", points_per_side)] for contender in contenders
    }
    return figures(f"everything {points_per_side}x{points_per_side}", "ms", samples, 1000)


def product_rates(contenders: Sequence[Contender], rounds: int) -> dict[str, float]:
    """GFLOP/s of one matrix product of the encoder's shape, by the contenders' precision."""
    rates = {}
    for contender in contenders:
        seconds = [contender.run("product", 0) for _ in range(2 + rounds)]
        precision = contender.facts["network"].split()[-1]
        rates[precision] = PRODUCT_GFLOP / statistics.median(seconds[2:])
    return rates


def computing(arguments: argparse.Namespace) -> tuple[list[Figure], dict[str, Any]]:
    """Encode, click and everything, and what the contenders say about themselves."""
    environment = isa_environment(arguments.isa)
    contenders = [Contender(name, arguments.photo, environment) for name in CONTENDERS]
    try:
        ours = contenders[-2:]
        before = product_rates(ours, 3 * arguments.rounds)
        rows = compare(contenders, "encode", arguments.rounds, warm_up=2, calls=1)
        rows += compare(contenders, "click", arguments.rounds, warm_up=2, calls=5)
        after = product_rates(ours, 3 * arguments.rounds)
        if arguments.points_per_side:
            rows += everything([contenders[0], contenders[-1]], arguments.points_per_side)
    finally:
        for contender in contenders:
            contender.close()
    rates = {precision: (before[precision] + after[precision]) / 2 for precision in before}
    return with_floors(rows, rates), {**contenders[-1].facts, "product_gflops_per_s": rates}


def memory(photo: Path, rounds: int, environment: Mapping[str, str]) -> list[Figure]:
    """The most that a process holds that encodes 12 megapixels and answers one click on them."""
    samples: dict[str, list[float]] = {BASELINE: [], "ours": []}
    with tempfile.TemporaryDirectory() as folder:
        large = resized_example(photo, LARGE_HW, Path(folder) / "large.jpg")
        for _ in range(rounds):
            for name, values in samples.items():
                answer = walk(name, large, 1, environment)
                values.append(answer["peak_mb"])
    cached = Figure("cached embedding", "ours", "MB", answer["embedding_bytes"] / 1e6)
    return [*figures("memory, 12 MP photo", "MB", samples), cached]


def isa_environment(isa: str | None) -> dict[str, str]:
    """Limits oneDNN, ours and torch's, and torch's own loops; MKL keeps what it finds."""
    if not isa:
        return {}
    return {"ONEDNN_MAX_CPU_ISA": isa, "ATEN_CPU_CAPABILITY": isa.lower()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photo", type=Path, default=ROOT / "examples" / "street.jpg")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--starts", type=int, default=5, help="rounds of start-up and memory")
    parser.add_argument("--points-per-side", type=int, default=32, help="0 leaves everything out")
    parser.add_argument("--clicks", type=int, default=25, help="in Chromium; 0 leaves it out")
    parser.add_argument("--isa", help="limits oneDNN and torch to it, such as AVX2")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--picture", type=Path, help="draw the bars here")
    arguments = parser.parse_args()
    arguments.photo = arguments.photo.resolve()
    environment = isa_environment(arguments.isa)

    rows, facts = computing(arguments)
    to_page, to_model = start_ups(arguments.starts, environment)
    rows += figures("first page", "ms", to_page, 1000) + figures(
        "model ready", "ms", to_model, 1000
    )
    rows += memory(arguments.photo, arguments.starts, environment)
    # gradio and torch are imported only now, so that this process stays out of the others' way.
    from benchmarks.transport import mask_transport

    seconds, sizes = mask_transport(arguments.photo, arguments.rounds)
    rows += figures("mask to the page", "ms", seconds, 1000)
    rows += figures("mask to the page", "kB", {way: [size] for way, size in sizes.items()}, 1e-3)
    painted: dict[str, Any] = {}
    if arguments.clicks:
        from benchmarks.click_to_paint import click_to_paint

        painted = click_to_paint(arguments.photo, arguments.clicks, environment=environment)
        rows.append(Figure("click to paint", "ours", "ms", painted["click_to_paint_ms"]))
        rows.append(Figure("of it the interface", "ours", "ms", painted["interface_ms"]))

    print(table(rows))
    setting = {**machine(), **facts, "isa_limit": arguments.isa, "malloc": MALLOC}
    if arguments.json:
        report = {
            "machine": setting,
            "photo": arguments.photo.name,
            "rows": [vars(row) for row in rows],
            "click_to_paint": painted,
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if arguments.picture:
        height, width = open_photo(arguments.photo).size_hw
        caption = (
            f"{width} x {height} photo; {setting['processor']}, {setting['threads']} threads, "
            f"{setting['isa']}, {setting['network']}; each task on a scale of its own"
        )
        draw(rows, caption, arguments.picture)


if __name__ == "__main__":
    main()
