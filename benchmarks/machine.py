"""What a figure was measured on; torch is not imported for it."""

from __future__ import annotations

import os
import platform
import resource
import sys
from importlib.metadata import version
from pathlib import Path

from mobilesam.runtime import usable_cores

_PACKAGES = ("torch", "timm", "numpy", "opencv-python-headless", "gradio")


def machine() -> dict[str, object]:
    """Processor, cores and versions, for the JSON beside a figure."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES if _is_installed(name)},
    }


def processor_and_cores() -> str:
    """For the caption of a picture."""
    return f"{_processor()}, {usable_cores()} cores"


def peak_rss_mb() -> float:
    """The most memory, in MB of 10^6 bytes, that this process has held at once.

    Linux carries getrusage's figure over from the parent into the program it starts, so there the
    process's own high-water mark is read.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return high_water_mark_mb(status)
    except (OSError, ValueError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def high_water_mark_mb(status: str) -> float:
    """Peak resident memory in MB of 10^6 bytes, from the text of Linux's /proc/<pid>/status.

    Raises:
        ValueError: the text has no VmHWM.
    """
    return _status_mb(status, "VmHWM:")


def resident_mb(status: str) -> float:
    """Resident memory in MB of 10^6 bytes, from the text of Linux's /proc/<pid>/status.

    Raises:
        ValueError: the text has no VmRSS.
    """
    return _status_mb(status, "VmRSS:")


def _status_mb(status: str, field: str) -> float:
    for line in status.splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"There is no {field}")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except ModuleNotFoundError:
        return False
    return True
