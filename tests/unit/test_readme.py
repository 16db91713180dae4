"""The front matter of README.md configures a Space; the documentation names what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPACE = yaml.safe_load(README.split("---")[1])
REQUIREMENTS = (ROOT / "requirements.txt").read_text(encoding="utf-8")


def test_the_space_runs_the_gradio_that_is_pinned():
    (pin,) = re.findall(r"^gradio==(\S+)$", REQUIREMENTS, re.MULTILINE)
    assert SPACE["sdk"] == "gradio"
    assert SPACE["sdk_version"] == pin


def test_the_space_starts_a_file_that_is_there_on_a_python_that_is_supported():
    assert (ROOT / SPACE["app_file"]).is_file()
    assert SPACE["python_version"] in {
        "3.12"
    }  # the versions that a Gradio Space offers and this project supports


def test_the_space_preloads_the_official_checkpoint():
    assert SPACE["preload_from_hub"] == ["dhkim2810/MobileSAM mobile_sam.pt"]
    assert SPACE["models"] == ["dhkim2810/MobileSAM"]


def test_the_space_says_what_it_is_within_the_hubs_limits():
    assert 0 < len(SPACE["short_description"]) <= 60
    assert SPACE["license"] == "apache-2.0"


def test_the_optional_mcp_package_comes_with_the_same_gradio():
    extra = (ROOT / "requirements-mcp.txt").read_text(encoding="utf-8")
    assert re.findall(r"^gradio\[mcp\]==(\S+)$", extra, re.MULTILINE) == [SPACE["sdk_version"]]
    assert "-r requirements.txt" in extra


def test_every_environment_variable_is_documented():
    hosting = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    source = (ROOT / "mobilesam" / "settings.py").read_text(encoding="utf-8")
    assert set(re.findall(r'"(MOBILESAM_\w+)"', source)) == set(
        re.findall(r"^\| `(MOBILESAM_\w+)` \|", hosting, re.MULTILINE)
    )


@pytest.mark.parametrize("package", ["gradio", "huggingface_hub", "timm", "torch", "torchvision"])
def test_what_has_broken_many_spaces_is_bounded_above(package):
    (bounds,) = re.findall(rf"^{package}([=<>].*)$", REQUIREMENTS, re.MULTILINE)
    assert "==" in bounds or "<" in bounds


def links() -> list[tuple[Path, str]]:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    found = []
    for document in documents:
        text = document.read_text(encoding="utf-8")
        found += [(document, link) for link in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", text)]
    return sorted(set(found))


@pytest.mark.parametrize(("document", "target"), links())
def test_a_link_to_a_file_leads_to_one(document: Path, target: str):
    assert (document.parent / target).exists()


def files_named(document: str) -> list[str]:
    """Python and JavaScript files that a document names, such as `web/app.py`."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return sorted(set(re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|js))`", text)))


@pytest.mark.parametrize(
    ("document", "file"),
    [
        (one, file)
        for one in ("docs/architecture.md", "CONTRIBUTING.md")
        for file in files_named(one)
    ],
)
def test_a_file_that_a_document_names_exists(document: str, file: str):
    bases = ("", "mobilesam", "mobilesam/web", "mobilesam/web/static")
    assert any((ROOT / base / file).is_file() for base in bases)


def test_every_decision_record_is_listed():
    listed = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    records = {record.name for record in (ROOT / "docs" / "decisions").iterdir()}
    assert records == set(re.findall(r"\(decisions/([^)]+)\)", listed))


def test_no_file_is_too_large_for_a_repository_without_lfs():
    large = [file for file in (ROOT / "weights").iterdir() if file.name.startswith("model")]
    assert len(large) >= 4
    assert max(file.stat().st_size for file in large) < 10_000_000
