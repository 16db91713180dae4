"""The limit on a request's processor time: what counts, and where it is checked."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mobilesam import PromptError
from mobilesam.cpu_budget import CpuBudget
from mobilesam.interactions import AddPoint
from mobilesam.objects import PackedObjects, PhotoObject

SIZE_HW = (20, 30)
ITEMS = [PhotoObject("a", np.ones(SIZE_HW, bool))] * 3


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
    assert stub_sam.mask_decoder.calls == 2
    with pytest.raises(PromptError, match="too long"):
        segmenter.answer(embedding, log, CpuBudget(-1))
    assert stub_sam.mask_decoder.calls == 2
    segmenter.answer(embedding, log)
    assert stub_sam.mask_decoder.calls == len(log)
    segmenter.answer(embedding, log, CpuBudget(0.35))  # the predictions are remembered
    assert stub_sam.mask_decoder.calls == len(log)


def test_the_budget_is_checked_for_every_object_that_is_packed_or_unpacked():
    with pytest.raises(PromptError):
        PackedObjects(ITEMS, CountedBudget(2))
    objects = PackedObjects(ITEMS, CountedBudget(3 + 4))  # the last check finds the end
    assert len(list(objects)) == 3
    assert objects.sizes_hw == [("a", SIZE_HW)] * 3
    with pytest.raises(PromptError):
        objects[0]
    with pytest.raises(PromptError):
        PackedObjects(ITEMS, CountedBudget(4)).exclusive("later")
