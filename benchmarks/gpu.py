"""What a GPU gains: `python -m benchmarks.gpu --json gpu.json`, in about three minutes.

The original mobile_sam, this project's reference modules in new threads (what a GPU ran before its
own modules were there), and this project as it is, one after the other in one process. Each part
prints its rows as they come; a part that fails prints its traceback, and the next one begins.
`--device cpu --rounds 2` rehearses all of it without a GPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from benchmarks.agreement import compare_models, gridded_prompts, relative_error, summary
from benchmarks.machine import machine
from mobilesam import Prompt, Segmenter, Settings
from mobilesam.cli.batch import LocalRunner, read_prompts, run_batch
from mobilesam.cli.journal import Journal
from mobilesam.cli.photo_folder import LocalFolder
from mobilesam.embedding import compute_embedding
from mobilesam.images import Photo, open_photo
from mobilesam.model.backend import ModelBackend, graphs_backend, plain_backend
from mobilesam.model.fast_encoder import FastEncoder
from mobilesam.model.graphs import CudaDevice, GraphDevice
from mobilesam.model.sam import load_sam
from mobilesam.model.weights import WEIGHTS_DIR, resolve_weights
from mobilesam.predict import decode_batch, predict_masks
from mobilesam.runtime import CpuThreads, GpuThread, tune_process, usable_cores

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
BATCH_PHOTOS = 48
PROFILED_KERNELS = 22


class Bench:
    """The contenders, each made when it is first needed, and the figures so far."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device = torch.device(arguments.device)
        self.on_gpu = self.device.type == "cuda"
        self.rounds: int = arguments.rounds
        self.points_per_side: int = arguments.points_per_side if self.on_gpu else 2
        self.half = torch.float16 if self.on_gpu else torch.bfloat16
        self.pixels = open_photo(EXAMPLES / "street.jpg").pixels
        self.rows: list[dict[str, Any]] = []

    def row(self, what: str, value: float, unit: str = "ms", note: str = "") -> None:
        """Prints and keeps one figure."""
        self.rows.append({"what": what, "value": value, "unit": unit, "note": note})
        print(f"| {what} | {value:.3g} {unit} | {note} |", flush=True)

    def time(
        self, what: str, run: Callable[[], object], rounds: int = 0, warm_up: int = 3
    ) -> float:
        """The median of some calls in seconds, after a few that do not count."""
        seconds = []
        for _ in range(warm_up + (rounds or self.rounds)):
            self.wait()
            started = time.perf_counter()
            run()
            self.wait()
            seconds.append(time.perf_counter() - started)
        kept = seconds[warm_up:]
        median = statistics.median(kept)
        self.row(what, 1000 * median, note=f"worst {1000 * max(kept):.3g} ms")
        return median

    def wait(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize()

    @cached_property
    def graph_device(self) -> GraphDevice:
        if self.on_gpu:
            return CudaDevice(self.device)
        from tests.graph_device import ReplayingCpu

        return ReplayingCpu()

    @cached_property
    def sam(self) -> Any:
        return load_sam(WEIGHTS_DIR, self.device)

    @cached_property
    def before(self) -> ModelBackend:
        return replace(plain_backend(self.sam), threads=CpuThreads())

    @cached_property
    def reference(self) -> ModelBackend:
        return replace(self.before, threads=GpuThread())

    @cached_property
    def after(self) -> ModelBackend:
        """As `choose_backend` makes it."""
        return self.graphs(self.half)

    def graphs(self, dtype: torch.dtype) -> ModelBackend:
        threads = GpuThread()
        backend = threads.encode(lambda: graphs_backend(self.sam, dtype, self.graph_device))
        return replace(backend, threads=threads)

    def segmenter(self, backend: ModelBackend) -> Segmenter:
        """One whose cache has room for one photo."""
        return Segmenter(backend, resolve_weights("bundled"), "gpu", Settings(cache_bytes=1))

    def photos(self) -> Iterator[np.ndarray]:
        """The photo and its mirror image in turn, so that neither is in the cache."""
        pair = self.pixels, np.ascontiguousarray(self.pixels[:, ::-1])
        while True:
            yield from pair


def environment(bench: Bench) -> None:
    print(json.dumps(machine()))
    if bench.on_gpu:
        properties = torch.cuda.get_device_properties(0)
        print(properties, "cuDNN", torch.backends.cudnn.version(), flush=True)


def ours(bench: Bench) -> None:
    """Everything that a user of the demo or the Python API waits for."""
    started = time.perf_counter()
    backend = bench.after
    bench.row(
        "after: start of the modules", 1000 * (time.perf_counter() - started), note=backend.name
    )
    segmenter = bench.segmenter(backend)
    photo = open_photo(bench.pixels)
    bench.time("of it open_photo", lambda: open_photo(bench.pixels))
    bench.time("of it the digest", lambda: open_photo(bench.pixels).digest)
    bench.time("after: compute_embedding", lambda: compute_embedding(backend, photo, ""))
    pixels = torch.from_numpy(bench.pixels).permute(2, 0, 1)[None]
    in_thread(bench, backend, "after: encode, upload included", partial(backend.encode, pixels))
    click_rows(bench, "after", segmenter)
    embedding = segmenter.encode(bench.pixels)
    box = Prompt(box=(100, 100, 600, 500))
    bench.time("after: box to logits", lambda: segmenter.predict(embedding, box))
    mask_input = segmenter.predict(embedding, box).low_res_logits
    two = Prompt([(500, 400), (200, 500)], [1, 0])
    bench.time(
        "after: correction (2 points and mask_input) to logits",
        lambda: segmenter.predict(embedding, two, mask_input, False),
    )
    many = Prompt([(30 * n, 20 * n) for n in range(1, 30)], [1] * 29)
    bench.time("after: 29 points to logits", lambda: segmenter.predict(embedding, many))
    everything_row(bench, "after", segmenter)
    # Last, when the processors have reached their full clock rates.
    photos = bench.photos()
    bench.time("after: Segmenter.encode from numpy", lambda: segmenter.encode(next(photos)))


def click_rows(bench: Bench, name: str, segmenter: Segmenter) -> None:
    embedding = segmenter.encode(bench.pixels)
    click = Prompt([(500, 400)], [1])

    def to_mask() -> None:
        prediction = segmenter.predict(embedding, click)
        prediction.mask(prediction.best)

    bench.time(f"{name}: click to logits", lambda: segmenter.predict(embedding, click))
    bench.time(f"{name}: click to mask", to_mask)
    decode = partial(decode_batch, segmenter.backend, embedding, [click])
    in_thread(bench, segmenter.backend, f"{name}: decode, within its thread", decode)
    predict = partial(predict_masks, segmenter.backend, embedding, click)
    in_thread(bench, segmenter.backend, f"{name}: predict_masks, within its thread", predict)


def everything_row(bench: Bench, name: str, segmenter: Segmenter) -> None:
    side = bench.points_per_side
    embedding = segmenter.encode(bench.pixels)
    found = []
    bench.time(
        f"{name}: everything {side}x{side}",
        lambda: found.append(len(segmenter.everything(embedding, side))),
        rounds=min(3, bench.rounds),
        warm_up=1,
    )
    backend = segmenter.backend
    prompts = [Prompt([(5.0 + n, 9.0 + n)], [1]) for n in range(backend.prompts_at_once)]
    decode = partial(decode_batch, backend, embedding, prompts)
    in_thread(bench, backend, f"{name}: decode {len(prompts)} prompts", decode, rounds=5)
    print(f"{found[-1]} masks", flush=True)


def in_thread(
    bench: Bench, backend: ModelBackend, what: str, run: Callable[[], object], rounds: int = 0
) -> None:
    backend.threads.click(lambda: bench.time(what, run, rounds))


def before(bench: Bench) -> None:
    """The reference modules, every encode in a new thread: what a GPU did until now."""
    segmenter = bench.segmenter(bench.before)
    photos = bench.photos()
    rounds = min(5, bench.rounds)
    bench.time("before: Segmenter.encode", lambda: segmenter.encode(next(photos)), rounds)
    click_rows(bench, "before", segmenter)
    reference = bench.segmenter(bench.reference)
    bench.time("reference in one thread: Segmenter.encode", lambda: reference.encode(next(photos)))
    if bench.on_gpu:
        everything_row(bench, "before", segmenter)


def original(bench: Bench) -> None:
    """mobile_sam, from an array to its embedding and from a click to three masks."""
    from mobile_sam import SamAutomaticMaskGenerator, SamPredictor

    from benchmarks.original import original_sam

    sam = original_sam().to(bench.device)
    predictor = SamPredictor(sam)
    with torch.inference_mode():
        bench.time("original: set_image from numpy", lambda: predictor.set_image(bench.pixels))
        point = np.array([[500, 400]]), np.array([1])
        bench.time("original: click to masks", lambda: predictor.predict(*point))
        if bench.on_gpu:
            generator = SamAutomaticMaskGenerator(
                sam, bench.points_per_side, pred_iou_thresh=0.4, stability_score_thresh=0.3
            )
            bench.time(
                f"original: everything {bench.points_per_side}x{bench.points_per_side}",
                lambda: generator.generate(bench.pixels),
                rounds=1,
                warm_up=0,
            )


@torch.inference_mode()
def encoder_alone(bench: Bench) -> None:
    """The encoder as a graph in three precisions."""
    squares = torch.randn(1, 1024, 1024, 3, device=bench.device)

    for dtype in (torch.float16, torch.bfloat16, torch.float32) if bench.on_gpu else (bench.half,):
        encoder = FastEncoder(bench.sam.image_encoder, dtype)
        halved = squares.to(dtype)
        encode = partial(encoder.encode_squares, halved)
        replay, _ = bench.graph_device.record(lambda encode=encode: (encode(),))
        bench.time(f"encoder alone, graph, {dtype}", replay)


@torch.inference_mode()
def batches(bench: Bench) -> None:
    """Several photos at once, without a graph."""
    encoder = FastEncoder(bench.sam.image_encoder, bench.half)
    for size in (4, 16) if bench.on_gpu else (2,):
        reset_peak(bench)
        squares = torch.randn(size, 1024, 1024, 3, device=bench.device).to(bench.half)
        rounds = min(10, bench.rounds)
        eager = partial(encoder.encode_squares, squares)
        seconds = bench.time(f"encoder alone, {size} photos", eager, rounds)
        bench.row(f"encoder alone, {size} photos, per photo", 1000 * seconds / size)
        peak(bench, f"{size} photos")


def terminal(bench: Bench) -> None:
    """The command `batch` with three prompts for each of the photos, in JPEG files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = []
        count = BATCH_PHOTOS if bench.on_gpu else 2
        random = np.random.default_rng(0)
        for number in range(count):
            file = folder / f"{number:03}.jpg"
            Image.fromarray(np.roll(bench.pixels, 17 * number, axis=1)).save(file, quality=90)
            for _ in range(3):
                x, y = random.uniform(10, 600, 2)
                lines.append(json.dumps({"file": file.name, "points": [[x, y, 1]]}))
        (folder / "prompts.jsonl").write_text("\n".join(lines))
        photos_in = LocalFolder(folder)
        prompts, errors = read_prompts(folder / "prompts.jsonl", photos_in)
        assert not errors
        for backend, what in ((bench.reference, "reference"), (bench.after, "after")):
            for round_number in range(2):
                segmenter = Segmenter(backend, resolve_weights("bundled"), "gpu", Settings())
                with (
                    Journal(folder / f"{what}{round_number}.part") as journal,
                    tqdm(disable=True) as bar,
                ):
                    started = time.perf_counter()
                    runner = LocalRunner(segmenter, photos_in)
                    photos, failures = run_batch(runner, photos_in, prompts, journal, bar)
                    seconds = time.perf_counter() - started
                with Journal(folder / "flushed.part") as journal:
                    bench.time("of it flushing", partial(journal.append, "key", ["record"]), 9)
                assert len(photos) == count
                assert not failures
                at_once = f"{segmenter.photos_at_once} at once"
                bench.row(f"{what}: batch, 3 prompts each", count / seconds, "photos/s", at_once)


def agreement(bench: Bench) -> None:
    """Masks against those of the reference in float32: the examples and their halves."""
    photos = [open_photo(path) for path in sorted(EXAMPLES.iterdir()) if path.suffix != ".md"]
    halves = [half for photo in photos for half in halves_of(photo)]
    photos = [*photos, *halves] if bench.on_gpu else photos[:1]
    contenders = {str(bench.half): bench.after}
    if bench.on_gpu:
        others = (torch.bfloat16, torch.float32)
        contenders |= {str(dtype): bench.graphs(dtype) for dtype in others}
    for name, backend in contenders.items():
        answers, errors = [], []
        for photo in photos:
            exact, ours = (compute_embedding(one, photo, "") for one in (bench.reference, backend))
            errors.append(relative_error(exact.features, ours.features))
            for prompt in gridded_prompts(photo.size_hw, int(photo.digest[:8], 16)):
                answers.append(compare_models(bench.reference, exact, backend, ours, prompt))
        for what, value in summary(answers, errors).items():
            bench.row(f"{name}: {what}", value, "")


def halves_of(photo: Photo) -> tuple[Photo, Photo]:
    middle = photo.size_hw[1] // 2
    return open_photo(photo.pixels[:, :middle]), open_photo(photo.pixels[:, middle:])


def memory(bench: Bench) -> None:
    """The most that is allocated and reserved for one photo, a click and everything."""
    if not bench.on_gpu:
        return
    segmenter = bench.segmenter(bench.after)
    for what, run in {
        "encode": lambda: segmenter.encode(next(bench.photos())),
        "everything": lambda: segmenter.everything(segmenter.encode(bench.pixels), 16),
    }.items():
        reset_peak(bench)
        run()
        peak(bench, what)


def reset_peak(bench: Bench) -> None:
    if bench.on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak(bench: Bench, what: str) -> None:
    if bench.on_gpu:
        reserved = f"{torch.cuda.max_memory_reserved() / 1e9:.2f} GB reserved"
        bench.row(f"memory, {what}", torch.cuda.max_memory_allocated() / 1e9, "GB", reserved)


def kernels(bench: Bench) -> None:
    """Where the GPU's time goes."""
    from torch.profiler import ProfilerActivity, profile

    segmenter = bench.segmenter(bench.after)
    embedding = segmenter.encode(bench.pixels)
    click = Prompt([(500, 400)], [1])
    many = [Prompt([(5.0 + n, 9.0 + n)], [1]) for n in range(bench.after.prompts_at_once)]
    photo = torch.from_numpy(bench.pixels).permute(2, 0, 1)[None]
    activities = [ProfilerActivity.CUDA] if bench.on_gpu else [ProfilerActivity.CPU]
    key = "self_device_time_total" if bench.on_gpu else "self_cpu_time_total"
    for what, run in {
        "encode": partial(bench.after.encode, photo),
        "click": partial(predict_masks, bench.after, embedding, click),
        "64 prompts": partial(decode_batch, bench.after, embedding, many),
    }.items():

        def profiled(run: Callable[[], object] = run) -> Any:
            with profile(activities=activities) as result:
                for _ in range(5):
                    run()
                bench.wait()
            return result

        result = bench.after.threads.click(profiled)
        print(f"\n{what}, 5 times")
        averages = sorted(result.key_averages(), key=lambda one: -getattr(one, key))
        for one in averages[:PROFILED_KERNELS]:
            print(f"{getattr(one, key) / 5:9.1f} us  {one.count / 5:5.1f} x  {one.key[:110]}")
        print(f"{sum(getattr(one, key) for one in averages) / 5:9.1f} us in all", flush=True)


def tests(_bench: Bench) -> None:
    """The tests that need a GPU."""
    command = [sys.executable, "-m", "pytest", "--noconftest", "-q", "-c", "/dev/null"]
    options = ["--rootdir", str(ROOT), "-p", "no:cacheprovider", "tests/unit/test_gpu.py"]
    done = subprocess.run(
        [*command, *options], cwd=ROOT, timeout=150, capture_output=True, text=True
    )
    print(done.stdout[-9000:], done.stderr[-1500:], flush=True)


def training(bench: Bench) -> None:
    """The commands `batch`, `distill` and `finetune`, each in a separate process."""
    size, steps = ("512", "20") if bench.on_gpu else ("64", "2")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = []
        for path in sorted(EXAMPLES.glob("*.jpg")):
            height, width = open_photo(path).size_hw
            lines.append(json.dumps({"file": path.name, "points": [[width / 2, height / 2, 1]]}))
        (folder / "prompts.jsonl").write_text("\n".join(lines))
        learn = ["--size", size, "--steps", steps, "--batch", "4", "--precision"]
        distil = ["distill", "--teacher", "bundled", "--photos", "examples", "--scheme"]
        tune = ["finetune", "--weights", "bundled", "--photos", "examples"]
        tune += ["--annotations", str(folder / "masks.json")]
        half, wide = ("fp16", "bf16") if bench.on_gpu else ("bf16", "bf16")
        command(
            bench,
            [
                "batch",
                "examples",
                "--prompts",
                str(folder / "prompts.jsonl"),
                "--weights",
                "bundled",
            ],
            folder / "masks.json",
        )
        command(bench, [*tune, *learn, half], folder / "tuned.safetensors")
        if bench.on_gpu:
            command(bench, [*tune, "--encoder", *learn, wide], folder / "encoder.safetensors")
        command(bench, [*distil, "decoupled", *learn, half], folder / "decoupled.safetensors")
        command(bench, [*distil, "coupled", *learn, wide], folder / "coupled.safetensors")


def command(bench: Bench, arguments: list[str], out: Path) -> None:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "mobilesam", *arguments, "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
    )
    print(done.stdout[-1200:], done.stderr[-1500:], flush=True)
    outcome = "done" if done.returncode == 0 and out.exists() else f"failed ({done.returncode})"
    bench.row(f"command {' '.join(arguments)}", time.perf_counter() - started, "s", outcome)


