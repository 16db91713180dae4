"""Memory allocation, cores and threads, on every platform."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from mobilesam.runtime import (
    CpuThreads,
    GpuThread,
    return_free_memory,
    run_at_low_priority,
    tune_process,
    usable_cores,
)

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.fixture(autouse=True)
def spin_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "")  # is put back afterwards
    monkeypatch.delenv("GOMP_SPINCOUNT")


def test_threads_that_wait_sleep_soon_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tune_process()
    assert 0 < int(os.environ["GOMP_SPINCOUNT"]) <= 10_000  # libgomp's own default is 300,000
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    tune_process()
    assert os.environ["GOMP_SPINCOUNT"] == "7"


@pytest.mark.slow
def test_torch_is_not_imported_before_it_is_known_how_threads_wait() -> None:
    program = (
        "import sys\n"
        "from mobilesam.web import app\n"
        "from mobilesam.cli import main\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"False\n"


@pytest.mark.parametrize("error", [OSError("no such library"), AttributeError("no such function")])
def test_another_c_library_is_not_changed(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    opened = []

    def missing(name: str) -> None:
        opened.append(name)
        raise error

    monkeypatch.setattr(ctypes, "CDLL", missing)
    tune_process()
    return_free_memory()
    assert opened == ["libc.so.6", "libc.so.6"]


def test_all_three_settings_are_passed_to_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {}

    class Glibc:
        @staticmethod
        def mallopt(option: int, value: int) -> int:
            settings[option] = value
            return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Glibc)
    tune_process()
    assert settings == {-3: 2**30, -1: 2**31 - 1, -8: 1}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Only glibc keeps freed memory.")
def test_freed_memory_is_returned_to_the_system() -> None:
    program = (
        "import os\n"
        "from mobilesam.runtime import return_free_memory, tune_process\n"
        "page_mb = os.sysconf('SC_PAGE_SIZE') / 1e6\n"
        "def held(): return int(open('/proc/self/statm').read().split()[1]) * page_mb\n"
        "tune_process()\n"
        "blocks = [bytearray(b'x' * 1_000_000) for _ in range(200)]\n"
        "last = bytearray(1_000_000)\n"
        "del blocks\n"
        "before = held()\n"
        "return_free_memory()\n"
        "print(before - held())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert float(done.stdout) > 150


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("100000 100000", 1), ("50000 100000", 1), ("max 100000", CORES), ("", CORES)],
)
def test_a_containers_quota_bounds_the_cores(tmp_path: Path, quota: str, cores: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert usable_cores(file) == cores


def test_without_a_quota_all_cores_of_the_process_are_usable(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "missing") == CORES


def test_work_at_low_priority_passes_on_its_result_or_its_exception() -> None:
    here = threading.get_ident()
    assert run_at_low_priority(threading.get_ident) != here

    def fail() -> None:
        raise KeyError("original")

    with pytest.raises(KeyError, match="original"):
        run_at_low_priority(fail)


def test_low_priority_applies_to_the_thread_and_those_that_it_starts() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def started_by(work: Callable[[], int]) -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(work).result()

    mine = niceness()
    lower = min(mine + 5, 19) if sys.platform.startswith("linux") else mine
    assert run_at_low_priority(niceness) == lower
    assert run_at_low_priority(lambda: started_by(niceness)) == lower
    assert niceness() == mine


def test_work_runs_where_a_sandbox_forbids_to_change_the_priority(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse, raising=False)
    assert run_at_low_priority(lambda: 7) == 7


def test_on_a_cpu_prompts_are_decoded_where_they_are_asked_and_photos_in_threads_that_end() -> None:
    threads, here = CpuThreads(), threading.current_thread()
    assert threads.click(threading.current_thread) is here
    assert threads.prompts(threading.current_thread) is here
    encoded_in = threads.encode(threading.current_thread)
    assert encoded_in is not here
    assert not encoded_in.is_alive()


def test_on_a_cpu_photos_are_encoded_one_at_a_time() -> None:
    threads, running = CpuThreads(), []

    def encode() -> int:
        running.append(1)
        time.sleep(0.02)
        count = len(running)
        running.pop()
        return count

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: threads.encode(encode), range(3))) == [1, 1, 1]


def test_on_a_gpu_all_work_runs_in_one_thread_clicks_first() -> None:
    gpu, release, order = GpuThread(), threading.Event(), []

    def work(name: str) -> threading.Thread:
        order.append(name)
        return threading.current_thread()

    requests = [
        *(("photo 1", gpu.encode), ("prompts 1", gpu.prompts), ("click 1", gpu.click)),
        *(("photo 2", gpu.encode), ("click 2", gpu.click)),
    ]
    with ThreadPoolExecutor(len(requests) + 1) as users:
        running = users.submit(gpu.encode, lambda: release.wait(30))
        waits_for(lambda: gpu._waiting.empty())
        results = []
        for number, (name, run) in enumerate(requests, start=1):
            results.append(users.submit(run, partial(work, name)))
            waits_for(lambda number=number: gpu._waiting.qsize() == number)
        release.set()
        assert running.result(30)
        assert len({result.result(30) for result in results}) == 1
    assert order == ["click 1", "click 2", "photo 1", "prompts 1", "photo 2"]


def waits_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_an_error_on_a_gpu_reaches_its_caller_and_no_other() -> None:
    gpu = GpuThread()

    def fail() -> None:
        raise KeyError("original")

    with pytest.raises(KeyError, match="original"):
        gpu.encode(fail)
    assert gpu.click(lambda: 7) == 7


def test_the_thread_of_a_gpu_ends_with_the_last_reference_to_it() -> None:
    gpu = GpuThread()
    thread = gpu.click(threading.current_thread)
    assert thread.is_alive()
    del gpu
    thread.join(30)
    assert not thread.is_alive()
