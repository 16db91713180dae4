"""Reads MobileSAM checkpoints: official names to ours, strictly."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from mobilesam.errors import WeightsError

SHARD_INDEX = "model.safetensors.index.json"
CHECKSUMS = "SHA256SUMS"

_ENCODER = "image_encoder."
_BATCH_NORM_COUNTER = "num_batches_tracked"
_RENAMES = (
    (re.compile(r"^patch_embed\.seq\.0\."), "patch_embed.conv1."),
    (re.compile(r"^patch_embed\.seq\.2\."), "patch_embed.conv2."),
    (re.compile(r"\.c\.weight$"), ".conv.weight"),
)
_LAYER = re.compile(r"^layers\.(\d)\.(downsample\.)?")


def load_checkpoint(sam: nn.Module, path: Path) -> None:
    """Loads a checkpoint into a model, every tensor of it or none.

    Args:
        sam: what `build_sam` gives; it must be put into eval mode afterwards.
        path: a `mobile_sam.pt`-shaped file (a bare state dict under the official names), a
            `.safetensors` file of the same names, or a folder with a safetensors shard index.

    Raises:
        WeightsError: the file cannot be read safely, is damaged, or its tensors are not
            MobileSAM's, by name and by shape.
    """
    state = rename_official(read_tensors(path))
    expected = sam.state_dict()
    # Files trained elsewhere often leave out BatchNorm's counters, which inference never reads.
    for name, tensor in expected.items():
        if name.endswith(_BATCH_NORM_COUNTER):
            state.setdefault(name, torch.zeros_like(tensor))
    missing, unknown = expected.keys() - state.keys(), state.keys() - expected.keys()
    if missing or unknown:
        raise WeightsError(
            f"{path.name} does not hold MobileSAM's weights: {len(missing)} tensors are missing"
            f"{_example(missing)}, {len(unknown)} are unknown{_example(unknown)}."
        )
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            raise WeightsError(
                f"{path.name} does not hold MobileSAM's weights: {name} has the shape "
                f"{tuple(state[name].shape)}, not {tuple(tensor.shape)}."
            )
        if not _is_usable(state[name], tensor):
            raise WeightsError(
                f"{path.name} is damaged: {name} does not hold finite numbers; fetch it again."
            )
    sam.load_state_dict(state, strict=True)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """A checkpoint's tensors under the names of the file, read without running any code in it.

    Raises:
        WeightsError: the file cannot be read, or is not a plain state dict.
    """
    try:
        if path.is_dir():
            index = json.loads((path / SHARD_INDEX).read_text(encoding="utf-8"))
            state: dict[str, torch.Tensor] = {}
            for shard in sorted(set(index["weight_map"].values())):
                state.update(load_file(path / Path(shard).name))
        elif path.suffix == ".safetensors":
            state = load_file(path)
        else:
            _check_archive(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(f"The weights file {error.filename or path} does not exist.") from error
    except Exception as error:  # readers raise all sorts of things for a damaged file
        raise WeightsError(
            f"{path.name} cannot be read as weights: it is damaged, or not a plain state dict; "
            "fetch it again, or name other weights."
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()
    ):
        raise WeightsError(f"{path.name} is not a plain state dict of tensors.")
    return state


def rename_official(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The official checkpoint's names turned into those of timm's TinyViT.

    The classifier (`head`, `norm_head`) is left out: segmentation does not use it.
    """
    return {renamed: tensor for name, tensor in state.items() if (renamed := _rename(name))}


def checkpoint_digest(path: Path) -> str:
    """SHA-256 over the file, or over a folder's shards in the order of their names."""
    digest = hashlib.sha256()
    for file in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def check_shards(folder: Path) -> None:
    """Compares a folder's files with its SHA256SUMS.

    Raises:
        WeightsError: a file is missing or differs, for instance an LFS pointer or a cut-off copy.
    """
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="ascii").splitlines()
        digests = {name: digest for digest, name in map(str.split, lines)}
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder.name}/{CHECKSUMS} cannot be read: {error}.") from error
    if not digests:
        raise WeightsError(f"{folder.name}/{CHECKSUMS} is empty; fetch it again.")
    for name, expected in digests.items():
        file = folder / name
        if not file.is_file() or checkpoint_digest(file) != expected:
            raise WeightsError(f"{folder.name}/{name} is missing or damaged; fetch it again.")


def _check_archive(path: Path) -> None:
    """Checks what torch.load does not: checksums, and that nothing unpacks to more than the file.

    torch.save packs tensors into a ZIP without compressing them.
    """
    if not zipfile.is_zipfile(path):
        return  # torch's older format, or none
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > path.stat().st_size or archive.testzip() is not None:
            raise zipfile.BadZipFile


def _is_usable(tensor: torch.Tensor, parameter: torch.Tensor) -> bool:
    """Whether it can be copied into a parameter as it is, and computed with."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        return False
    same_kind = tensor.is_floating_point() == parameter.is_floating_point()
    return same_kind and not tensor.is_complex() and bool(torch.isfinite(tensor).all())


def _rename(name: str) -> str | None:
    if not name.startswith(_ENCODER):
        return name
    name = name.removeprefix(_ENCODER)
    if name.startswith("neck."):
        return _ENCODER + name
    if name.startswith(("head.", "norm_head.")):
        return None
    for pattern, replacement in _RENAMES:
        name = pattern.sub(replacement, name)
    # timm puts the downsampling at the start of the next stage, the original at the end of its own.
    name = _LAYER.sub(
        lambda match: f"stages.{int(match[1]) + bool(match[2])}.{match[2] or ''}", name
    )
    return f"{_ENCODER}trunk.{name}"


def _example(names: set[str]) -> str:
    return f" (for instance {min(names)})" if names else ""
