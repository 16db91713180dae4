"""Distillation: what each scheme learns and leaves alone, an exact resume, and the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load, load_file, save_file
from timm.models.tiny_vit import tiny_vit_5m_224

from mobilesam import ImageError, MobileSamError, Prompt, Segmenter, Settings, WeightsError
from mobilesam.model.checkpoint import checkpoint_bytes, read_tensors
from mobilesam.model.weights import WEIGHTS_DIR
from mobilesam.training.agreement import (
    Answer,
    Distillation,
    PhotoBatch,
    agreement,
    iou,
    teacher_answers,
)
from mobilesam.training.distill import (
    DistillOptions,
    PhotoBatches,
    distill,
    hold_out,
    photo_batch,
)
from mobilesam.training.embedding_store import EmbeddingStore, StoredPhoto
from mobilesam.training.loop import build_accelerator, train
from mobilesam.training.options import LoopOptions
from mobilesam.training.photos import read_photo
from mobilesam.training.prompt_sampling import mask_box
from mobilesam.training.run_files import RunFiles
from mobilesam.training.student import build_student
from mobilesam.training.teacher import load_teacher

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 120


@pytest.fixture(scope="module")
def teacher():
    """The bundled weights at 64 x 64 pixels."""
    return load_teacher(WEIGHTS_DIR, 64).sam


@pytest.fixture(scope="module")
def photos(tmp_path_factory, draw_disc) -> Path:
    """A folder with a wide and a tall photo."""
    folder = tmp_path_factory.mktemp("photos")
    Image.fromarray(draw_disc(0)).save(folder / "wide.png")
    Image.fromarray(draw_disc(1, (150, 100))).save(folder / "tall.png")
    return folder


@pytest.fixture
def run(photos, tmp_path):
    """run(scheme, **options) distils on both photos and gives the path of the result."""

    def run_distill(scheme="decoupled", said=None, **changes):
        loop = LoopOptions(steps=changes.pop("steps", 2), **changes.pop("loop", {}))
        options = DistillOptions(
            teacher=WEIGHTS_DIR,
            photos=photos,
            scheme=scheme,
            out=tmp_path / f"{scheme}.safetensors",
            size=64,
            batch=2,
            held_out=0,
            loop=loop,
        )
        options = replace(options, **changes)
        distill(options, (said if said is not None else []).append, quiet=True)
        return options.out

    return run_distill


def part(state, name):
    return {key: tensor for key, tensor in state.items() if key.startswith(f"{name}.")}


@pytest.fixture(autouse=True)
def one_thread():
    """Sums depend on the number of threads, which other tests change."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def equal(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name].float(), other[name].float()) for name in one)


@dataclass
class OneBatch:
    """Two photos, always with the same prompts."""

    batch: PhotoBatch

    def __getitem__(self, number: int) -> PhotoBatch:
        return self.batch


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "steps"), [("decoupled", 110), ("semi-coupled", 60), ("coupled", 50)]
)
def test_a_random_student_learns_two_photos_by_heart(
    scheme, steps, teacher, photos, tmp_path, tell
):
    """The masks of the candidates that the teacher prefers, for the prompts that were learned."""
    read = [read_photo(path, 64) for path in sorted(photos.iterdir())]
    pixels = torch.stack([photo.pixels for photo in read])
    with torch.inference_mode():
        embeddings = teacher.image_encoder(teacher.preprocess(pixels)).half()
    sizes = torch.tensor([photo.input_size for photo in read])
    batch = PhotoBatch(number=0, pixels=pixels, input_sizes=sizes, embeddings=embeddings)
    student = build_student(scheme, teacher, 64, seed=0)
    objective = Distillation(scheme, student, teacher, seed=0)

    def evaluate():
        ours = student.image_encoder(student.preprocess(pixels))
        answers = list(objective.answers(ours, batch))
        assert len(answers) == 4  # points and boxes on each photo
        ious = [iou(given, target.default, target).mean() for given, target in answers]
        return {"iou": float(torch.stack(ious).mean())}

    said = []
    outcome = train(
        objective,
        student,
        OneBatch(batch),
        LoopOptions(
            steps=steps,
            learning_rate=3e-3 if scheme == "decoupled" else 1e-3,
            checkpoint_seconds=1e9,
        ),
        RunFiles(tmp_path / "out", tmp_path / "log", {}),
        build_accelerator(),
        said.append,
        evaluate,
        quiet=True,
    )
    assert float(said[0].removeprefix("After step 0: iou ").rstrip(".")) < 0.5
    tell(f"{scheme}: {said[0]} {said[-1]}")
    assert outcome.figures["iou"] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["decoupled", "semi-coupled", "coupled"])
