"""Loads MobileSAM checkpoints strictly and renames the official parameters to timm's names."""

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
    """Loads all tensors of a checkpoint into a model, or none.

    Args:
        sam: the result of `build_sam`; it must be put into eval mode afterwards.
        path: a state dict as `mobile_sam.pt` (official names), a `.safetensors` file with the same
            names, or a folder with a safetensors index.

    Raises:
        WeightsError: the file is damaged, cannot be read safely, or its tensors do not have the
            names and shapes of MobileSAM's.
    """
    state = rename_official(read_tensors(path))
    expected = sam.state_dict()
    # Other checkpoints often omit BatchNorm's counters, which inference does not read.
    for name, tensor in expected.items():
        if name.endswith(_BATCH_NORM_COUNTER):
            state.setdefault(name, torch.zeros_like(tensor))
    missing, unknown = expected.keys() - state.keys(), state.keys() - expected.keys()
    if missing or unknown:
        raise WeightsError(
            f"{path.name} is not a MobileSAM checkpoint: {len(missing)} tensors are missing"
            f"{_example(missing)}, {len(unknown)} are unknown{_example(unknown)}."
        )
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            raise WeightsError(
                f"{path.name} is not a MobileSAM checkpoint: {name} has the shape "
                f"{tuple(state[name].shape)}, not {tuple(tensor.shape)}."
            )
        if not _is_usable(state[name], tensor):
            raise WeightsError(
                f"{path.name} is damaged: {name} has values that are not finite numbers; "
                "download it again."
            )
    sam.load_state_dict(state, strict=True)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Reads the tensors of a checkpoint without executing any code in it.

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
    except Exception as error:  # the readers raise many types of exceptions for damaged files
        raise WeightsError(
            f"{path.name} is damaged or not a plain state dict; download it again or choose other "
            "weights."
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()
    ):
        raise WeightsError(f"{path.name} is not a plain state dict of tensors.")
    return state


def rename_official(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Renames the official checkpoint's parameters to those of timm's TinyViT.

    The classifier (`head`, `norm_head`) is dropped: segmentation does not use it.
    """
    return {renamed: tensor for name, tensor in state.items() if (renamed := _rename(name))}


def checkpoint_digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's shards in the order of their names."""
    digest = hashlib.sha256()
    for file in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def check_shards(folder: Path) -> None:
    """Checks the files of a folder against its SHA256SUMS.

    Raises:
        WeightsError: a file is missing or differs, for example an LFS pointer or a truncated copy.
    """
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="ascii").splitlines()
        digests = {name: digest for digest, name in map(str.split, lines)}
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder.name}/{CHECKSUMS} cannot be read: {error}.") from error
    if not digests:
        raise WeightsError(f"{folder.name}/{CHECKSUMS} is empty; download it again.")
    for name, expected in digests.items():
        file = folder / name
        if not file.is_file() or checkpoint_digest(file) != expected:
            raise WeightsError(f"{folder.name}/{name} is missing or damaged; download it again.")


def _check_archive(path: Path) -> None:
    """Checks what torch.load does not: the checksums, and that the ZIP is not compressed.

    torch.save stores tensors uncompressed, so a larger unpacked size means a decompression bomb.
    """
    if not zipfile.is_zipfile(path):
        return  # torch's legacy format, or not a checkpoint
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > path.stat().st_size or archive.testzip() is not None:
            raise zipfile.BadZipFile


def _is_usable(tensor: torch.Tensor, parameter: torch.Tensor) -> bool:
    """Whether a tensor can be copied into a parameter and holds finite numbers."""
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
    # timm has the downsampling at the start of the next stage, MobileSAM at the end of a stage.
    name = _LAYER.sub(
        lambda match: f"stages.{int(match[1]) + bool(match[2])}.{match[2] or ''}", name
    )
    return f"{_ENCODER}trunk.{name}"


def _example(names: set[str]) -> str:
    return f" (for example {min(names)})" if names else ""
