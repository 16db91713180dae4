"""What is installed: OpenCV without a GUI, and torch that matches torchvision."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.serving import ROOT

REQUIREMENTS = [
    Requirement(text)
    for line in (ROOT / "requirements.txt").read_text().splitlines()
    if (text := line.partition("#")[0].strip())
]
NAMES = {item.name for item in REQUIREMENTS}


def test_opencv_is_required_without_its_gui():
    """The other builds link libGL and libxcb, which a slim Debian does not have."""
    assert [name for name in NAMES if name.startswith("opencv")] == ["opencv-python-headless"]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_no_requirement_is_left_out_on_a_supported_python(python):
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    assert all(item.marker is None or item.marker.evaluate(environment) for item in REQUIREMENTS)


@pytest.mark.slow
def test_cv2_is_installed_by_the_required_build_alone():
    assert packages_distributions()["cv2"] == ["opencv-python-headless"]


@pytest.mark.slow
def test_mismatched_torch_and_torchvision_are_one_sentence(tmp_path: Path):
    """A torchvision for another torch fails to register its operators when it is imported."""
    (tmp_path / "torchvision.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    program = (
        "import mobilesam\n"
        "try:\n"
        "    mobilesam.Segmenter\n"
        "except mobilesam.MobileSamError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "do not match; install both from the same index" in done.stdout
    assert done.stdout.count("\n") == 1
