"""Chooses the weights: a named path, weights/mobile_sam.pt, the Hub or the bundled weights."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from huggingface_hub import constants, try_to_load_from_cache

from mobilesam.errors import WeightsError
from mobilesam.model.checkpoint import CHECKSUMS, check_shards
from mobilesam.model.download import Download, fetch

WeightsKind: TypeAlias = Literal["official", "bundled", "custom"]

WEIGHTS_DIR = Path(__file__).resolve().parents[2] / "weights"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Weights:
    """The weights to load.

    Attributes:
        path: a file, or a folder of shards.
        kind: `official` (published by MobileSAM's authors), `bundled` (trained for this demo) or
            `custom` (the user's own).
        reason: why these weights are used, for the page and the log.
    """

    path: Path
    kind: WeightsKind
    reason: str


def resolve_weights(
    name: str | os.PathLike[str] | None = None,
    folder: Path = WEIGHTS_DIR,
    download: Download | None = None,
) -> Weights:
    """Decides which weights to load, and downloads the official ones if they are needed.

    Args:
        name: `"bundled"`, `"official"`, a path, or None for the default order: `mobile_sam.pt` in
            the folder, then the Hub, then the bundled weights.
        folder: holds the bundled weights, and the official ones once they are downloaded.
        download: what to download from the Hub; None for the official checkpoint.

    Raises:
        WeightsError: the named weights are not available, or the bundled ones are damaged.
    """
    download = download or Download()
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
    cached = try_to_load_from_cache(download.repository, download.filename)
    rejected = ""
    if isinstance(cached, str):
        if download.matches(Path(cached)):
            return Weights(Path(cached), "official", "The official weights, from the Hub's cache.")
        rejected = " The file in the Hub's cache is not used: its size or SHA-256 is wrong."
        logger.warning("%s is not used: its size or SHA-256 is wrong.", cached)
    try:
        if constants.HF_HUB_OFFLINE:
            raise WeightsError("HF_HUB_OFFLINE is set, so nothing is downloaded.")
        downloaded = fetch(folder, download)
    except WeightsError as error:
        raise WeightsError(f"{error}{rejected}") from error
    return Weights(downloaded, "official", "The official weights, downloaded from the Hub.")
