"""Reads MobileSAM checkpoints strictly and writes them; official parameters and timm's names."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten

import torch
from safetensors.torch import load_file, save
from torch import nn

from mobilesam.errors import WeightsError

CHECKSUMS = "SHA256SUMS"

_ENCODER = "image_encoder."
_COUNTER = "num_batches_tracked"
_RENAMES = (
    ("patch_embed.seq.0.", "patch_embed.conv1."),
    ("patch_embed.seq.2.", "patch_embed.conv2."),
    (".c.weight", ".conv.weight"),
    # timm downsamples at the start of the next stage, MobileSAM at the end of a stage.
    ("layers.0.downsample.", "stages.1.downsample."),
    ("layers.1.downsample.", "stages.2.downsample."),
    ("layers.2.downsample.", "stages.3.downsample."),
    ("layers.", "stages."),
)
"""The parts of official names, and those of timm's."""


def load_checkpoint(sam: nn.Module, path: Path) -> None:
    """Loads all tensors of a checkpoint into a model, which is useless after an error.

    `sam` is in training mode, and must be put into eval mode afterwards. `path` is a state dict as
    `mobile_sam.pt` (official names), a `.safetensors` file with the same names, or a folder of
    shards.

    Raises:
        WeightsError: the file is damaged, cannot be read safely, or its tensors do not have the
            names and shapes of MobileSAM's.
    """
    expected = sam.state_dict()
    # The bundled weights omit BatchNorm's counters, which inference does not read.
    state = {name: t for name, t in expected.items() if name.endswith(_COUNTER)}
    state |= {new: t for name, t in read_tensors(path).items() if (new := _rename(name))}
    for name in expected.keys() & state.keys():
        if not _is_usable(state[name], expected[name]):
            raise WeightsError(
                f"{path.name} is damaged: {name} has values that are not finite numbers; "
                "download it again."
            )
    try:
        sam.load_state_dict(state, strict=True)
    except RuntimeError as error:  # a line for each kind of difference
        reason = shorten(str(error).splitlines()[1], 300)
        raise WeightsError(f"{path.name} is not a MobileSAM checkpoint: {reason}") from error


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Reads the tensors of a checkpoint without executing any code in it.

    Raises:
        WeightsError: the file cannot be read, or is not a plain state dict.
    """
    try:
        if path.is_dir():
            state: dict[str, torch.Tensor] = {}
            for shard in path.glob("*.safetensors"):
                state.update(load_file(shard))
        elif path.suffix == ".safetensors":
            state = load_file(path)
        else:
            _check_archive(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(f"The weights file {error.filename or path} does not exist.") from error
    except Exception as error:  # the readers raise many types for damaged files
        raise WeightsError(
            f"{path.name} is damaged or not a plain state dict; download it again."
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()
    ):
        raise WeightsError(f"{path.name} is not a plain state dict of tensors.")
    return state


def checkpoint_bytes(sam: nn.Module, metadata: Mapping[str, str]) -> bytes:
    """A model as a .safetensors file with the official names, which `load_checkpoint` reads.

    As in the bundled weights, there is no ImageNet classifier and no counter of BatchNorm.
    """
    state = sam.state_dict()
    tensors = {
        _official_name(name): state[name].detach().cpu().contiguous()
        for name in state
        if not name.endswith(_COUNTER)
    }
    return save(tensors, dict(metadata))


def checkpoint_digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's shards in the order of their names."""
    digest = hashlib.sha256()
    for file in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def check_shards(folder: Path) -> None:
    """Checks the files of a folder against its SHA256SUMS.

    Raises:
        WeightsError: a file is missing or differs, for example an LFS pointer or a truncated copy.
    """
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="ascii").splitlines()
        digests = {name: digest for digest, name in map(str.split, lines)}
    except (OSError, ValueError):
        digests = {}
    if not digests:
        raise WeightsError(f"{folder.name}/{CHECKSUMS} is missing or damaged; download it again.")
    for name, expected in digests.items():
        file = folder / name
        if not file.is_file() or checkpoint_digest(file) != expected:
            raise WeightsError(f"{folder.name}/{name} is missing or damaged; download it again.")


def _check_archive(path: Path) -> None:
    """Checks what torch.load does not: the checksums, and that the ZIP is not compressed."""
    if not zipfile.is_zipfile(path):
        return  # torch's legacy format, or not a checkpoint
    with zipfile.ZipFile(path) as archive:
        # torch.save does not compress, so a larger unpacked size means a decompression bomb.
        unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > path.stat().st_size or archive.testzip() is not None:
            raise zipfile.BadZipFile


def _is_usable(tensor: torch.Tensor, parameter: torch.Tensor) -> bool:
    """Whether a tensor can be copied into a parameter and holds finite numbers."""
    is_dense = tensor.layout == torch.strided and tensor.device.type == "cpu"
    same_kind = tensor.is_floating_point() == parameter.is_floating_point()
    return is_dense and same_kind and bool(torch.isfinite(tensor).all())


def _rename(name: str) -> str | None:
    """The official parameter's name in `Sam`; None for the classifier, which is not used."""
    if not name.startswith(_ENCODER) or name.startswith(f"{_ENCODER}neck."):
        return name
    name = name.removeprefix(_ENCODER)
    if name.startswith(("head.", "norm_head.")):
        return None
    for official, timm in _RENAMES:
        name = name.replace(official, timm)
    return f"{_ENCODER}trunk.{name}"


def _official_name(name: str) -> str:
    """The inverse of `_rename`."""
    trunk = f"{_ENCODER}trunk."
    if not name.startswith(trunk):
        return name
    name = name.removeprefix(trunk)
    for official, timm in _RENAMES:
        name = name.replace(timm, official)
    return f"{_ENCODER}{name}"
