"""What is imported before the page is served, and what the page does until the model is there."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

import mobilesam
from mobilesam import Segmenter
from mobilesam.web.app import serve_page
from mobilesam.web.page import handlers as desk_module
from mobilesam.web.page.handlers import PageHandlers


def test_the_page_is_built_without_the_models_libraries() -> None:
    """They take longer to import than all the rest; the page must not wait for them."""
    program = (
        "import sys; import mobilesam.web.app, mobilesam.web.blocks; "
        "print(sorted({'torch', 'torchvision', 'timm', 'segment_anything'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", mobilesam.__all__)
def test_every_public_name_is_found_when_asked_for(name: str) -> None:
    assert getattr(mobilesam, name).__name__ == name


def test_another_name_is_missed_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        mobilesam.Nonsense  # noqa: B018


def test_a_visitor_waits_for_the_model_and_is_answered(segmenter: Segmenter, tmp_path: Path):
    model: Future[Segmenter] = Future()
    handlers = PageHandlers(model, tmp_path)
    replies = []
    visitor = threading.Thread(target=lambda: replies.append(handlers.about({"seq": 1})))
    visitor.start()
    visitor.join(0.2)
    assert visitor.is_alive()
    model.set_result(segmenter)
    visitor.join(10)
    (reply,) = replies
    told = {name: reply[name] for name in ("ok", "seq", "device", "weights", "reason")}
    assert told == {
        "ok": True,
        "seq": 1,
        "device": "CPU",
        "weights": "custom",
        "reason": "A stub for the tests.",
    }


def test_a_visitor_who_waited_too_long_is_told_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(desk_module, "MODEL_TIMEOUT_S", 0.01)
    reply = PageHandlers(Future(), tmp_path).about({"seq": 1})
    assert not reply["ok"]
    assert "still being loaded" in reply["error"]


def test_the_log_says_where_the_page_is_before_the_model_is_loaded(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = []

    class Page:
        local_url = "http://127.0.0.1:7999/"

        def launch(self, **options: object) -> None:
            assert options["quiet"]

        def block_thread(self) -> None:
            assert told == ["The page is at http://127.0.0.1:7999/"]

    def load(*args: object) -> Segmenter:
        told.extend(caplog.messages)
        return segmenter

    caplog.set_level(logging.INFO)
    for process_wide in ("tune_allocator", "configure_logging"):
        monkeypatch.setattr(f"mobilesam.web.app.{process_wide}", lambda: None)
    monkeypatch.setattr("mobilesam.web.app._load", load)
    monkeypatch.setattr("mobilesam.web.blocks.build_demo", lambda *_: Page())
    serve_page()
    assert told
