"""Recordings of functions: bounded, without shared memory, and not required to succeed."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mobilesam.model.graphs import Graphs
from tests.graph_device import ReplayingCpu


def double_and_sum(x):
    return 2 * x, x.sum()


@pytest.fixture
def device():
    return ReplayingCpu()


@pytest.fixture
def graphs(device):
    return Graphs(device, limit=3)


def test_a_function_is_recorded_once_for_all_inputs_of_a_shape(graphs, device):
    for number in range(4):
        doubled, total = graphs.run("f", double_and_sum, torch.full((2, 3), float(number)))
        assert doubled.tolist() == [[2 * number] * 3] * 2
        assert total.item() == 6 * number
    assert device.recordings == 1


def test_each_function_shape_and_dtype_has_a_recording_of_its_own(graphs, device):
    x = torch.ones(2)
    assert graphs.run("f", double_and_sum, x)[1] == 2
    assert graphs.run("f", double_and_sum, torch.ones(3))[1] == 3
    assert graphs.run("f", double_and_sum, x.half())[1].dtype == torch.float16
    assert graphs.run("g", lambda x: (x + 1,), x)[0].tolist() == [2, 2]
    assert device.recordings == 4


def test_results_keep_their_values_after_later_calls(graphs):
    first, _ = graphs.run("f", double_and_sum, torch.ones(2))
    second, _ = graphs.run("f", double_and_sum, torch.zeros(2))
    assert first.tolist() == [2, 2]
    assert second.tolist() == [0, 0]


def test_changing_a_result_or_an_input_afterwards_changes_no_later_result(graphs):
    x = torch.ones(2)
    with torch.inference_mode():
        graphs.run("f", double_and_sum, x)[0].fill_(7)
        x.fill_(5)
    assert graphs.run("f", double_and_sum, torch.ones(2))[0].tolist() == [2, 2]


def test_a_later_call_does_not_change_the_inputs_of_the_first(graphs):
    x = torch.ones(2)
    graphs.run("f", double_and_sum, x)
    graphs.run("f", double_and_sum, torch.zeros(2))
    assert x.tolist() == [1, 1]


def test_beyond_the_limit_the_recording_that_was_unused_for_longest_goes(graphs, device):
    sizes = [1, 2, 3, 1, 4]
    for size in sizes:
        graphs.run("f", double_and_sum, torch.ones(size))
    assert len(graphs) == 3
    assert device.recordings == 4
    for size in (4, 1, 3):
        graphs.run("f", double_and_sum, torch.ones(size))
    assert device.recordings == 4
    graphs.run("f", double_and_sum, torch.ones(2))
    assert device.recordings == 5


def test_a_function_that_cannot_be_recorded_is_called(graphs, device, caplog):
    device.error = RuntimeError("operation not permitted")
    for number in (1, 2):
        doubled, _ = graphs.run("decoder", double_and_sum, torch.full((2,), float(number)))
        assert doubled.tolist() == [2 * number] * 2
    assert device.recordings == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "decoder" in caplog.text


def test_when_memory_is_full_the_next_call_tries_again(graphs, device):
    device.error = torch.OutOfMemoryError("full")
    with pytest.raises(torch.OutOfMemoryError):
        graphs.run("f", double_and_sum, torch.ones(2))
    device.error = None
    assert graphs.run("f", double_and_sum, torch.ones(2))[1] == 2
    assert device.recordings == 2


def test_an_error_of_another_kind_is_not_hidden(graphs, device):
    with pytest.raises(ZeroDivisionError):
        graphs.run("f", lambda x: (x / (1 // 0),), torch.ones(2))


def test_threads_that_call_at_once_get_their_own_results(graphs):
    together = threading.Barrier(4)

    def use(number):
        together.wait(10)
        return [
            graphs.run("f", double_and_sum, torch.full((50,), number + step))[1].item()
            for step in range(0, 2000, 10)
        ]

    with ThreadPoolExecutor(4) as pool:
        for number, totals in enumerate(pool.map(use, map(float, range(4)))):
            assert totals == [50 * (number + step) for step in range(0, 2000, 10)]
