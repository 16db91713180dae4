"""Fine-tuning: what learns, from which masks, an exact resume, a result that the demo uses."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import Future
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from mobilesam import AnnotationError, ImageLimits, MobileSamError, Prompt, Segmenter, WeightsError
from mobilesam.model.checkpoint import read_tensors
from mobilesam.model.weights import WEIGHTS_DIR
from mobilesam.training import finetune as module
from mobilesam.training import mask_objective
from mobilesam.training.annotations import read_annotations
from mobilesam.training.embedding_store import EmbeddingStore
from mobilesam.training.finetune import FinetuneOptions, finetune, split_for_learning
from mobilesam.training.losses import mask_iou, mask_loss
from mobilesam.training.mask_objective import MaskBatches, MaskObjective, candidate_losses
from mobilesam.training.options import LoopOptions
from mobilesam.web.api.endpoints import Endpoints
from tests.training import SMALL, save_dataset, save_weights, small_sam

DECODER = ("prompt_encoder.", "mask_decoder.")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_weights(tmp_path_factory.mktemp("weights") / "random.safetensors")


@pytest.fixture
def options(tmp_path, weights):
    """Three small steps on five photos."""
    photos, file = save_dataset(tmp_path, 5)
    loop = LoopOptions(steps=3, learning_rate=1e-3, evaluate_every=2, patience=5)
    return FinetuneOptions(
        annotations=(file,),
        photos=photos,
        out=tmp_path / "mine.safetensors",
        weights=weights,
        size=SMALL,
        seed=1,
        loop=loop,
    )


@pytest.fixture
def said():
    return []


@pytest.fixture
def run(said, monkeypatch):
    """run(options), without the evaluation before and after, which takes most of the time."""
    monkeypatch.setattr(module, "evaluate", lambda *_args, **_kwargs: {"iou_point": 0.5})
    return lambda options: finetune(options, said.append, quiet=True)


def changed(before: Path, after: Path) -> set[str]:
    one, other = read_tensors(before), read_tensors(after)
    assert one.keys() == other.keys()
    return {name for name in one if not torch.equal(one[name], other[name])}


def improving(monkeypatch):
    """Each evaluation is better than the one before, so that the last weights are the result.

    Returns the figures of the complete evaluations: of the held-out photos before and after.
    """
    scores, complete = iter(range(100)), []

    def figures(*_args, max_clicks=None, **_kwargs):
        found = {"iou_point": float(next(scores))}
        if max_clicks is None:
            complete.append(found)
        return found

    monkeypatch.setattr(module, "evaluate", figures)
    return complete


@pytest.mark.slow
def test_prompt_encoder_and_decoder_learn_and_the_encoder_stays(run, options, monkeypatch):
    improving(monkeypatch)
    outcome = run(options)
    assert outcome.run.steps == 3
    names = changed(options.weights, options.out)
    assert any(name.startswith("mask_decoder.transformer.") for name in names)
    assert any(name.startswith("prompt_encoder.mask_downscaling.") for name in names)
    assert all(name.startswith(DECODER) for name in names)
    assert not any("positional_encoding" in name for name in names)


@pytest.mark.slow
def test_the_encoder_learns_too_if_asked_and_batchnorm_keeps_its_statistics(
    run, options, monkeypatch
):
    improving(monkeypatch)
    run(replace(options, encoder=True, loop=LoopOptions(steps=1, patience=5)))
    names = changed(options.weights, options.out)
    assert any(name.startswith("image_encoder.layers.0.") for name in names)
    assert any(name.endswith("attention_biases") for name in names)
    assert any(name.startswith("mask_decoder.") for name in names)
    assert not any("running_" in name for name in names)
    assert not (options.out.parent / "embeddings").exists()


@pytest.mark.slow
def test_without_progress_the_result_is_the_start(run, options, said):
    outcome = run(replace(options, loop=replace(options.loop, evaluate_every=1, patience=2)))
    assert outcome.run.steps == 2
    assert changed(options.weights, options.out) == set()


@pytest.mark.slow
def test_it_says_what_it_does_and_logs_before_and_after(run, options, said, monkeypatch):
    improving(monkeypatch)
    outcome = run(options)
    assert said[0] == "Photos: 4 to learn from with 8 masks, 1 to evaluate on."
    assert [sentence[:12] for sentence in said[1:-1]] == [f"After step {n}" for n in (0, 2, 3)]
    assert said[-1].endswith(f"MOBILESAM_WEIGHTS={options.out} make run")
    lines = [
        json.loads(line) for line in options.out.with_suffix(".jsonl").read_text().splitlines()
    ]
    assert lines[0]["seed"] == 1
    assert lines[-1] == {"before": outcome.before, "after": outcome.after}


class Killed(BaseException):
    """As good as a signal."""


@pytest.mark.slow
def test_a_run_that_was_killed_ends_with_the_same_weights(
    run, options, said, tmp_path, monkeypatch
):
    complete = improving(monkeypatch)
    loop = replace(options.loop, steps=4, checkpoint_seconds=0)
    options = replace(options, loop=loop, embeddings=tmp_path / "store")
    run(replace(options, out=tmp_path / "whole.safetensors"))
    forward, calls = MaskObjective.forward, []

    def dying(self, batch):
        calls.append(batch)
        if len(calls) == 3:
            raise Killed
        return forward(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(MaskObjective, "forward", dying)
        with pytest.raises(Killed):
            run(options)
    assert not options.out.exists()
    outcome = run(options)
    assert complete[2:] == [outcome.before, outcome.after]
    assert "Resumed after step 2 of mine.safetensors.part." in said
    assert changed(tmp_path / "whole.safetensors", options.out) == set()
    assert changed(options.weights, options.out)


@pytest.mark.slow
def test_other_annotations_are_not_resumed(run, options, monkeypatch):
    improving(monkeypatch)
    options = replace(options, loop=replace(options.loop, checkpoint_seconds=0))
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_result", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(options)
    document = json.loads(options.annotations[0].read_text())
    document["annotations"].pop()
    options.annotations[0].write_text(json.dumps(document))
    with pytest.raises(MobileSamError, match="belongs to a run with another annotations"):
        run(options)


@pytest.mark.slow
def test_an_existing_output_is_kept(run, options):
    options.out.write_bytes(b"precious")
    with pytest.raises(MobileSamError, match="exists and is not overwritten"):
        run(options)
    assert options.out.read_bytes() == b"precious"


@pytest.mark.slow
def test_a_vit_cannot_be_fine_tuned(run, options, monkeypatch):
    teacher = module.load_teacher(options.weights, SMALL)
    monkeypatch.setattr(module, "load_teacher", lambda *_: replace(teacher, layout="ViT-B"))
    with pytest.raises(WeightsError, match=r"^random.safetensors is a ViT-B\. Only MobileSAM"):
        run(options)


def annotated(options):
    return read_annotations(options.annotations, options.photos, options.size, pytest.fail)


@pytest.mark.parametrize("held_out", [0, 5, 9])
def test_too_few_photos_are_one_sentence(options, held_out):
    with pytest.raises(AnnotationError, match=r"^Of 5 photos with masks, .* another --held-out\.$"):
        split_for_learning(annotated(options), SMALL, held_out, 1)


def test_a_fifth_of_the_photos_is_held_out_and_at_least_one(options):
    photos = annotated(options)
    for count in (2, 5):
        learned, held_out = split_for_learning(photos[:count], SMALL, None, 1)
        assert (len(learned), len(held_out)) == (count - 1, 1)
    many = [replace(photos[0], digest=str(number)) for number in range(300)]
    assert len(split_for_learning(many, SMALL, None, 1)[1]) == 50


def test_targets_have_the_size_of_the_logits_without_the_padding(options):
    (photo, *_), _ = split_for_learning(annotated(options), SMALL, 1, 1)
    (source,) = [one for one in annotated(options) if one.digest == photo.digest]
    assert photo.size_hw == (24, 32)
    for mask, original in zip(photo.masks(), source.masks(), strict=True):
        assert np.abs(mask.repeat(4, 0).repeat(4, 1) ^ original).sum() < 0.2 * original.sum()


def test_only_the_best_candidate_of_a_mask_learns_and_all_predicted_ious_do():
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(2, 8, 8, dtype=torch.bool)
    masks[0, 2:5, 2:6] = masks[1, :, :3] = True
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    logits[0, 1] += 6 * masks[0] - 3
    logits[1, 2] += 6 * masks[1] - 3
    logits.requires_grad_()
    ious = torch.tensor([[0.9, 0.1, 0.3], [0.2, 0.5, 0.7]], requires_grad=True)
    by_mask, by_iou = candidate_losses(logits, ious, masks)
    for n, best in enumerate((1, 2)):
        assert by_mask[n] == mask_loss(logits[n, best][None], masks[n][None])
        truth = torch.cat([mask_iou(logits[n, c][None] > 0, masks[n][None]) for c in range(3)])
        assert by_iou[n].item() == pytest.approx((ious[n] - truth).square().mean().item())
    by_mask.sum().backward()
    learned = logits.grad.abs().sum((2, 3)) > 0
    assert learned.tolist() == [[False, True, False], [False, False, True]]
    by_iou.sum().backward()
    assert (ious.grad != 0).all()


def test_batches_are_equal_for_equal_numbers_and_show_every_photo_once_per_epoch(options, tmp_path):
    photos, _ = split_for_learning(annotated(options), SMALL, 1, 1)
    store = EmbeddingStore(tmp_path / "store", "d" * 64, SMALL)
    for number, photo in enumerate(photos):
        store.save(photo.digest, torch.full(store.shape, float(number)))
    batches = MaskBatches(tuple(photos), store, encoder=False, batch=2, seed=1)
    assert batches[3]["number"] == 3
    assert torch.equal(batches[3]["images"], batches[3]["images"])
    pairs = zip(batches[3]["masks"], batches[3]["masks"], strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    for epoch in range(3):
        shown = torch.cat([batches[2 * epoch + half]["images"][:, 0, 0, 0] for half in (0, 1)])
        assert sorted(shown.tolist()) == [0, 1, 2, 3]
    order = [tuple(batches[number]["images"][:, 0, 0, 0].tolist()) for number in range(12)]
    assert len(set(order)) > 3


def test_at_most_four_masks_of_a_photo_are_in_a_batch(options, tmp_path):
    (photo, *_), _ = split_for_learning(annotated(options), SMALL, 1, 1)
    store = EmbeddingStore(tmp_path / "store", "d" * 64, SMALL)
    store.save(photo.digest, torch.zeros(store.shape))
    crowded = replace(photo, rles=photo.rles * 5)
    masks = MaskBatches((crowded,), store, encoder=False, batch=1, seed=1)[0]["masks"]
    assert [tuple(mask.shape) for mask in masks] == [(4, 24, 32)]


@pytest.mark.slow
def test_prompts_are_points_or_boxes_then_corrections(monkeypatch):
    """SAM's objective: three candidates for a point alone, the chosen logits as mask_input."""
    sam, calls = small_sam(), []
    decode = mask_objective.decode

    def spying(_sam, embedding, coords, labels, boxes, mask_input, multimask_output):
        answer = decode(_sam, embedding, coords, labels, boxes, mask_input, multimask_output)
        calls.append((coords, labels, boxes, mask_input, multimask_output, answer))
        return answer

    monkeypatch.setattr(mask_objective, "decode", spying)
    masks = torch.zeros(2, 24, 32, dtype=torch.bool)
    masks[0, 4:12, 5:20] = masks[1, 10:20, 20:30] = True
    kinds = set()
    for number in range(4):
        calls.clear()
        batch = {"number": number, "images": torch.randn(1, 256, 8, 8), "masks": [masks]}
        MaskObjective(sam, encoder=False, seed=0)(batch)
        with_box = calls[0][2] is not None
        kinds.add(with_box)
        assert [call[0].shape[1] for call in calls] == [int(not with_box) + n for n in range(3)]
        assert [call[4] for call in calls] == [not with_box, False, False]
        assert calls[0][3] is None
        for before, after in pairwise(calls):
            logits, ious = before[5]
            chosen = torch.stack([logits[n, ious[n].argmax()] for n in range(2)])
            assert torch.equal(after[3], chosen[:, None])
            for n in range(2):
                x, y = ((after[0][n, -1] + 0.5) / 4 - 0.5).round().int().tolist()
                wrong = masks[n] != (chosen[n, :24, :32] > 0)
                assert wrong[y, x]
                assert after[1][n, -1] == masks[n, y, x]
    assert kinds == {True, False}


