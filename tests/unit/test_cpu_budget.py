"""What one request may cost: counted in the thread that works, and checked between objects."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mobilesam import PromptError
from mobilesam.cpu_budget import CpuBudget
from mobilesam.objects import PackedObjects, PhotoObject

SIZE_HW = (20, 30)
ITEMS = [PhotoObject("a", np.ones(SIZE_HW, bool))] * 3


class Spent(CpuBudget):
    """Is spent after so many looks."""

    def __init__(self, looks: int) -> None:
        super().__init__(60)
        self.left = looks

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise PromptError("Spent.")


def test_work_counts_and_waiting_does_not():
    effort = CpuBudget(0.05)
    time.sleep(0.1)
    effort.check()
    began = time.thread_time()
    while time.thread_time() < began + 0.06:
        pass
    with pytest.raises(PromptError, match="fewer objects"):
        effort.check()


def test_packing_an_object_and_every_look_at_one_is_checked():
    with pytest.raises(PromptError):
        PackedObjects(ITEMS, Spent(2))
    objects = PackedObjects(ITEMS, Spent(3 + 4))  # the last look finds the end
    assert len(list(objects)) == 3
    assert objects.sizes_hw == [("a", SIZE_HW)] * 3
    with pytest.raises(PromptError):
        objects[0]
    with pytest.raises(PromptError):
        PackedObjects(ITEMS, Spent(4)).exclusive("later")
