"""Memory allocation, cores and threads, on every platform."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mobilesam.runtime import (
    return_free_memory,
    run_at_low_priority,
    run_in_new_thread,
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


def test_a_new_thread_passes_on_the_result_or_the_exception() -> None:
    here = threading.get_ident()
    assert run_in_new_thread(threading.get_ident) != here

    def fail() -> None:
        raise KeyError("original")

    with pytest.raises(KeyError, match="original"):
        run_in_new_thread(fail)


def test_low_priority_applies_to_the_thread_and_those_that_it_starts() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    mine = niceness()
    lower = min(mine + 5, 19) if sys.platform.startswith("linux") else mine
    assert run_at_low_priority(niceness) == lower
    assert run_at_low_priority(lambda: run_in_new_thread(niceness)) == lower
    assert niceness() == mine


def test_work_runs_where_a_sandbox_forbids_to_change_the_priority(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse, raising=False)
    assert run_at_low_priority(lambda: 7) == 7
