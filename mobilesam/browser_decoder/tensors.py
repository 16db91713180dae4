"""The weights and the embedding as the browser's decoder reads them.

`_tensors` is the one definition of their order and layout. `decoder_weights` writes the values,
and `tensors_header` the offsets, with which decoder.c is compiled.
"""

from collections.abc import Iterator
from typing import Any

import torch
from segment_anything.modeling import PromptEncoder
from torch.nn import functional as F  # noqa: N812

from mobilesam.embedding import ImageEmbedding
from mobilesam.errors import WeightsError
from mobilesam.model.backend import ModelBackend
from mobilesam.model.fast_decoder import FastDecoder
from mobilesam.model.fast_layers import Linear, layer_norm
from mobilesam.model.sam import build_sam
from mobilesam.prompts import MAX_POINTS

_PANEL = 8  # outputs of a linear layer whose weights lie together

_Tensors = Iterator[tuple[str, torch.Tensor]]


def decoder_weights(backend: ModelBackend) -> bytes:
    """The weights of prompt encoder and mask decoder: float16, little-endian, in table order.

    Raises:
        WeightsError: float16 cannot hold a value.
    """
    values = [tensor.flatten() for _, tensor in _tensors(backend.prompt_encoder, _fast(backend))]
    return _half_bytes(torch.cat(values), "The weights")


def embedding_bytes(embedding: ImageEmbedding) -> bytes:
    """An embedding as (64, 64, 256) float16, little-endian.

    Raises:
        WeightsError: float16 cannot hold a value.
    """
    return _half_bytes(embedding.features[0].permute(1, 2, 0), "The embedding")


def tensors_header() -> str:
    """tensors.h: offset and sizes of every tensor, and the sizes of the model."""
    sam = build_sam()
    encoder, decoder = sam.prompt_encoder, FastDecoder(sam.mask_decoder)
    attention = decoder.final_attention
    sizes = {
        "SIDE": encoder.image_embedding_size[0],
        "INPUT_SIDE": encoder.input_image_size[0],
        "CHANNELS": encoder.embed_dim,
        "HEADS": attention.heads,
        "INNER": attention.heads * attention.width,
        "HIDDEN": len(decoder.layers[0].fc1.bias),
        "OWN_TOKENS": len(decoder.own_tokens),
        "MASKS": len(decoder.hypernetworks),
        "MASK_CHANNELS": decoder.hypernetworks[0].layers[-1].out_features,
        "MAX_POINTS": MAX_POINTS + 2,  # the corners of a box are two points
    }
    offset = 0
    for name, tensor in _tensors(encoder, decoder):
        sizes[f"{name}_at"] = offset
        offset += tensor.numel()
        if name.endswith("_weight") and tensor.ndim == 3:
            layer = name.removesuffix("_weight")
            sizes[f"{layer}_inputs"] = tensor.shape[1]
            sizes[f"{layer}_outputs"] = tensor.shape[0] * _PANEL
        elif name.endswith("_weight"):
            sizes[f"{name.removesuffix('_weight')}_width"] = tensor.shape[0]
    sizes["WEIGHT_VALUES"] = offset
    lines = [f"  {name} = {size}," for name, size in sizes.items()]
    return "\n".join(["// Written by tensors.py.", "#pragma once", "enum {", *lines, "};", ""])


def _fast(backend: ModelBackend) -> FastDecoder:
    decoder = backend.mask_decoder
    return decoder if isinstance(decoder, FastDecoder) else FastDecoder(decoder)


def _half_bytes(values: torch.Tensor, what: str) -> bytes:
    half = values.half().cpu()
    if not half.isfinite().all():
        raise WeightsError(f"{what} cannot be sent to the browser: a value is not finite.")
    return half.numpy().astype("<f2").tobytes()


