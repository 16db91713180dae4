"""Which weights: a named path, weights/mobile_sam.pt, the Hub, or the bundled ones."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from huggingface_hub import constants, try_to_load_from_cache

from mobilesam.errors import WeightsError
from mobilesam.model.checkpoint import CHECKSUMS, check_shards, checkpoint_digest
from mobilesam.model.download import WEIGHTS_DIR, Download, fetch

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
    fetch(local, download)
    return Weights(local, "official", "The official weights, downloaded from the Hub.")


def _is_intact(path: Path, download: Download) -> bool:
    if path.stat().st_size != download.size_bytes:
        return False
    return checkpoint_digest(path) == download.sha256