@pytest.mark.slow
def test_it_improves_masks_on_photos_that_it_did_not_see(options):
    loop = LoopOptions(steps=15, learning_rate=1e-3, evaluate_every=5, patience=3)
    options = replace(options, weights=WEIGHTS_DIR, loop=loop, held_out=2)
    outcome = finetune(options, lambda sentence: None, quiet=True)
    before, after = outcome.before, outcome.after
    assert after["masks"] == before["masks"] == 4
    assert after["iou_box"] > before["iou_box"] + 0.1
    assert after["iou_point"] > before["iou_point"] + 0.1
    assert after["noc_85"] < before["noc_85"]


@pytest.mark.slow
def test_the_demo_loads_the_result_and_answers_through_segment(
    run, options, photo, tmp_path, monkeypatch
):
    improving(monkeypatch)
    run(options)
    uploaded = tmp_path / "uploaded.png"
    shutil.copy(photo, uploaded)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setenv("MOBILESAM_WEIGHTS", str(options.out))
    segmenter = Segmenter.from_weights(device="cpu")
    assert segmenter.weights.path == options.out
    model: Future[Segmenter] = Future()
    model.set_result(segmenter)
    reply = Endpoints(model, ImageLimits()).segment(str(uploaded), [[90, 100, 1]])
    expected = segmenter.predict(segmenter.encode(uploaded), Prompt([(90, 100)], [1]))
    assert len(reply["masks"]) == 3
    for n, answer in enumerate(reply["masks"]):
        assert (coco_mask.decode(answer["rle"]) == expected.masks[n]).all()