def _tensors(encoder: PromptEncoder, decoder: FastDecoder) -> _Tensors:
    """The tensors of prompt encoder and mask decoder by name."""
    yield from _prompt_encoder(encoder)
    yield "own_tokens", decoder.own_tokens
    for index, layer in enumerate(decoder.layers):
        yield from _attention(f"layers_{index}_self_attention", layer.self_attention)
        yield from _attention(f"layers_{index}_to_image", layer.to_image)
        yield from _attention(f"layers_{index}_from_tokens", layer.from_tokens)
        for number, norm in enumerate(layer.norms):
            yield from _norm(f"layers_{index}_norms_{number}", norm)
        yield from _linear(f"layers_{index}_fc1", layer.fc1)
        yield from _linear(f"layers_{index}_fc2", layer.fc2)
    yield from _attention("final_attention", decoder.final_attention)
    yield from _norm("final_norm", decoder.final_norm)
    yield from _linear("upscaling_first", decoder.upscaling.first)
    yield from _norm("upscaling_norm", decoder.upscaling.norm)
    yield from _linear("upscaling_second", decoder.upscaling.second)
    for index, mlp in enumerate(decoder.hypernetworks):
        yield from _mlp(f"hypernetworks_{index}", mlp)
    yield from _mlp("iou_head", decoder.iou_head)


def _prompt_encoder(encoder: Any) -> _Tensors:
    matrix = encoder.pe_layer.positional_encoding_gaussian_matrix
    coarse = matrix.half().float()
    yield "gaussian_matrix", coarse
    yield "gaussian_matrix_rest", matrix - coarse  # an angle is up to 2 pi times their sum
    kinds = [encoder.not_a_point_embed, *encoder.point_embeddings]
    yield "point_embeddings", torch.cat([kind.weight for kind in kinds]).detach()
    yield "no_mask_embedding", encoder.no_mask_embed.weight.detach()
    first, norm_1, _, second, norm_2, _, third = encoder.mask_downscaling
    yield "downscaling_first_weight", first.weight.detach().flatten(1).T  # (dy, dx) to channels
    yield "downscaling_first_bias", first.bias.detach()
    yield from _norm("downscaling_norm_1", layer_norm(norm_1))
    yield from _linear("downscaling_second", _convolution(second))
    yield from _norm("downscaling_norm_2", layer_norm(norm_2))
    yield from _linear("downscaling_third", _convolution(third))


def _convolution(layer: Any) -> Linear:
    """A convolution without overlap as a linear layer from (dy, dx, channel)."""
    weight = layer.weight.detach().permute(0, 2, 3, 1).flatten(1)
    return Linear(weight, layer.bias.detach())


def _attention(name: str, attention: Any) -> _Tensors:
    """The projections with their inner values as (width, head), not (head, width)."""
    order = torch.arange(attention.heads * attention.width)
    order = order.view(attention.heads, attention.width).T.flatten()
    for part in ("q", "k", "v"):
        layer = getattr(attention, part)
        yield from _linear(f"{name}_{part}", Linear(layer.weight[order], layer.bias[order]))
    out = attention.out
    yield from _linear(f"{name}_out", Linear(out.weight[:, order], out.bias))


def _mlp(name: str, mlp: Any) -> _Tensors:
    for index, layer in enumerate(mlp.layers):
        yield from _linear(f"{name}_{index}", Linear.of(layer))


def _linear(name: str, layer: Linear) -> _Tensors:
    """The weight as (outputs / 8, inputs, 8); missing outputs are zero."""
    missing = -len(layer.bias) % _PANEL
    weight, bias = F.pad(layer.weight, (0, 0, 0, missing)), F.pad(layer.bias, (0, missing))
    yield f"{name}_weight", weight.reshape(-1, _PANEL, weight.shape[1]).mT
    yield f"{name}_bias", bias


def _norm(name: str, norm: Any) -> _Tensors:
    yield f"{name}_weight", norm.keywords["weight"]
    yield f"{name}_bias", norm.keywords["bias"]
