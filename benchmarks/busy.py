"""Encodes and clicks beside other programs: `python -m benchmarks.busy`.

Every contender runs this project in a separate process with another GOMP_SPINCOUNT: how often an
OpenMP thread looks for work before it sleeps. libgomp's default is 300000. They take turns, alone
and beside processes that keep one core busy each. Reported are medians and 95th percentiles.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.latency import Contender
from benchmarks.machine import machine

PHOTO = Path(__file__).resolve().parents[1] / "examples" / "street.jpg"
CLICKS_PER_ENCODE = 8


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keeps so many cores busy with one process each."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def summary(seconds: list[float]) -> str:
    ordered = sorted(1000 * second for second in seconds)
    p95 = ordered[round(0.95 * (len(ordered) - 1))]
    return f"{statistics.median(ordered):.1f} ({p95:.1f})"


def measure(contenders: dict[str, Contender], rounds: int) -> dict[str, dict[str, str]]:
    """Milliseconds of each contender as "median (p95)"."""
    samples: dict[str, dict[str, list[float]]] = {
        spins: {"encode": [], "click": []} for spins in contenders
    }
    for index in range(1 + rounds):
        for spins, contender in contenders.items():
            encode = contender.run("encode", 0)
            clicks = [
                contender.run("click", index * CLICKS_PER_ENCODE + k)
                for k in range(CLICKS_PER_ENCODE)
            ]
            if index:  # the first one warms up
                samples[spins]["encode"].append(encode)
                samples[spins]["click"] += clicks
    return {
        spins: {task: summary(seconds) for task, seconds in tasks.items()}
        for spins, tasks in samples.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--spins", nargs="+", default=["300000", "1000", "20000"])
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    contenders = {
        spins: Contender("ours", PHOTO, {"GOMP_SPINCOUNT": spins}) for spins in args.spins
    }
    result: dict[str, object] = {"machine": machine()}
    print("| busy processes | spins | encode ms (p95) | click ms (p95) |\n|---|---|---|---|")
    for count in args.busy:
        with busy_processes(count):
            rows = measure(contenders, args.rounds)
        result[f"{count} busy processes"] = rows
        for spins, row in rows.items():
            print(f"| {count} | {spins} | {row['encode']} | {row['click']} |", flush=True)
    for contender in contenders.values():
        contender.close()
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
