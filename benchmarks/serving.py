"""A demo in a process of its own, and when it said what."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUR_APP = ("app.py",)
MODEL_IS_LOADED = "weights on"
"""Words of the line that our demo logs once the model is there."""
_POLL_S = 0.02


class ServedApp:
    """A running demo."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts it on a free port, on the bundled weights and without telemetry."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.started = time.perf_counter()
        self._lines: list[tuple[float, str]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", *arguments],
            cwd=ROOT,
            env=os.environ
            | {
                "MOBILESAM_WEIGHTS": "bundled",
                "GRADIO_ANALYTICS_ENABLED": "False",
                "GRADIO_SERVER_NAME": "127.0.0.1",
                "GRADIO_SERVER_PORT": str(self.port),
            }
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def lines(self) -> list[str]:
        """What the process has written so far."""
        return [line for _, line in tuple(self._lines)]

    def seconds_to_page(self, timeout: float = 120) -> float:
        """Waits until the page answers; seconds from the start of the process."""
        deadline = self.started + timeout
        while not self._answers():
            self._check_running(deadline)
            time.sleep(_POLL_S)
        return time.perf_counter() - self.started

    def seconds_to_line(self, words: str, timeout: float = 120) -> float:
        """Waits until the process has written a line with the words; seconds from its start."""
        deadline = self.started + timeout
        while True:
            for seconds, line in tuple(self._lines):
                if words in line:
                    return seconds
            self._check_running(deadline)
            time.sleep(_POLL_S)

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        self._reader.join(20)

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.append((time.perf_counter() - self.started, line))

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    def _check_running(self, deadline: float) -> None:
        if self._process.poll() is not None or time.perf_counter() > deadline:
            output = "".join(line for _, line in self._lines)
            raise RuntimeError(f"The demo did not start.\n{output}")


@contextmanager
def served_app(
    arguments: Sequence[str] = OUR_APP, environment: Mapping[str, str] | None = None
) -> Iterator[ServedApp]:
    """The demo while it runs."""
    app = ServedApp(arguments, environment or {})
    try:
        yield app
    finally:
        app.close()


@contextmanager
def own_folder() -> Iterator[dict[str, str]]:
    """An environment in which a demo keeps uploads and files in a folder that goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        yield {"GRADIO_TEMP_DIR": folder}
