"""The limit on a request's processor time: what counts, and where it is checked."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mobilesam import PromptError
from mobilesam.cpu_budget import CpuBudget
from mobilesam.export import export_file, read_objects
from mobilesam.images import Photo
from mobilesam.interactions import AddPoint
from mobilesam.objects import PhotoObject, remove_overlaps

FULL = np.ones((20, 30), bool)


class CountedBudget(CpuBudget):
    """A budget of a number of checks."""

    def __init__(self, checks: int) -> None:
        super().__init__(60)
        self.left = checks

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise PromptError("Spent.")


def work(seconds: float) -> None:
    """Spends processor time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_work_counts_and_waiting_does_not():
    budget = CpuBudget(0.05)
    time.sleep(0.1)
    budget.check()
    work(0.06)
    with pytest.raises(PromptError, match="fewer objects"):
        budget.check()


def test_time_of_other_threads_counts_when_it_is_charged():
    budget = CpuBudget(60)
    budget.charge(59)
    budget.check()
    budget.charge(2)
    with pytest.raises(PromptError, match="too long"):
        budget.check()


@pytest.mark.slow
def test_decoding_in_another_thread_is_charged(segmenter, stub_sam, disc, monkeypatch):
    forward = stub_sam.mask_decoder.module.forward

    def slow(*args, **kwargs):
        work(0.2)
        return forward(*args, **kwargs)

    embedding = segmenter.encode(disc)
    log = tuple(AddPoint(60 + 5 * number, 60, 1) for number in range(5))
    with monkeypatch.context() as patch:
        patch.setattr(stub_sam.mask_decoder.module, "forward", slow)
        with pytest.raises(PromptError, match="too long"):
            segmenter.answer(embedding, log, CpuBudget(0.35))
    calls = stub_sam.mask_decoder.calls
    assert calls in (1, 2)  # each takes 0.2 s at least
    with pytest.raises(PromptError, match="too long"):
        segmenter.answer(embedding, log, CpuBudget(-1))
    assert stub_sam.mask_decoder.calls == calls
    segmenter.answer(embedding, log)
    assert stub_sam.mask_decoder.calls == len(log)
    segmenter.answer(embedding, log, CpuBudget(0.35))  # the predictions are remembered
    assert stub_sam.mask_decoder.calls == len(log)


def objects_within(checks: int) -> list[PhotoObject]:
    budget = CountedBudget(checks)
    return [PhotoObject("a", FULL, budget=budget) for _ in range(3)]


def test_the_budget_is_checked_for_every_object_and_every_access_to_a_mask():
    with pytest.raises(PromptError):
        objects_within(2)
    objects = objects_within(3 + 3)
    assert all(item.mask.all() for item in objects)
    assert [(item.size_hw, item.area) for item in objects] == [((20, 30), 600)] * 3
    with pytest.raises(PromptError):
        _ = objects[0].mask


def test_the_budget_covers_overlaps_and_the_objects_that_they_leave():
    with pytest.raises(PromptError):
        remove_overlaps(objects_within(3 + 5), "later")
    objects = remove_overlaps(objects_within(3 + 6), "later")
    with pytest.raises(PromptError):
        _ = objects[2].mask


def test_the_budget_of_sent_objects_covers_the_export():
    rows = [{"name": "a", "rle": {"size": [20, 30], "counts": [0, 600]}}] * 3
    photo = Photo(np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(PromptError, match="Spent"):
        read_objects(rows, (20, 30), CountedBudget(2))
    for checks in (3 + 2, 3 + 3):
        objects = read_objects(rows, (20, 30), CountedBudget(checks))
        if checks == 3 + 3:
            assert export_file("index_png", photo, objects, "a.png")[1]
        else:
            with pytest.raises(PromptError, match="Spent"):
                export_file("index_png", photo, objects, "a.png")
