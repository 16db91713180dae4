"""MobileSAM: timm's TinyViT with SAM's neck, prompt encoder and mask decoder, and its weights."""

from importlib.metadata import version

from mobilesam.errors import MobileSamError
from mobilesam.model.imports import without_compiler

try:
    with without_compiler():
        import timm  # noqa: F401
        import torchvision  # noqa: F401  # timm and segment_anything import it
except RuntimeError as error:  # operator torchvision::nms does not exist
    raise MobileSamError(
        f"torch {version('torch')} and torchvision {version('torchvision')} do not match; "
        "install both from the same index: pip install --force-reinstall torch torchvision"
    ) from error
