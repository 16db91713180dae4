"""The settings, read from environment variables."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

from mobilesam.errors import MobileSamError

MEGA = 1_000_000

Precision = Literal["auto", "float32", "bfloat16", "float16"]

FRAME_ANCESTORS = "https://huggingface.co https://*.hf.space"
_ORIGIN = r"https?://(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?"
_ORIGINS = re.compile(rf"\*|{_ORIGIN}( {_ORIGIN})*", re.IGNORECASE)


@dataclass(frozen=True)
class ImageLimits:
    """The largest photo that is accepted: bytes of the file, and width times height."""

    max_bytes: int = 20 * MEGA
    max_pixels: int = 40 * MEGA


@dataclass(frozen=True)
class Settings:
    """The settings of the process.

    Attributes:
        weights: `"official"`, `"bundled"`, a path, or None for the default order.
        device: a torch device such as `"cpu"` or `"cuda:0"`, or None for CUDA if available.
        precision: of the encoder; `"auto"` is float16 on a GPU, and on a CPU bfloat16 if it is
            faster there.
        cache_bytes: maximum size of the embedding cache in memory.
        cache_url: of the Redis or Valkey server with the cache that pages of several processes
            share, or None.
        mcp: whether the endpoints are also MCP tools.
        metrics: whether `/metrics` is served.
        preview: whether pages may decode masks themselves, for previews and quick answers.
        frame_ancestors: the origins whose pages may embed the demo, separated by spaces, or `*`.
        port: where the page is served; None for the first free one from 7860.
        limits: the largest photo that is accepted.
    """

    weights: str | None = None
    device: str | None = None
    precision: Precision = "auto"
    cache_bytes: int = 512 * MEGA
    cache_url: str | None = None
    mcp: bool = False
    metrics: bool = False
    preview: bool = True
    frame_ancestors: str = FRAME_ANCESTORS
    port: int | None = None
    limits: ImageLimits = ImageLimits()

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Reads MOBILESAM_* and GRADIO_SERVER_PORT; MobileSamError if a value is invalid."""
        return cls(
            weights=env.get("MOBILESAM_WEIGHTS") or None,
            device=env.get("MOBILESAM_DEVICE") or None,
            precision=cast(Precision, _choice(env, "MOBILESAM_PRECISION", get_args(Precision))),
            cache_bytes=_megas(env, "MOBILESAM_CACHE_MB", cls.cache_bytes),
            cache_url=env.get("MOBILESAM_CACHE_URL") or None,
            mcp=_choice(env, "MOBILESAM_MCP", ("0", "1")) == "1",
            metrics=_choice(env, "MOBILESAM_METRICS", ("0", "1")) == "1",
            preview=_choice(env, "MOBILESAM_PREVIEW", ("1", "0")) == "1",
            frame_ancestors=_origins(env, "MOBILESAM_FRAME_ANCESTORS", cls.frame_ancestors),
            port=_port(env, "GRADIO_SERVER_PORT"),
            limits=ImageLimits(
                max_bytes=_megas(env, "MOBILESAM_MAX_UPLOAD_MB", ImageLimits.max_bytes),
                max_pixels=_megas(env, "MOBILESAM_MAX_MEGAPIXELS", ImageLimits.max_pixels),
            ),
        )


def parse_port(text: str) -> int:
    """The number of a port; ValueError with a sentence if the text is none."""
    if text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535:
        return int(text)
    raise ValueError(f"{text!r} is not a port from 1 to 65535")


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """The variable's value, which must be one of the choices; the first is the default."""
    text = env.get(name) or choices[0]
    if text not in choices:
        raise MobileSamError(f"{name} must be one of {', '.join(choices)}, not {text!r}.")
    return text


def _origins(env: Mapping[str, str], name: str, default: str) -> str:
    """Origins for a content security policy, which anything else could extend."""
    text = " ".join((env.get(name) or default).split())
    if not _ORIGINS.fullmatch(text):
        raise MobileSamError(
            f"{name} must be origins such as https://example.org separated by spaces, or *, "
            f"not {text!r}."
        )
    return text


def _port(env: Mapping[str, str], name: str) -> int | None:
    text = env.get(name)
    try:
        return parse_port(text) if text else None
    except ValueError as error:
        raise MobileSamError(f"{name}: {error}.") from None


def _megas(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default / MEGA)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 1 / MEGA <= value < 1e6:
        raise MobileSamError(f"{name} must be a positive number, not {text!r}.")
    return int(value * MEGA)