PARTS: dict[str, Callable[[Bench], None]] = {
    "environment": environment,
    "ours": ours,
    "encoder_alone": encoder_alone,
    "kernels": kernels,
    "original": original,
    "before": before,
    "batches": batches,
    "terminal": terminal,
    "agreement": agreement,
    "memory": memory,
    "tests": tests,
    "training": training,
}
DEFAULT = [name for name in PARTS if name != "training"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--points-per-side", type=int, default=32)
    parser.add_argument(
        "--only",
        nargs="*",
        choices=PARTS,
        help="these parts, in this order (default: all but training)",
    )
    parser.add_argument("--json", type=Path, help="write the figures here too, after each part")
    arguments = parser.parse_args()
    tune_process()
    torch.set_num_threads(usable_cores())
    warnings.filterwarnings("ignore", category=FutureWarning)
    bench = Bench(arguments)
    began = time.perf_counter()
    for name in arguments.only or DEFAULT:
        print(f"\n## {name} (after {time.perf_counter() - began:.0f} s)", flush=True)
        try:
            PARTS[name](bench)
        except Exception:
            traceback.print_exc(limit=-6)
            sys.stderr.flush()
        if arguments.json:
            report = {"machine": machine(), "device": str(bench.device), "rows": bench.rows}
            arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"\nDone after {time.perf_counter() - began:.0f} s.")


if __name__ == "__main__":
    main()
