"""The schemes of distillation with equal compute: `python -m benchmarks.distillation --help`.

A student with random weights learns from the bundled weights by each scheme, as often as there are
seeds; then the decoder of each decoupled student is fine-tuned. All are compared, with the teacher
and with annotated masks, on photos that none of them has seen. What is complete in the folder of
results is not computed again. The commands are those of the terminal.
"""

import argparse
import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.chart import FAINT, INK, MARGIN, RULE, WIDTH, Pen
from benchmarks.machine import machine, processor_and_cores

STEPS = {"decoupled": 350, "semi-coupled": 225, "coupled": 210}
"""Steps that take the same processor time at 192 pixels, 8 photos a step."""
SIZE, BATCH = 192, 8
FINETUNE_STEPS = 60
_EVALUATIONS = 7
_COLOURS = {"decoupled": "#1e6fff", "semi-coupled": "#ea580c", "coupled": "#64748b"}
_CURVES = {
    "point_iou": "one point, the default candidate of both",
    "box_iou": "a box",
}
_HEIGHT, _LABEL = 200, 116


def main(argv: Sequence[str] | None = None) -> None:
    """Trains, evaluates, and writes the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=Path, required=True, help="to learn from")
    parser.add_argument("--annotations", type=Path, required=True, help="of these, as COCO")
    parser.add_argument("--test-photos", type=Path, required=True, help="to compare on")
    parser.add_argument("--test-annotations", type=Path, required=True, help="of these, as COCO")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--results", type=Path, required=True, help="a folder")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args(argv)
    args.results.mkdir(parents=True, exist_ok=True)
    students = {
        f"{scheme}-{seed}": distilled(args, scheme, seed) for scheme in STEPS for seed in args.seeds
    }
    for seed in args.seeds:
        students[f"finetuned-{seed}"] = finetuned(args, students[f"decoupled-{seed}"], seed)
    figures = {name: evaluated(args, name, path) for name, path in students.items()}
    figures["teacher"] = evaluated(args, "teacher", "bundled")
    runs = {name: log(path) for name, path in students.items() if "finetuned" not in name}
    for name, measured in figures.items():
        shown = (
            "teacher_iou_point",
            "teacher_iou_box",
            "iou_point",
            "iou_point_best_of_3",
            "iou_box",
        )
        print(f"{name:16}", *(f"{measured.get(key, 1):.3f}" for key in shown))
    if args.json:
        document = {"machine": machine(), "figures": figures, "runs": runs}
        args.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    if args.picture:
        caption = f"{processor_and_cores()}; {SIZE} pixels, {BATCH} photos a step"
        draw(runs, caption, args.picture)


def distilled(args: argparse.Namespace, scheme: str, seed: int) -> Path:
    """A student's weights."""
    out: Path = args.results / f"{scheme}-{seed}.safetensors"
    if not out.exists():
        steps = STEPS[scheme]
        run(
            "distill", "--teacher", "bundled", "--photos", args.photos, "--scheme", scheme,
            "--size", SIZE, "--batch", BATCH, "--steps", steps, "--seed", seed,
            "--evaluate-every", steps // _EVALUATIONS, "--held-out", 40,
            "--embeddings", args.results / "embeddings", "--out", out,
        )  # fmt: skip
    return out


def finetuned(args: argparse.Namespace, student: Path, seed: int) -> Path:
    """The weights of a student whose decoder has learned the annotated masks."""
    out: Path = args.results / f"finetuned-{seed}.safetensors"
    if not out.exists():
        run(
            "finetune", "--weights", student, "--annotations", args.annotations,
            "--photos", args.photos, "--size", SIZE, "--steps", FINETUNE_STEPS, "--seed", seed,
            "--embeddings", args.results / "embeddings", "--out", out,
        )  # fmt: skip
    return out


def evaluated(args: argparse.Namespace, name: str, weights: Path | str) -> dict[str, float]:
    """The figures of `evaluate`."""
    out: Path = args.results / f"{name}.figures.json"
    if not out.exists():
        teacher = [] if name == "teacher" else ["--teacher", "bundled"]
        run(
            "evaluate", "--weights", weights, *teacher, "--annotations", args.test_annotations,
            "--photos", args.test_photos, "--size", SIZE, "--out", out,
        )  # fmt: skip
    figures: dict[str, float] = json.loads(out.read_text("utf-8"))
    return figures


def run(*arguments: object) -> None:
    """Runs a command of the terminal."""
    subprocess.run([sys.executable, "-m", "mobilesam", *map(str, arguments)], check=True)


def log(student: Path) -> list[dict[str, Any]]:
    """The evaluations during the last run, with the seconds of training until then."""
    lines = student.with_suffix(".jsonl").read_text("utf-8").splitlines()
    seconds, course = 0.0, []
    for line in map(json.loads, lines):
        if "scheme" in line:  # the first line of a run
            seconds, course = 0.0, []
        seconds = line.get("seconds", seconds)
        if "evaluation" in line:
            course.append({"step": line["step"], "seconds": seconds, **line["evaluation"]})
    return course


def draw(runs: dict[str, list[dict[str, Any]]], caption: str, target: Path) -> None:
    """Draws the mean IoU with the teacher over the share of the compute, a line for each run."""
    pen = Pen(len(_CURVES) * (_HEIGHT + 66) + 2 * MARGIN)
    pen.text(MARGIN, MARGIN - 4, caption, 13, FAINT, "lm")
    left, right, top = MARGIN + 50, WIDTH - MARGIN - _LABEL, MARGIN + 26
    for name, title in _CURVES.items():
        pen.text(MARGIN, top, f"Mean IoU with the teacher: {title}", 16, INK, "lm")
        bottom = top + 20 + _HEIGHT
        for level in (0, 0.25, 0.5, 0.75, 1):
            y = bottom - _HEIGHT * level
            pen.line(left, y, right, y, RULE, 1)
            pen.text(left - 10, y, f"{level:.2f}", 12, FAINT, "rm")
        ends: dict[str, float] = {}
        for run_name, course in runs.items():
            scheme = run_name.rpartition("-")[0]
            last = course[-1]["step"]
            points = [
                (left + (right - left) * at["step"] / last, bottom - _HEIGHT * at[name])
                for at in course
            ]
            for (x0, y0), (x1, y1) in itertools.pairwise(points):
                pen.line(x0, y0, x1, y1, _COLOURS[scheme], 2)
            ends.setdefault(scheme, points[-1][1])
        for place, (scheme, _) in enumerate(sorted(ends.items(), key=lambda end: end[1])):
            pen.text(
                right + 10, bottom - _HEIGHT + 14 + 18 * place, scheme, 13, _COLOURS[scheme], "lm"
            )
        for share in (0, 0.5, 1):
            x = left + share * (right - left)
            pen.text(x, bottom + 14, f"{share:.0%} of the compute", 12, FAINT, "mm")
        top = bottom + 46
    pen.save(target)


if __name__ == "__main__":
    main()
