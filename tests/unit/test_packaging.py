"""The package that pip builds: what it requires, and that it runs from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import mobilesam
from tests.serving import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def required_by(file: str) -> set[str]:
    """The requirements in a file, those that it includes left out."""
    lines = (ROOT / file).read_text().splitlines()
    texts = (line.partition("#")[0].strip() for line in lines)
    return {str(Requirement(text)) for text in texts if text and not text.startswith("-r")}


def declared(requirements: list[str]) -> set[str]:
    return {str(Requirement(text)) for text in requirements}


def test_the_package_requires_what_the_requirements_file_does():
    assert declared(PROJECT["dependencies"]) == required_by("requirements.txt")


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_is_a_requirements_file(extra):
    assert declared(EXTRAS[extra]) == required_by(f"requirements-{extra}.txt")


def test_every_optional_requirements_file_is_an_extra():
    files = {path.stem.removeprefix("requirements-") for path in ROOT.glob("requirements-*.txt")}
    assert files - set(EXTRAS) == {"audit", "dev"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder in which the wheel is installed without what it requires, which is there."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", folder, wheel], check=True, capture_output=True)
    return folder


def run(installed: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=installed.parent, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.mark.slow
def test_the_wheel_has_the_weights_the_examples_and_the_page(wheel):
    assert mobilesam.__version__ in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder in ("weights", "examples"):
        expected = {f"mobilesam/data/{folder}/{path.name}" for path in (ROOT / folder).iterdir()}
        assert {name for name in names if f"/data/{folder}/" in name} == expected
    static = ROOT / "mobilesam" / "web" / "static"
    assert all(
        f"mobilesam/web/static/{path.relative_to(static).as_posix()}" in names
        for path in static.rglob("*")
        if path.is_file()
    )
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)


@pytest.mark.slow
def test_the_installed_command_segments_a_photo_from_any_folder(installed, tmp_path):
    mask = tmp_path / "mask.png"
    photo = installed / "mobilesam" / "data" / "examples" / "dog.jpg"
    command = str(installed / "bin" / "mobilesam")
    options = ["--point", "300,200", "--weights", "bundled", "--device", "cpu"]
    run(installed, sys.executable, command, "segment", str(photo), *options, "--out", str(mask))
    assert mask.stat().st_size > 100
    where = run(installed, sys.executable, "-c", "import mobilesam; print(mobilesam.__file__)")
    assert where.strip() == str(installed / "mobilesam" / "__init__.py")
