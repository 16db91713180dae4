"""Chooses the weights, and downloads the official checkpoint from the Hugging Face Hub."""

import errno
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import huggingface_hub as hub
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from mobilesam.bundled import bundled_folder
from mobilesam.errors import WeightsError
from mobilesam.model.checkpoint import CHECKSUMS, check_shards, checkpoint_digest

T = TypeVar("T")

WEIGHTS_DIR = bundled_folder("weights")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Weights:
    """The weights to load.

    Attributes:
        path: a file, or a folder of shards.
        kind: `official` (of MobileSAM's authors), `bundled` (trained for this demo) or `custom`.
        reason: why these weights are used, for the page and the log.
    """

    path: Path
    kind: Literal["official", "bundled", "custom"]
    reason: str


@dataclass(frozen=True)
class Download:
    """A checkpoint on the Hub and how to recognise it; the defaults are the official one."""

    repository: str = "dhkim2810/MobileSAM"
    filename: str = "mobile_sam.pt"
    size_bytes: int = 40_728_226
    sha256: str = "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f"
    endpoint: str | None = None
    answer_timeout_s: float = 8.0
    transfer_timeout_s: float = 600.0

    def matches(self, path: Path) -> bool:
        """Whether a file has the right size and SHA-256."""
        return path.stat().st_size == self.size_bytes and checkpoint_digest(path) == self.sha256


OFFICIAL = Download()


def resolve_weights(
    name: str | os.PathLike[str] | None = None,
    folder: Path = WEIGHTS_DIR,
    download: Download = OFFICIAL,
) -> Weights:
    """Chooses the weights, and downloads the official ones if they are needed.

    `name` is `"bundled"`, `"official"`, a path, or None for the default order: `mobile_sam.pt` in
    the folder, then the Hub and its cache, then the bundled weights in the folder.

    Raises:
        WeightsError: the named weights are not available, or the bundled ones are damaged.
    """
    if name is None:
        try:
            return _official(folder, download)
        except WeightsError as error:
            logger.warning("The official weights are not available: %s", error)
            return _bundled(folder, f"The official weights are not available: {error}")
    if name == "bundled":
        return _bundled(folder, "The bundled weights were requested.")
    if name == "official":
        return _official(folder, download)
    path = Path(name)
    if not path.exists():
        raise WeightsError(f"The weights {path} do not exist.")
    if (path / CHECKSUMS).is_file():
        check_shards(path)
    return Weights(path, "custom", f"Weights from {path.name}, as requested.")


def _bundled(folder: Path, reason: str) -> Weights:
    check_shards(folder)
    return Weights(folder, "bundled", reason)


def _official(folder: Path, download: Download) -> Weights:
    local = folder / download.filename
    if local.is_file():
        if download.matches(local):
            return Weights(local, "official", f"The official weights, from {folder.name}/.")
        # The user's own file under that name: loaded strictly, but not called official.
        return Weights(local, "custom", f"Weights from {folder.name}/{local.name}.")
    # A Space's preload_from_hub, or another program of the user, may have downloaded it already.
    cached = hub.try_to_load_from_cache(download.repository, download.filename)
    rejected = ""
    if isinstance(cached, str):
        if download.matches(Path(cached)):
            return Weights(Path(cached), "official", "The official weights, from the Hub's cache.")
        rejected = " The file in the Hub's cache is not used: its size or SHA-256 is wrong."
        logger.warning("%s is not used: its size or SHA-256 is wrong.", cached)
    try:
        path = fetch(download)
    except WeightsError as error:
        raise WeightsError(f"{error}{rejected}") from error
    return Weights(path, "official", "The official weights, downloaded from the Hub.")


def fetch(download: Download) -> Path:
    """Downloads a checkpoint into the Hub's cache and checks it.

    Raises:
        WeightsError: the Hub does not answer or sends another file, or the cache is not writable.
    """
    if constants.HF_HUB_OFFLINE:
        raise WeightsError("HF_HUB_OFFLINE is set, so nothing is downloaded.")
    logger.info("Downloading %s (%d MB) ...", download.filename, download.size_bytes // 1_000_000)
    try:
        cached = Path(_download_to_cache(download))
    except Exception as error:  # also of the HTTP client, which huggingface_hub does not document
        raise WeightsError(_reason(error)) from error
    if not download.matches(cached):
        raise WeightsError("the downloaded file is not the official checkpoint (wrong SHA-256).")
    return cached


def _download_to_cache(download: Download) -> str:
    file, endpoint = (download.repository, download.filename), download.endpoint
    url = hub.hf_hub_url(*file, endpoint=endpoint)
    # A Hub that does not answer this request is given up long before a slow transfer would be.
    _call_in_thread(lambda: hub.get_hf_file_metadata(url, token=False), download.answer_timeout_s)
    return _call_in_thread(
        lambda: hub.hf_hub_download(*file, endpoint=endpoint, token=False, force_download=True),
        download.transfer_timeout_s,
    )


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "the Hub did not answer in time."
        case HfHubHTTPError():
            return f"the Hub answered with HTTP {error.response.status_code}."
        case OSError(errno=None):
            return f"the download failed ({type(error).__name__})."
        case OSError():
            full = error.errno == errno.ENOSPC
            remedy = "free some disk space" if full else "set HF_HOME to a folder that is writable"
            return f"the download cannot be saved in the Hub's cache ({error.strerror}); {remedy}."
    return f"the Hub cannot be reached ({type(error).__name__})."


def _call_in_thread(call: Callable[[], T], timeout_s: float) -> T:
    """Calls a function in a daemon thread, which is abandoned with a TimeoutError.

    The timeouts of an HTTP client do not cover name resolution.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, name="download", daemon=True).start()
    return future.result(timeout_s)
