"""The settings, read from environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from mobilesam.errors import MobileSamError

MEGA = 1_000_000

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class ImageLimits:
    """The largest photo that is accepted.

    Attributes:
        max_bytes: size of the image file.
        max_pixels: width times height, checked before decoding.
    """

    max_bytes: int = 20 * MEGA
    max_pixels: int = 40 * MEGA


@dataclass(frozen=True)
class Settings:
    """The settings of the process.

    Attributes:
        weights: `"official"`, `"bundled"`, a path, or None for the default order.
        device: a torch device such as `"cpu"` or `"cuda:0"`, or None for CUDA if available.
        precision: of the encoder on a CPU: `"float32"`, `"bfloat16"`, or `"auto"`, which is
            bfloat16 if the CPU has AMX.
        cache_bytes: maximum size of the embedding cache.
        mcp: whether the endpoints are also MCP tools.
        limits: the largest photo that is accepted.
    """

    weights: str | None = None
    device: str | None = None
    precision: Precision = "auto"
    cache_bytes: int = 512 * MEGA
    mcp: bool = False
    limits: ImageLimits = ImageLimits()

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Reads the MOBILESAM_* variables.

        Raises:
            MobileSamError: a variable has an invalid value.
        """
        return cls(
            weights=env.get("MOBILESAM_WEIGHTS") or None,
            device=env.get("MOBILESAM_DEVICE") or None,
            precision=_precision(env),
            cache_bytes=_megas(env, "MOBILESAM_CACHE_MB", cls.cache_bytes),
            mcp=_switch(env, "MOBILESAM_MCP"),
            limits=ImageLimits(
                max_bytes=_megas(env, "MOBILESAM_MAX_UPLOAD_MB", ImageLimits.max_bytes),
                max_pixels=_megas(env, "MOBILESAM_MAX_MEGAPIXELS", ImageLimits.max_pixels),
            ),
        )


def _precision(env: Mapping[str, str]) -> Precision:
    text = env.get("MOBILESAM_PRECISION") or "auto"
    choices = get_args(Precision)
    if text not in choices:
        raise MobileSamError(
            f"MOBILESAM_PRECISION must be one of {', '.join(choices)}, not {text!r}."
        )
    return cast(Precision, text)


def _switch(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name) or "0"
    if text not in ("0", "1"):
        raise MobileSamError(f"{name} must be 1 or 0, not {text!r}.")
    return text == "1"


def _megas(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default / MEGA)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 1 / MEGA <= value < 1e6:
        raise MobileSamError(f"{name} must be a positive number, not {text!r}.")
    return int(value * MEGA)
