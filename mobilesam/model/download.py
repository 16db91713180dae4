"""Downloads the official checkpoint from the Hugging Face Hub."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError

from mobilesam.errors import WeightsError
from mobilesam.model.checkpoint import checkpoint_digest

T = TypeVar("T")

logger = logging.getLogger(__name__)


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


def fetch(folder: Path, download: Download) -> Path:
    """Downloads a checkpoint into the Hub's cache, checks it and links it into a folder.

    Returns:
        The file in the folder, or in the Hub's cache if the folder is read-only or on another
        file system.

    Raises:
        WeightsError: the Hub does not answer or sends another file, or the cache is not writable.
    """
    logger.info("Downloading %s (%d MB) ...", download.filename, download.size_bytes // 1_000_000)
    try:
        cached = _download_to_cache(download)
    except TimeoutError:
        raise WeightsError("the Hub did not answer in time.") from None
    except HfHubHTTPError as error:
        raise WeightsError(f"the Hub answered with HTTP {error.response.status_code}.") from error
    except OSError as error:
        if error.errno is None:
            raise WeightsError(f"the download failed ({type(error).__name__}).") from error
        full = error.errno == errno.ENOSPC
        raise WeightsError(
            f"the download cannot be saved in the Hub's cache ({error.strerror}); "
            f"{'free some disk space' if full else 'set HF_HOME to a folder that is writable'}."
        ) from error
    except Exception as error:  # of the HTTP client, which huggingface_hub has changed once already
        raise WeightsError(f"the Hub cannot be reached ({type(error).__name__}).") from error
    if not download.matches(cached):
        raise WeightsError("the downloaded file is not the official checkpoint (wrong SHA-256).")
    target = folder / download.filename
    try:
        os.link(cached.resolve(), target)
    except OSError:
        return cached
    return target


def _download_to_cache(download: Download) -> Path:
    repository, filename, endpoint = download.repository, download.filename, download.endpoint
    url = hf_hub_url(repository, filename, endpoint=endpoint)
    # Asked first, so that a Hub that does not answer is given up long before a slow transfer is.
    _call_in_thread(lambda: get_hf_file_metadata(url, token=False), download.answer_timeout_s)
    path = _call_in_thread(
        lambda: hf_hub_download(
            repository, filename, endpoint=endpoint, token=False, force_download=True
        ),
        download.transfer_timeout_s,
    )
    return Path(path)


def _call_in_thread(call: Callable[[], T], timeout_s: float) -> T:
    """Calls a function in a daemon thread, which is abandoned after `timeout_s`.

    The timeouts of an HTTP client do not cover name resolution.

    Raises:
        TimeoutError: the call took longer.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, name="download", daemon=True).start()
    return future.result(timeout_s)
