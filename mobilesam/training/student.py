"""The student: MobileSAM, random or from a checkpoint, with what each scheme takes over."""

from pathlib import Path
from typing import Literal, cast

import torch
from segment_anything.modeling import Sam
from torch import nn

from mobilesam.errors import WeightsError
from mobilesam.model.checkpoint import load_checkpoint, read_tensors
from mobilesam.model.sam import build_sam
from mobilesam.training.teacher import set_input_size

Scheme = Literal["decoupled", "semi-coupled", "coupled"]

_TIMM_TINY_VIT = "patch_embed.conv1.conv.weight"
_TIMM_CLASSIFIER = "head."


def build_student(
    scheme: Scheme, teacher: Sam, size: int, seed: int, checkpoint: Path | None = None
) -> Sam:
    """Builds a student whose parameters require gradients where the scheme lets it learn.

    The prompt encoder is the teacher's and stays frozen in every scheme: it tells where a prompt
    is, and not what a mask looks like. The mask decoder is the teacher's and stays frozen, except
    in the coupled scheme.

    Args:
        scheme: what learns: the image encoder, and if it is coupled the mask decoder too.
        teacher: has a prompt encoder and a mask decoder of SAM.
        size: side of the model's input in pixels.
        seed: of the random weights.
        checkpoint: weights to start from: a checkpoint of MobileSAM, or timm's TinyViT-5M trained
            on ImageNet; None for random weights.

    Raises:
        WeightsError: the checkpoint is neither.
    """
    torch.manual_seed(seed)
    student = build_sam()
    if checkpoint is not None:
        _load(student, checkpoint)
    student.requires_grad_(False)
    student.image_encoder.requires_grad_(True)
    student.prompt_encoder.load_state_dict(teacher.prompt_encoder.state_dict())
    if scheme == "coupled":
        student.mask_decoder.requires_grad_(True)
    else:
        student.mask_decoder.load_state_dict(teacher.mask_decoder.state_dict())
    set_input_size(student, size)
    return student


def _load(student: Sam, checkpoint: Path) -> None:
    state = read_tensors(checkpoint)
    if _TIMM_TINY_VIT not in state:
        return load_checkpoint(student, checkpoint)
    trunk = cast(nn.Module, student.image_encoder.trunk)
    try:
        trunk.load_state_dict(
            {name: state[name] for name in state if not name.startswith(_TIMM_CLASSIFIER)}
        )
    except RuntimeError as error:  # it lists every tensor that differs
        raise WeightsError(
            f"{checkpoint.name} is not a checkpoint of timm's tiny_vit_5m_224: tensors are "
            "missing, unknown or of other shapes."
        ) from error
