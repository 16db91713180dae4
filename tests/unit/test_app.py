"""Starting and stopping the page: the order of things, and what of Gradio the stop relies on."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import gradio as gr
import httpx
import pytest

import mobilesam
from mobilesam import MobileSamError, Segmenter
from mobilesam.web import app, blocks
from mobilesam.web.app import serve_page
from tests.event_loop import run_async


@pytest.mark.slow
def test_the_page_is_built_without_the_models_libraries() -> None:
    """They take longer to import than all the rest; the page must not wait for them."""
    program = (
        "import sys; import mobilesam.web.app; assert 'gradio' not in sys.modules;"
        "import mobilesam.web.blocks; "
        "print(sorted({'torch', 'torchvision', 'timm', 'segment_anything'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "name",
    [
        "AnnotationError", "CacheInfo", "EverythingOptions", "ImageEmbedding", "ImageError",
        "ImageLimits", "MaskRecord", "MobileSamError", "PhotoObject", "Prediction", "Prompt",
        "PromptError", "Segmenter", "Settings", "WeightsError",
    ],
)  # fmt: skip
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(mobilesam, name).__name__ == name


def test_an_unknown_name_raises_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        mobilesam.Nonsense  # noqa: B018


class Page:
    """A demo that serves nothing and notes what happens to it."""

    local_url = "http://127.0.0.1:7999/"

    def __init__(self) -> None:
        self.events: list[str] = []
        self.models: list[Future[Segmenter]] = []
        self.error: Exception | None = None
        self.options: dict[str, object] = {}

    def build(self, _handlers: object, model: Future[Segmenter], *_: object) -> Page:
        self.models.append(model)
        return self

    def launch(self, **options: object) -> None:
        assert options["quiet"]
        assert options["prevent_thread_lock"]
        self.events.append("launched")
        self.options = options
        if self.error:
            raise self.error

    def block_thread(self) -> None:
        self.events.append("served" if self.models[0].result() else "")


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Page:
    """What serve_page serves, with a model that needs no loading."""
    page = Page()

    def load(*_: object) -> str:
        page.events.append("loaded")
        return "model"

    for process_wide in ("tune_process", "configure_logging"):
        monkeypatch.setattr(app, process_wide, lambda: None)
    monkeypatch.setattr(app, "_load", load)
    monkeypatch.setattr("gc.freeze", lambda: page.events.append("frozen"))
    monkeypatch.setattr("mobilesam.web.blocks.close", lambda _: page.events.append("closed"))
    monkeypatch.setattr("mobilesam.web.blocks.build_demo", page.build)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return page


@pytest.mark.slow
def test_the_page_is_served_before_the_model_is_loaded_and_closed_at_the_end(
    page: Page, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    serve_page()
    assert page.events == ["launched", "loaded", "frozen", "served", "closed"]
    assert "The page is at http://127.0.0.1:7999/" in caplog.messages
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_cannot_be_loaded_ends_the_page_and_the_requests_that_wait(
    page: Page, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def load(*_: object) -> Segmenter:
        raise MobileSamError("Damaged.")

    monkeypatch.setattr(app, "_load", load)
    with pytest.raises(MobileSamError, match="Damaged"):
        serve_page()
    assert page.events == ["launched", "closed"]
    assert isinstance(page.models[0].exception(), MobileSamError)
    assert list(tmp_path.iterdir()) == []


def test_an_mcp_server_that_cannot_start_ends_the_requests_that_wait_too(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the threads in which they wait would keep the process alive."""

    def prepare(*_: object) -> None:
        raise MobileSamError("No MCP.")

    monkeypatch.setattr("mobilesam.web.api.mcp.prepare_mcp_server", prepare)
    with pytest.raises(MobileSamError, match="No MCP"):
        serve_page(mcp=True)
    assert page.events == ["launched", "closed"]
    assert isinstance(page.models[0].exception(), MobileSamError)


def test_a_port_that_is_taken_gets_a_sentence(page: Page) -> None:
    page.error = OSError("Cannot find empty port")
    with pytest.raises(MobileSamError, match="Choose a free port"):
        serve_page()
    assert page.events == ["launched"]


