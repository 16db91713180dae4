"""What one /everything may cost: the answer without a server, its clock and bounds at hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from PIL import Image

from mobilesam import PromptError
from mobilesam.web.api import endpoints as api
from tests.stub_options import KEEP_ALL


@pytest.fixture
def everything(segmenter, disc, monkeypatch, tmp_path):
    """everything(points_per_side): the endpoint's answer for the disc, four points a batch."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr("mobilesam.everything._BATCH", 4)
    path = str(tmp_path / "disc.png")
    Image.fromarray(disc).save(path)
    return lambda side: api.answer_everything(
        segmenter, path, {**KEEP_ALL, "points_per_side": side}
    )


def test_an_endless_run_is_broken_off_with_a_sentence(everything, stub_sam, monkeypatch):
    """A clock that goes on by 50 s whenever it is read: the third batch ends at 150 s."""
    clock = iter(range(0, 1000, 50))
    monkeypatch.setattr(api, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with pytest.raises(PromptError, match="longer than 120 s; use fewer points per side"):
        everything(4)
    assert stub_sam.mask_decoder.calls == 3  # of four


def test_a_run_that_ends_in_time_is_answered(everything, stub_sam, monkeypatch):
    clock = iter(range(0, 1000, 30))
    monkeypatch.setattr(api, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert len(everything(4)["masks"]) == 3 * 16
    assert stub_sam.mask_decoder.calls == 4


def test_an_answer_too_large_to_send_is_refused_with_a_sentence(everything, monkeypatch):
    size_bytes = sum(len(one["rle"]["counts"]) for one in everything(2)["masks"])
    monkeypatch.setattr(api, "_MAX_ANSWER_BYTES", size_bytes)
    assert len(everything(2)["masks"]) == 3 * 4
    monkeypatch.setattr(api, "_MAX_ANSWER_BYTES", size_bytes - 1)
    with pytest.raises(PromptError, match="too many regions for one answer; raise the thresholds"):
        everything(2)
