"""Fetches the official checkpoint from the Hub: a whole file or none."""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from huggingface_hub import hf_hub_url

from mobilesam.errors import WeightsError

WEIGHTS_DIR = Path(__file__).resolve().parents[2] / "weights"
OFFICIAL_NAME = "mobile_sam.pt"
OFFICIAL_BYTES = 40_728_226
OFFICIAL_SHA256 = "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f"
HUB_REPOSITORY = "dhkim2810/MobileSAM"
ANSWER_TIMEOUT_S = 8.0
"""How long the Hub may stay silent: before its first byte or between two blocks."""

# The process id would not do, which is often equal in containers that share a folder.
_PROCESS = uuid.uuid4().hex

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Download:
    """The official checkpoint as the Hub serves it; tests put their own in its place."""

    repository: str = HUB_REPOSITORY
    filename: str = OFFICIAL_NAME
    size_bytes: int = OFFICIAL_BYTES
    sha256: str = OFFICIAL_SHA256
    timeout_s: float = ANSWER_TIMEOUT_S


def fetch(target: Path, download: Download) -> None:
    """Downloads to a temporary file beside the target, checks size and hash, then renames.

    Args:
        target: where to keep the file.
        download: what to fetch, and how it is recognised.

    Raises:
        WeightsError: the Hub does not answer or sends something else, or the file cannot be saved.
    """
    url = hf_hub_url(download.repository, download.filename)
    # The name is this download's own: two servers that start together do not share a file.
    partial = target.with_name(f"{target.name}.{_PROCESS}.{uuid.uuid4().hex}.part")
    digest, received = hashlib.sha256(), 0
    logger.info("Downloading %s (%d MB) ...", download.filename, download.size_bytes // 1_000_000)
    try:
        with partial.open("wb") as file:
            for block in _stream(url, download.timeout_s):
                file.write(block)
                digest.update(block)
                before, received = received, received + len(block)
                if received > download.size_bytes:
                    break
                if received * 4 // download.size_bytes > before * 4 // download.size_bytes:
                    logger.info("... %d%%", 100 * received // download.size_bytes)
        if received != download.size_bytes:
            raise WeightsError(
                f"the download ended after {received} of {download.size_bytes} bytes."
            )
        if digest.hexdigest() != download.sha256:
            raise WeightsError(
                "the downloaded file is not the official checkpoint (wrong SHA-256)."
            )
        partial.replace(target)
    except OSError as error:
        raise WeightsError(
            f"the download cannot be saved in {target.parent.name}/ ({error.strerror or error}); "
            f"free {download.size_bytes // 1_000_000} MB there, or use the bundled weights."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def discard_partial_downloads(folder: Path = WEIGHTS_DIR) -> None:
    """Removes what this process has begun to download, before it ends in the middle of it."""
    for partial in folder.glob(f"*.{_PROCESS}.*.part"):
        with suppress(OSError):
            partial.unlink()


def _stream(url: str, timeout_s: float) -> Iterator[bytes]:
    """Blocks of the file at a URL.

    The reading is done in a thread of its own, because no HTTP client's timeouts bound a name
    look-up: whatever hangs, the wait for the next block ends after `timeout_s`.

    Raises:
        WeightsError: no connection, an error status, or silence for `timeout_s`.
    """
    blocks: queue.Queue[bytes | Exception | None] = queue.Queue(maxsize=16)
    abandoned = threading.Event()
    reader = threading.Thread(
        target=_read_into, args=(blocks, abandoned, url, timeout_s), name="download", daemon=True
    )
    reader.start()
    try:
        while True:
            try:
                item = blocks.get(timeout=timeout_s)
            except queue.Empty:
                raise WeightsError(f"the Hub did not answer for {timeout_s:g} s.") from None
            if item is None:
                return
            if isinstance(item, Exception):
                raise WeightsError(f"the Hub could not be reached ({_cause(item)}).") from item
            yield item
    finally:
        abandoned.set()


def _read_into(
    blocks: queue.Queue[bytes | Exception | None],
    abandoned: threading.Event,
    url: str,
    timeout_s: float,
) -> None:
    """Puts the blocks of a file into a queue, then None, or the error that ended the reading."""

    def put(item: bytes | Exception | None) -> None:
        while not abandoned.is_set():
            with suppress(queue.Full):
                return blocks.put(item, timeout=0.5)

    try:
        with httpx.stream("GET", url, timeout=timeout_s, follow_redirects=True) as response:
            response.raise_for_status()
            for block in response.iter_bytes(1 << 14):
                put(block)
                if abandoned.is_set():
                    return
        put(None)
    except Exception as error:  # handed over to whoever reads the queue
        put(error)


def _cause(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    return type(error).__name__
