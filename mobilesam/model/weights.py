"""Which weights: a named path, weights/mobile_sam.pt, the Hub, or the bundled ones."""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import httpx
from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache

from mobilesam.errors import WeightsError
from mobilesam.model.checkpoint import CHECKSUMS, check_shards, checkpoint_digest

WEIGHTS_DIR = Path(__file__).resolve().parents[2] / "weights"
OFFICIAL_NAME = "mobile_sam.pt"
OFFICIAL_BYTES = 40_728_226
OFFICIAL_SHA256 = "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f"
HUB_REPOSITORY = "dhkim2810/MobileSAM"
ANSWER_TIMEOUT_S = 8.0
"""How long the Hub may stay silent: before its first byte or between two blocks."""

WeightsKind: TypeAlias = Literal["official", "bundled", "custom"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Weights:
    """The weights to load.

    Attributes:
        path: file, or folder of shards.
        kind: `official` (as published by MobileSAM's authors), `bundled` (trained for this demo)
            or `custom` (a path that the user named).
        reason: one sentence for the page and the log.
    """

    path: Path
    kind: WeightsKind
    reason: str


@dataclass(frozen=True)
class Download:
    """The official checkpoint as the Hub serves it; tests put their own in its place."""

    repository: str = HUB_REPOSITORY
    filename: str = OFFICIAL_NAME
    size_bytes: int = OFFICIAL_BYTES
    sha256: str = OFFICIAL_SHA256
    timeout_s: float = ANSWER_TIMEOUT_S


def resolve_weights(
    name: str | os.PathLike[str] | None = None,
    folder: Path = WEIGHTS_DIR,
    download: Download | None = None,
) -> Weights:
    """Decides which weights to load, downloading the official ones where that is called for.

    Args:
        name: `"bundled"`, `"official"`, a path, or None for the usual order: `mobile_sam.pt` in the
            folder, then the Hub, then the bundled weights.
        folder: where the bundled weights are and the downloaded ones go.
        download: what to fetch from the Hub; None for the official checkpoint.

    Raises:
        WeightsError: the named weights cannot be had, or the bundled ones are damaged.
    """
    download = download or Download()
    if name is None:
        try:
            return _official(folder, download)
        except WeightsError as error:
            logger.warning("The official weights are not available: %s", error)
            return _bundled(folder, f"The official weights are not available: {error}")
    if name == "bundled":
        return _bundled(folder, "The bundled weights were asked for.")
    if name == "official":
        return _official(folder, download)
    path = Path(name)
    if not path.exists():
        raise WeightsError(f"The weights {path} do not exist.")
    if (path / CHECKSUMS).is_file():
        check_shards(path)
    return Weights(path, "custom", f"Weights from {path.name}, as asked for.")


def _bundled(folder: Path, reason: str) -> Weights:
    check_shards(folder)
    return Weights(folder, "bundled", reason)


def _official(folder: Path, download: Download) -> Weights:
    local = folder / download.filename
    if local.is_file():
        if _is_intact(local, download):
            return Weights(local, "official", f"The official weights, from {folder.name}/.")
        # The user's own file under that name: loaded strictly, but not called official.
        return Weights(local, "custom", f"Weights from {folder.name}/{local.name}.")
    # A Space's preload_from_hub, or any other program of the user's, may have fetched it already.
    cached = try_to_load_from_cache(download.repository, download.filename)
    if isinstance(cached, str) and _is_intact(Path(cached), download):
        return Weights(Path(cached), "official", "The official weights, from the Hub's cache.")
    if constants.HF_HUB_OFFLINE:
        raise WeightsError("HF_HUB_OFFLINE is set, so nothing is downloaded.")
    _fetch(local, download)
    return Weights(local, "official", "The official weights, downloaded from the Hub.")


def _is_intact(path: Path, download: Download) -> bool:
    if path.stat().st_size != download.size_bytes:
        return False
    return checkpoint_digest(path) == download.sha256


def _fetch(target: Path, download: Download) -> None:
    """Downloads to a temporary file beside the target, checks size and hash, then renames."""
    url = hf_hub_url(download.repository, download.filename)
    # The name is this download's own: two servers that start together do not share a file. Their
    # process ids would not do, which are often equal in containers.
    partial = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
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
        raise WeightsError(f"the download cannot be saved ({error.strerror or error}).") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


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