def test_the_port_of_the_environment_is_fixed(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio would look for a free one from there on, and a proxy would reach another program."""
    monkeypatch.setenv("GRADIO_SERVER_PORT", "7971")
    serve_page()
    assert page.options["server_port"] == 7971
    serve_page(port=80)
    assert page.options["server_port"] == 80


def test_a_missing_package_of_the_mcp_server_gets_a_sentence(page: Page) -> None:
    page.error = ImportError('Please install it with `pip install "gradio[mcp]"`')
    with pytest.raises(MobileSamError, match="pip install"):
        serve_page(mcp=True)
    assert page.events == ["launched"]


def test_a_missing_package_of_the_shared_cache_gets_a_sentence(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOBILESAM_CACHE_URL", "redis://localhost")
    monkeypatch.delitem(sys.modules, "mobilesam.redis_cache", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MobileSamError, match=r"pip install -r requirements-redis\.txt"):
        serve_page()
    assert page.events == []


def test_an_invalid_address_of_the_shared_cache_gets_a_sentence(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOBILESAM_CACHE_URL", "localhost:6379")
    with pytest.raises(MobileSamError, match="must be an address like redis://localhost:6379/0"):
        serve_page()
    assert page.events == []


@pytest.mark.slow
def test_redis_is_only_imported_for_a_shared_cache() -> None:
    program = (
        "import sys; from mobilesam.web import app, blocks, health, metrics; import mobilesam;"
        "mobilesam.Segmenter; app._shared_cache(None); assert 'redis' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cleans_up_once_and_ends_the_process_with_status_0(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    class Ended(BaseException):
        pass

    def end(status: int) -> None:
        raise Ended(status)

    monkeypatch.setattr(os, "_exit", end)
    before = signal.getsignal(number)
    cleaned = []

    def run() -> None:
        with ExitStack() as cleanup:
            app._stop_on_signals(cleanup)
            cleanup.callback(cleaned.append, "files")
            cleanup.callback(cleaned.append, "server")
            os.kill(os.getpid(), number)
            time.sleep(5)  # interrupted by the signal

    with pytest.raises(Ended, match="0"):
        run()
    assert cleaned == ["server", "files"]
    assert signal.getsignal(number) == before


@pytest.mark.slow
def test_closing_lets_requests_finish_for_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Needs `Blocks.server.config.timeout_graceful_shutdown` and `Blocks.app.stop_event`."""
    uvicorn_log = logging.getLogger("uvicorn.error")
    monkeypatch.setattr(uvicorn_log, "level", uvicorn_log.level)
    started = threading.Event()

    def work() -> str:
        started.set()
        time.sleep(1)
        return "finished"

    async def launch() -> gr.Blocks:  # Gradio leaves a loop behind in a thread that has none
        demo = gr.Blocks(analytics_enabled=False)
        with demo:
            text = gr.Textbox()
            gr.Button().click(work, None, text, api_name="work")
            demo.unload(lambda: None)  # so that open pages hold a stream
        demo.launch(prevent_thread_lock=True, quiet=True, enable_monitoring=False, ssr_mode=False)
        return demo

    demo = run_async(launch())

    def call() -> str:
        with httpx.Client(base_url=demo.local_url, timeout=10) as http:
            event = http.post("gradio_api/call/work", json={"data": []}).json()["event_id"]
            return http.get(f"gradio_api/call/work/{event}").text

    def hold_page() -> str:
        return httpx.get(f"{demo.local_url}gradio_api/heartbeat/abc", timeout=10).text

    with ThreadPoolExecutor(2) as pool:
        reply, heartbeat = pool.submit(call), pool.submit(hold_page)
        assert started.wait(10)
        began = time.monotonic()
        blocks.close(demo)
        seconds = time.monotonic() - began
        assert "finished" in reply.result()
        heartbeat.result()
    assert seconds < blocks._FINISH_TIMEOUT_S
    assert demo.server.config.timeout_graceful_shutdown == blocks._FINISH_TIMEOUT_S
    with pytest.raises(httpx.ConnectError):
        httpx.get(demo.local_url)
