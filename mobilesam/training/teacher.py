"""Loads any SAM checkpoint as a teacher, for square inputs of any size."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from segment_anything import build_sam_vit_b, build_sam_vit_h, build_sam_vit_l
from segment_anything.modeling import ImageEncoderViT, Sam
from torch import nn
from torch.nn import functional as F  # noqa: N812

from mobilesam.errors import MobileSamError, WeightsError
from mobilesam.model.checkpoint import checkpoint_digest, load_checkpoint, read_tensors
from mobilesam.model.sam import TinyVitEncoder, build_sam

PATCH_SIZE = 16
"""Pixels of the model's input per side of one position of the image embedding."""

_SIZE_STEP, _MAX_SIZE = 64, 1024

# By the width of the tokens, the last axis of the absolute position embedding.
_VITS: dict[int, tuple[str, Callable[[], Sam]]] = {
    768: ("ViT-B", build_sam_vit_b),
    1024: ("ViT-L", build_sam_vit_l),
    1280: ("ViT-H", build_sam_vit_h),
}
_POSITIONS = "image_encoder.pos_embed"
_TINY_VIT = "image_encoder.patch_embed.seq.0.c.weight"


@dataclass(frozen=True, eq=False)
class Teacher:
    """A SAM whose answers are learned.

    Attributes:
        sam: in eval mode, without gradients, on the CPU.
        layout: `"ViT-B"`, `"ViT-L"`, `"ViT-H"` or `"MobileSAM"`.
        digest: SHA-256 of the checkpoint.
    """

    sam: Sam
    layout: str
    digest: str


def load_teacher(path: Path, size: int) -> Teacher:
    """Loads a checkpoint with the builder that its layout tells.

    Args:
        path: a file, or a folder of shards.
        size: side in pixels of the model's input, see `set_input_size`.

    Raises:
        WeightsError: the file cannot be read, or is not a checkpoint of SAM or MobileSAM.
        MobileSamError: the size is impossible.
    """
    state = read_tensors(path)
    layout = teacher_layout(state, path.name)
    if layout == "MobileSAM":
        sam = build_sam()
        load_checkpoint(sam, path)
    else:
        sam = dict(_VITS.values())[layout]()
        try:
            sam.load_state_dict(state, strict=True)
        except RuntimeError as error:  # it lists every tensor that differs
            raise WeightsError(
                f"{path.name} is not a checkpoint of SAM's {layout}, though its image encoder "
                "looks like one: tensors are missing, unknown or of other shapes."
            ) from error
    set_input_size(sam, size)
    return Teacher(sam.eval().requires_grad_(False), layout, checkpoint_digest(path))


def teacher_layout(state: dict[str, torch.Tensor], name: str) -> str:
    """Tells `"ViT-B"`, `"ViT-L"`, `"ViT-H"` or `"MobileSAM"` by names and shapes of the tensors.

    Args:
        state: the state dict.
        name: of the file, for the message.

    Raises:
        WeightsError: it is none of them.
    """
    if _TINY_VIT in state:
        return "MobileSAM"
    if _POSITIONS in state and (width := state[_POSITIONS].shape[-1]) in _VITS:
        return _VITS[width][0]
    raise WeightsError(
        f"{name} cannot be used: it is neither a checkpoint of SAM (ViT-B, ViT-L or ViT-H, as "
        "segment_anything saves them) nor of MobileSAM."
    )


def set_input_size(sam: Sam, size: int) -> None:
    """Adapts a model for 1024 x 1024 pixels to S x S, in place.

    TinyViT needs no change. The absolute position embedding of a ViT is interpolated; its relative
    ones are interpolated by segment_anything itself.

    Raises:
        MobileSamError: S is not a multiple of 64 up to 1024.
    """
    if size % _SIZE_STEP or not 0 < size <= _MAX_SIZE:
        raise MobileSamError(f"The input size must be a multiple of 64 up to 1024, not {size}.")
    side = size // PATCH_SIZE
    encoder = cast("ImageEncoderViT | TinyVitEncoder", sam.image_encoder)
    if isinstance(encoder, ImageEncoderViT) and encoder.pos_embed is not None:
        channels_first = encoder.pos_embed.detach().permute(0, 3, 1, 2)
        resized = F.interpolate(
            channels_first, size=(side, side), mode="bicubic", antialias=True, align_corners=False
        )
        encoder.pos_embed = nn.Parameter(resized.permute(0, 2, 3, 1).contiguous())
    encoder.img_size = size
    sam.prompt_encoder.image_embedding_size = (side, side)
    sam.prompt_encoder.input_image_size = (size, size)
    sam.prompt_encoder.mask_input_size = (4 * side, 4 * side)
