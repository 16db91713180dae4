"""The training loop: an exact resume, the end of a run, and what is written meanwhile."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from mobilesam import MobileSamError
from mobilesam.training.loop import build_accelerator, train
from mobilesam.training.options import LoopOptions
from mobilesam.training.run_files import RunFiles, check_new


class Line(nn.Module):
    """Fits a line; it remembers the batches that it saw, and fails at one of them."""

    def __init__(self, fail_at: int = -1) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.line = nn.Linear(2, 1)
        self.fixed = nn.Linear(1, 1).requires_grad_(False)
        self.seen: list[int] = []
        self.fail_at = fail_at

    def forward(self, batch):
        self.seen.append(int(batch["number"]))
        if len(self.seen) == self.fail_at:
            raise KeyboardInterrupt
        error = self.line(batch["x"]) - batch["x"].sum(1, keepdim=True) * 3
        return {"loss": error.square().mean(), "error": error.mean()}


@dataclass
class Samples:
    """Batch n, always the same."""

    spoiled: int = -1

    def __getitem__(self, number: int):
        if number == self.spoiled:
            raise MobileSamError("The photo is gone.")
        return {
            "number": number,
            "x": torch.randn(8, 2, generator=torch.Generator().manual_seed(number)),
        }


@pytest.fixture
def files(tmp_path):
    return RunFiles(tmp_path / "out.safetensors", tmp_path / "out.jsonl", {"seed": 1, "steps": 20})


@pytest.fixture
def said():
    return []


@pytest.fixture
def run(files, said):
    """run(model, files, evaluate, **options) trains; a checkpoint after each step by default."""

    def run_loop(model, where=files, evaluate=None, samples=None, **options):
        options = LoopOptions(**{"steps": 20, "checkpoint_seconds": 0, **options})
        accelerator = build_accelerator("no", options.accumulate)
        return train(
            model,
            model,
            samples or Samples(),
            options,
            where,
            accelerator,
            said.append,
            evaluate,
            quiet=True,
        )

    return run_loop


def same_weights(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def lines(files):
    return [json.loads(line) for line in files.log.read_text().splitlines()]


def test_an_interrupted_run_ends_with_the_weights_of_one_that_was_not(
    run, files, said, tmp_path, monkeypatch
):
    monkeypatch.setattr("mobilesam.training.run._LOG_SECONDS", -1)
    whole = Line()
    other = RunFiles(tmp_path / "whole", tmp_path / "whole.jsonl", files.identity)
    run(whole, other)
    assert whole.seen == list(range(20))
    for fail_at in (8, 5):
        with pytest.raises(KeyboardInterrupt):
            run(Line(fail_at))
    resumed = Line()
    outcome = run(resumed)
    assert resumed.seen == list(range(11, 20))
    assert same_weights(resumed, whole)
    assert outcome.steps == 20
    assert said == [f"Resumed after step {step} of out.safetensors.part." for step in (7, 11)]
    log = lines(files)
    assert log[0] == files.identity
    assert [line["step"] for line in log[1:]] == list(range(1, 21))
    assert [line["loss"] for line in log[1:]] == [line["loss"] for line in lines(other)[1:]]


def test_a_resumed_run_cuts_off_what_was_logged_after_its_checkpoint(run, files, monkeypatch):
    monkeypatch.setattr("mobilesam.training.run._LOG_SECONDS", -1)
    files.log.write_text('{"older": "run"}\n')
    with pytest.raises(KeyboardInterrupt):
        run(Line(8))
    with files.log.open("a") as log:
        log.write('{"step": 8}\n{"step"')
    run(Line())
    log = lines(files)
    assert log[0] == {"older": "run"}
    assert [line["step"] for line in log[2:]] == list(range(1, 21))


def test_it_learns_only_what_requires_gradients(run):
    model, start = Line(), Line()
    run(model, steps=300, learning_rate=0.1, checkpoint_seconds=60)
    assert same_weights(model.fixed, start.fixed)
    torch.testing.assert_close(model.line.weight, torch.tensor([[3.0, 3.0]]), atol=0.05, rtol=0)


def test_accumulated_batches_are_one_step(run, tmp_path):
    model = Line()
    assert run(model, steps=3, accumulate=4).steps == 3
    assert model.seen == list(range(12))
    expected = Line()
    optimizer = torch.optim.AdamW(expected.line.parameters(), weight_decay=0.01)
    options = LoopOptions(steps=3)
    for step in range(3):
        optimizer.param_groups[0]["lr"] = options.rate(step / 3)
        for number in range(4 * step, 4 * step + 4):
            (expected(Samples()[number])["loss"] / 4).backward()
        nn.utils.clip_grad_norm_(expected.line.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    torch.testing.assert_close(model.line.weight, expected.line.weight)


@pytest.mark.slow
def test_worker_processes_prepare_the_same_batches(run, files, tmp_path):
    alone, helped = Line(), Line()
    run(alone)
    run(helped, RunFiles(tmp_path / "other", tmp_path / "log", {}), workers=2)
    assert helped.seen == alone.seen
    assert same_weights(helped, alone)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_an_error_of_a_batch_is_its_own_sentence(run, workers):
    with pytest.raises(MobileSamError, match=r"^The photo is gone\.$"):
        run(Line(), samples=Samples(spoiled=3), workers=workers)


def test_the_learning_rate_rises_and_falls():
    options = LoopOptions(learning_rate=2.0)
    assert options.rate(0) == pytest.approx(0.2)
    assert options.rate(0.05) == pytest.approx(2.0)
    assert options.rate(0.525) == pytest.approx((2.0 + 0.02) / 2)
    assert options.rate(1) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("options", "progress"),
    [
        ({"steps": 40}, 0.25),
        ({"minutes": 2}, 0.5),
        ({"steps": 40, "minutes": 2}, 0.5),
        ({"steps": 40, "minutes": 100}, 0.25),
        ({"steps": 5}, 1),
        ({}, 1 / 60),
    ],
)
def test_a_run_ends_by_steps_or_by_minutes(options, progress):
    assert LoopOptions(**options).progress(10, 60.0) == pytest.approx(progress)


@pytest.mark.slow
def test_minutes_end_a_run(run):
    outcome = run(Line(), steps=None, minutes=0.005)
    assert outcome.steps >= 1
    assert 0.25 < outcome.steps * outcome.seconds_per_step < 10


def test_it_is_evaluated_before_between_and_after(run, files, said):
    model, modes = Line(), []

    def evaluate():
        modes.append((model.training, torch.is_grad_enabled(), len(model.seen)))
        return {"iou": len(model.seen) / 4}

    outcome = run(model, evaluate=evaluate, steps=10, evaluate_every=4)
    assert modes == [(False, False, seen) for seen in (0, 4, 8, 10)]
    assert model.training
    assert outcome.figures == {"iou": 2.5}
    assert said[1] == "After step 4: iou 1.000."
    # A busy machine may have taken long enough for lines about progress between them.
    evaluations = [line for line in lines(files) if "evaluation" in line]
    found = [(line["step"], line["evaluation"]["iou"]) for line in evaluations]
    assert found == [(0, 0), (4, 1), (8, 2), (10, 2.5)]


def test_patience_ends_a_run_with_the_best_weights_also_after_an_interruption(run, tmp_path):
    scores = {0: 0.1, 2: 0.5, 4: 0.4, 6: 0.3, 8: 0.9}

    def train_patiently(where, fail_at=-1, before=0):
        model = Line(fail_at)
        outcome = run(
            model,
            where,
            lambda: {"score": scores[before + len(model.seen)]},
            evaluate_every=2,
            patience=2,
        )
        return model, outcome

    where = RunFiles(tmp_path / "a", tmp_path / "a.jsonl", {})
    with pytest.raises(KeyboardInterrupt):
        train_patiently(where, fail_at=4)
    model, outcome = train_patiently(where, before=3)
    assert (outcome.steps, outcome.figures) == (6, {"score": 0.5})
    two_steps = Line(3)
    with pytest.raises(KeyboardInterrupt):
        run(two_steps, RunFiles(tmp_path / "b", tmp_path / "b.jsonl", {}))
    assert same_weights(model, two_steps)


def test_a_loss_that_is_not_a_number_is_one_sentence(run, monkeypatch):
    monkeypatch.setattr("mobilesam.training.run._LOG_SECONDS", -1)
    model = Line()
    model.line.weight.data.fill_(torch.nan)
    with pytest.raises(MobileSamError, match=r"not a number at step 1\. Use a lower"):
        run(model)


def test_an_existing_result_is_one_sentence(files):
    check_new(files.out)
    files.out.write_bytes(b"precious")
    with pytest.raises(MobileSamError, match=r"exists and is not overwritten\. Choose another"):
        check_new(files.out)


def test_a_checkpoint_of_other_options_is_one_sentence_and_stays(run, files):
    with pytest.raises(KeyboardInterrupt):
        run(Line(3))
    other = RunFiles(files.out, files.log, {"seed": 2, "steps": 20, "scheme": "coupled"})
    before = files.checkpoint.read_bytes()
    with pytest.raises(MobileSamError, match=r"run with another seed, scheme\. Give the same"):
        run(Line(), other)
    assert files.checkpoint.read_bytes() == before


def test_a_damaged_checkpoint_is_one_sentence(run, files):
    files.checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(MobileSamError, match=r"is damaged\. Choose another name after --out, or"):
        run(Line())


def test_a_full_disk_leaves_the_last_checkpoint(run, files, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        run(Line(4))
    before = files.checkpoint.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(MobileSamError, match=r"part cannot be written: No space left .* again"):
            run(Line())
    assert files.checkpoint.read_bytes() == before
    assert {path.name for path in files.out.parent.iterdir()} == {
        files.checkpoint.name,
        files.log.name,
    }


def test_the_result_replaces_the_checkpoint(files):
    files.write_checkpoint({"step": 1})
    files.finish(b"weights")
    assert files.out.read_bytes() == b"weights"
    assert not files.checkpoint.exists()


def test_a_precision_that_the_device_lacks_is_one_sentence():
    if torch.cuda.is_available():
        pytest.skip("a GPU has it")
    with pytest.raises(MobileSamError, match=r"^--precision fp16 cannot .* cpu does not have it"):
        build_accelerator("fp16")


def test_each_training_in_a_process_has_its_own_precision_and_accumulation():
    """Needs `AcceleratorState._reset_state` of accelerate, which is not public."""
    for precision, accumulate in (("bf16", 3), ("no", 1), ("bf16", 2)):
        accelerator = build_accelerator(precision, accumulate)
        assert accelerator.gradient_accumulation_steps == accumulate
        with accelerator.autocast():
            product = torch.ones(2, 2, device=accelerator.device) @ torch.ones(2, 2)
        assert product.dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)
