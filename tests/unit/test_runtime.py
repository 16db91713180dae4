"""What the process is told at its start, and where it must not be told."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mobilesam.runtime import run_at_low_priority, run_in_new_thread, tune_allocator, usable_cores

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_only_linux_is_asked_for_glibc(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    def no_library(name: str) -> None:
        raise AssertionError(f"{name} was opened")

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", no_library)
    assert tune_allocator() is False


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert tune_allocator() is False


def test_all_three_settings_reach_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {}

    class Glibc:
        @staticmethod
        def mallopt(option: int, value: int) -> int:
            settings[option] = value
            return 1

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Glibc)
    assert tune_allocator() is True
    assert settings == {-3: 2**30, -1: 2**31 - 1, -8: 1}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Only glibc holds it back.")
def test_free_memory_goes_back_to_the_system() -> None:
    program = (
        "import os\n"
        "from mobilesam.runtime import return_free_memory, tune_allocator\n"
        "page_mb = os.sysconf('SC_PAGE_SIZE') / 1e6\n"
        "def held(): return int(open('/proc/self/statm').read().split()[1]) * page_mb\n"
        "tune_allocator()\n"
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


def test_without_a_quota_the_process_uses_what_it_may(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "missing") == CORES


def test_a_fresh_thread_hands_back_what_the_work_returns_or_raises() -> None:
    here = threading.get_ident()
    assert run_in_new_thread(threading.get_ident) != here

    def fail() -> None:
        raise KeyError("as it was")

    with pytest.raises(KeyError, match="as it was"):
        run_in_new_thread(fail)


def test_heavy_work_is_nicer_than_clicks_and_so_are_the_threads_it_starts() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    mine = niceness()
    nicer = min(mine + 5, 19) if sys.platform.startswith("linux") else mine
    assert run_at_low_priority(niceness) == nicer
    assert run_at_low_priority(lambda: run_in_new_thread(niceness)) == nicer
    assert niceness() == mine


def test_heavy_work_is_done_where_a_sandbox_allows_no_niceness(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse, raising=False)
    assert run_at_low_priority(lambda: 7) == 7
