"""`batch --ray` against `batch`: `python -m benchmarks.ray_batch`, with requirements-ray.txt.

The same photos on this machine: by `batch`, by `batch --ray`, and by a `batch --ray` whose driver
is killed after a third and, run again, one of whose actors is killed after two thirds. Every photo
must be in every file once, with the mask of `batch`. A `batch` on one core, as an actor has, rounds
its sums in the same order.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from pycocotools import mask as coco_mask

from benchmarks.load_photos import photo_of
from benchmarks.machine import machine
from benchmarks.serving import ROOT

ACTOR = "ray::MapWorker(MapBatches(_Actor))"


def make_photos(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:04}.jpg").write_bytes(photo_of(number))


def make_prompts(folder: Path, target: Path) -> int:
    """A click in the middle of every photo; how many there are."""
    files = sorted(path for path in folder.iterdir() if path.suffix == ".jpg")
    lines = []
    for path in files:
        with Image.open(path) as image:
            point = [image.width / 2, image.height / 2, 1]
        lines.append(json.dumps({"file": path.name, "points": [point]}) + "\n")
    target.write_text("".join(lines))
    return len(lines)


class Batch:
    """A `batch` command in a separate process."""

    def __init__(self, photos: Path, out: Path, *options: str, cores: int | None = None) -> None:
        self.out = out
        self._journal = out.with_name(f"{out.name}.part")
        self._started = time.perf_counter()
        prompts = out.with_name("prompts.jsonl")
        bound = []
        if cores:
            usable = sorted(os.sched_getaffinity(0))[:cores]
            bound = ["taskset", "--cpu-list", ",".join(map(str, usable))]
        batch = [sys.executable, "-m", "mobilesam", "batch", str(photos), "--prompts", prompts]
        self._process = subprocess.Popen(
            [*bound, *batch, "--out", out, "--weights", "bundled", "--quiet", *options], cwd=ROOT
        )

    def wait_for(self, photos: int) -> None:
        while self._process.poll() is None:
            if self._journal.exists() and self._journal.read_bytes().count(b"\n") >= photos:
                return
            time.sleep(0.05)
        raise RuntimeError("The batch has ended too early.")

    def kill(self) -> list[int]:
        """Kills the driver; the process ids of its actors that live on after 15 s."""
        actors = self._actors()
        self._process.kill()
        self._process.wait()
        time.sleep(15)
        return [actor for actor in actors if Path(f"/proc/{actor}/stat").exists()]

    def kill_actor(self) -> None:
        os.kill(self._actors()[0], signal.SIGKILL)

    def seconds(self) -> float:
        """Waits for its end."""
        if self._process.wait():
            raise RuntimeError(f"The batch failed with status {self._process.returncode}.")
        return time.perf_counter() - self._started

    def masks(self) -> dict[str, dict]:
        """RLE by file; RuntimeError if a photo has none or several."""
        coco = json.loads(self.out.read_text())
        names = {image["id"]: image["file_name"] for image in coco["images"]}
        found = {names[item["image_id"]]: item["segmentation"] for item in coco["annotations"]}
        if not len(found) == len(names) == len(coco["annotations"]) == len(set(names.values())):
            raise RuntimeError("A photo has no mask, or several.")
        return found

    def _actors(self) -> list[int]:
        """Processes below the driver that Ray has named after our actors."""
        listed = subprocess.check_output(["ps", "-eo", "pid,ppid,args"], text=True).splitlines()
        rows = [
            (int(row[0]), int(row[1]), row[2]) for row in (x.split(None, 2) for x in listed[1:])
        ]
        below = {self._process.pid}
        for pid, parent, _ in sorted(rows):
            if parent in below:
                below.add(pid)
        return [pid for pid, _, name in rows if pid in below and name.startswith(ACTOR)]


def lowest_iou(one: dict[str, dict], other: dict[str, dict]) -> float:
    pairs = [(one[file], other[file]) for file in one.keys() | other.keys()]
    return min(float(coco_mask.iou([left], [right], [0])[0, 0]) for left, right in pairs)


def measured(photos: Path, folder: Path) -> dict[str, object]:
    count = make_prompts(photos, folder / "prompts.jsonl")
    plain = Batch(photos, folder / "plain.json")
    seconds = {"batch": plain.seconds()}
    on_one_core = Batch(photos, folder / "one_core.json", cores=1)
    seconds["batch on one core"] = on_one_core.seconds()
    by_ray = Batch(photos, folder / "ray.json", "--ray")
    seconds["batch --ray"] = by_ray.seconds()
    killed = Batch(photos, folder / "killed.json", "--ray")
    killed.wait_for(count // 3)
    orphans = killed.kill()
    resumed = Batch(photos, folder / "killed.json", "--ray")
    resumed.wait_for(count * 2 // 3)
    resumed.kill_actor()
    seconds["resumed, with an actor killed"] = resumed.seconds()
    by_ray_masks, resumed_masks = by_ray.masks(), resumed.masks()
    return {
        "photos": count,
        "seconds": seconds,
        "actors that outlived the driver": len(orphans),
        "lowest IoU": {
            f"{name}, with {other}": lowest_iou(masks, others)
            for name, masks in (
                ("batch --ray", by_ray_masks),
                ("killed and resumed", resumed_masks),
            )
            for other, others in (
                ("batch", plain.masks()),
                ("batch on one core", on_one_core.masks()),
            )
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, help="with JPEGs (default: made ones)")
    parser.add_argument("--count", type=int, default=200, help="of made ones")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not arguments.folder:
            make_photos(folder / "photos", arguments.count)
        figures = measured((arguments.folder or folder / "photos").resolve(), folder)
    report = {"machine": machine(), **figures}
    print(json.dumps(report, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