def test_only_what_the_scheme_names_is_learned(run, scheme, teacher):
    """A frozen decoder is the teacher's to the last bit; the coupled one is neither the teacher's
    nor what it was at the start."""
    result = load_file(run(scheme))
    ours = read_tensors(WEIGHTS_DIR)
    assert {name: tensor.shape for name, tensor in result.items()} == {
        name: tensor.shape for name, tensor in ours.items()
    }
    assert equal(part(result, "prompt_encoder"), part(ours, "prompt_encoder"))
    is_the_teachers = equal(part(result, "mask_decoder"), part(ours, "mask_decoder"))
    assert is_the_teachers == (scheme != "coupled")
    start = build_student(scheme, teacher, 64, seed=0)
    before = load(checkpoint_bytes(start, {}))
    for module in ("image_encoder", "mask_decoder"):
        learns = module == "image_encoder" or scheme == "coupled"
        assert equal(part(result, module), part(before, module)) != learns


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_ends_with_the_same_weights(photos, tmp_path):
    """All runs have processes of their own, so that they differ in nothing but the kill."""
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"

    def started(out):
        command = [sys.executable, "-m", "tests.distill_driver", str(photos), str(out)]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)

    uninterrupted = started(whole)
    checkpoint = tmp_path / "killed.safetensors.part"
    process = started(killed)
    deadline = time.monotonic() + WAIT_S
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert checkpoint.exists()
    assert not killed.exists()
    resumed = started(killed)
    said, _ = resumed.communicate(timeout=WAIT_S)
    uninterrupted.communicate(timeout=WAIT_S)
    assert "Resumed after step " in said
    assert not checkpoint.exists()
    assert equal(load_file(whole), load_file(killed))
    steps = [json.loads(line) for line in killed.with_suffix(".jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps if "evaluation" in line] == [0, 8]


@pytest.mark.slow
def test_two_processes_learn_as_one_with_twice_the_batches_per_step(photos, tmp_path):
    """As `accelerate launch` starts them on two GPUs; only the first one speaks."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}

    def learn(out: Path, launcher: str, more: str) -> str:
        command = f"""
            {launcher} -m mobilesam distill --teacher bundled --photos {photos} --scheme decoupled
            --size 64 --batch 2 --steps 2 --held-out 0 --out {out} {more}
        """.split()
        arguments = [sys.executable, *command]
        done = subprocess.run(
            arguments, cwd=ROOT, env=env, capture_output=True, text=True, timeout=WAIT_S
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    both, single = tmp_path / "two.safetensors", tmp_path / "one.safetensors"
    said = learn(both, "-m torch.distributed.run --standalone --nproc-per-node 2", "")
    assert said.count("Photos: 2 to learn from, ") == 1
    assert said.count(f"{both} is ready after 2 steps") == 1
    learn(single, "", "--accumulate 2")
    one, two = load_file(single), load_file(both)
    # The statistics of BatchNorm, "running_*", are those of the first process's photos.
    learned = [name for name in one if "running_" not in name]
    differences = torch.cat([(one[name] - two[name]).abs().flatten() for name in learned])
    assert differences.mean() < 1e-6  # a step changes a weight by up to 1e-3


@pytest.mark.slow
def test_the_demo_loads_the_result(run, photos):
    segmenter = Segmenter.from_weights(run("coupled"), device="cpu", settings=Settings())
    prediction = segmenter.predict(segmenter.encode(photos / "wide.png"), Prompt([(90, 60)], [1]))
    assert prediction.masks.shape == (3, 120, 180)
    assert np.isfinite(prediction.iou_predictions).all()


@pytest.mark.slow
def test_the_result_says_how_it_was_made(run):
    out = run("decoupled", seed=3)
    assert {tensor.dtype for tensor in load_file(out).values()} == {torch.float32}
    with safe_open(out, "pt") as file:
        metadata = file.metadata()
    facts = {name: metadata[name] for name in ("scheme", "seed", "steps", "size")}
    assert facts == {"scheme": "decoupled", "seed": "3", "steps": "2", "size": "64"}


@pytest.mark.slow
def test_a_student_starts_from_timms_imagenet_weights(teacher, tmp_path):
    torch.manual_seed(9)
    trunk = tiny_vit_5m_224()
    save_file(trunk.state_dict(), tmp_path / "tiny_vit.safetensors")
    student = build_student("coupled", teacher, 64, 0, tmp_path / "tiny_vit.safetensors")
    ours, theirs = student.image_encoder.trunk.state_dict(), trunk.state_dict()
    assert equal(ours, {name: theirs[name] for name in ours})
    save_file({"patch_embed.conv1.conv.weight": torch.zeros(1)}, tmp_path / "part.safetensors")
    with pytest.raises(WeightsError, match=r"^part.safetensors is not a checkpoint of timm's"):
        build_student("coupled", teacher, 64, 0, tmp_path / "part.safetensors")


@pytest.mark.slow
def test_a_student_starts_from_a_checkpoint_of_mobilesam(teacher):
    student = build_student("decoupled", teacher, 64, 0, WEIGHTS_DIR)
    tensors = load(checkpoint_bytes(student, {}))
    assert equal(tensors, read_tensors(WEIGHTS_DIR))
    assert student.image_encoder.img_size == 64
    with pytest.raises(WeightsError, match="does not exist"):
        build_student("decoupled", teacher, 64, 0, Path("absent.safetensors"))


@pytest.mark.slow
def test_the_teacher_agrees_with_itself_and_not_with_a_random_student(teacher, photos, tmp_path):
    store = EmbeddingStore(tmp_path, "0" * 64, 64)
    batches = []
    for number, path in enumerate(sorted(photos.iterdir())):
        pixels = read_photo(path, 64).pixels[None]
        with torch.inference_mode():
            store.save(str(number), teacher.image_encoder(teacher.preprocess(pixels))[0])
        batches.append(photo_batch([StoredPhoto(path, str(number))], store, number))
    with torch.inference_mode():
        assert min(agreement(teacher, teacher, batches).values()) > 0.98  # float16
        stranger = build_student("decoupled", teacher, 64, 0).eval()
        assert max(agreement(stranger, teacher, batches).values()) < 0.7


def test_the_teacher_stays_in_eval_mode(teacher):
    student = build_student("coupled", teacher, 64, 0)
    objective = Distillation("coupled", student, teacher, seed=0).train()
    assert student.image_encoder.training
    assert not teacher.training
    objective.eval()
    assert not student.image_encoder.training


def test_the_prompts_are_points_on_the_photo_and_boxes_around_its_masks(teacher):
    embedding = torch.randn(256, 4, 4, generator=torch.Generator().manual_seed(1))
    points = np.array([[5, 6], [20, 30]], np.float32)
    at_points, in_boxes = teacher_answers(teacher, embedding, (40, 63), points, mask_box)
    assert at_points[0].points.tolist() == [[[5, 6]], [[20, 30]]]
    assert at_points[0].boxes is None
    assert at_points[1].logits.shape == (2, 3, 10, 16)
    masks = at_points[1].masks(at_points[1].default).numpy()
    for box, mask in zip(in_boxes[0].boxes.tolist(), masks, strict=True):
        rows, columns = np.nonzero(mask if mask.any() else ~mask)
        assert box == [
            columns.min() * 4 + 1.5,
            rows.min() * 4 + 1.5,
            columns.max() * 4 + 1.5,
            rows.max() * 4 + 1.5,
        ]
    assert in_boxes[0].points.shape == (2, 0, 2)
    assert in_boxes[1].logits.shape == (2, 1, 10, 16)


def test_the_default_candidate_has_the_highest_predicted_iou():
    logits = torch.full((2, 3, 1, 1), -1.0)
    logits[0, 2] = logits[1, 0] = 1.0
    answer = Answer(logits, torch.tensor([[0.1, 0.2, 0.3], [0.1, 0.9, 0.3]]))
    assert answer.default.tolist() == [2, 1]
    assert answer.masks(answer.default).flatten().tolist() == [True, False]
    assert answer.masks(torch.tensor([0, 0])).flatten().tolist() == [False, True]


def batches_of(count, batch=4):
    photos = tuple(StoredPhoto(Path(f"{name}.png"), str(name)) for name in range(count))
    return PhotoBatches(photos, EmbeddingStore(Path("none"), "0" * 64, 64), batch, seed=1)


def test_every_photo_is_learned_once_in_each_epoch(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "mobilesam.training.distill.photo_batch",
        lambda photos, store, number, random: seen.append([photo.digest for photo in photos]),
    )
    batches = batches_of(10)
    for number in range(5):
        batches[number]
    order = [digest for batch in seen for digest in batch]
    assert sorted(order[:10]) == sorted(order[10:]) == sorted(map(str, range(10)))
    assert order[:10] != order[10:]
    batches_of(10)[3]
    assert seen[-1] == seen[3]


def test_copies_of_a_photo_are_never_on_both_sides():
    photos = [StoredPhoto(Path(f"{name}.png"), str(name // 2)) for name in range(200)]
    learned, held_out = hold_out(photos, None, seed=0)
    assert (len(learned), len(held_out)) == (95, 5)
    assert not {photo.digest for photo in learned} & {photo.digest for photo in held_out}
    assert len(hold_out(photos, 30, seed=0)[1]) == 30
    assert [len(side) for side in hold_out(photos[:2], None, seed=0)] == [1, 0]
    with pytest.raises(MobileSamError, match=r"^--held-out 100 leaves no photo to learn from"):
        hold_out(photos, 100, seed=0)


def test_a_photo_that_vanishes_is_one_sentence(tmp_path):
    store = EmbeddingStore(tmp_path, "0" * 64, 64)
    with pytest.raises(ImageError, match=r"absent\.png: .*"):
        photo_batch([StoredPhoto(tmp_path / "absent.png", "0")], store, 0)
