"""A faster implementation of the mask decoder: same weights and output, less arithmetic.

segment_anything's MaskDecoder is the reference. A prompt has a few tokens and the image has 4,096,
so projections of image tokens are moved to the prompt tokens:

- The scores of a token against the image, (q Wq + bq)(k Wk + bk)^T, are computed as
  ((q Wq + bq) Wk^T) k^T: bk adds the same value to all scores of a token, which softmax ignores.
- The weighted sum over the image, (A (k Wv)), is computed as (A k) Wv.
- The scores of the image against the tokens and the sum over the tokens are reordered likewise.

This is faster up to `_FEW_TOKENS` tokens; beyond, the image tokens are projected. In the first
layer the image tokens are the same for all prompts of a batch and are projected once.

The transposed convolutions of the upscaling (kernel and stride 2) are two matrix products over
pixels in token order; only the final masks are put into raster order.
"""

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from mobilesam.model.fast_layers import Linear, batched_linear, layer_norm

_FEW_TOKENS = 16


class FastDecoder:
    """A replacement for segment_anything's MaskDecoder."""

    def __init__(self, decoder: Any) -> None:
        """Copies the weights of segment_anything's MaskDecoder, which is in eval mode."""
        self.own_tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight]).detach()
        transformer = decoder.transformer
        self.layers = [_Layer(layer) for layer in transformer.layers]
        self.final_attention = _Attention(transformer.final_attn_token_to_image)
        self.final_norm = layer_norm(transformer.norm_final_attn)
        self.upscaling = _Upscaling(decoder.output_upscaling)
        self.hypernetworks = decoder.output_hypernetworks_mlps
        self.iou_head = decoder.iou_prediction_head

    def __call__(
        self,
        image_embeddings: torch.Tensor,
        image_pe: torch.Tensor,
        sparse_prompt_embeddings: torch.Tensor,
        dense_prompt_embeddings: torch.Tensor,
        multimask_output: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Decodes B prompts on one image, as MaskDecoder.forward does.

        Returns low_res_logits (B, C, 256, 256) and iou_predictions (B, C): C is 3 with
        `multimask_output`, else 1.
        """
        position = _tokens_of(image_pe)
        dense = dense_prompt_embeddings
        if dense.stride(2) == 0 and dense.stride(3) == 0:
            dense = dense[:1]  # expanded from one pixel: there is no mask_input
        image = _tokens_of(image_embeddings) + _tokens_of(dense)
        own_tokens = self.own_tokens.expand(len(sparse_prompt_embeddings), -1, -1)
        queries = point = torch.cat([own_tokens, sparse_prompt_embeddings], dim=1)
        for layer in self.layers:
            queries, image = layer(queries, point, image, position)
        keys = image + position
        # Slices, because an index from a list would be copied to the device during the call.
        selected = slice(1, 4) if multimask_output else slice(0, 1)
        queries, point = (_outputs(tokens, selected) for tokens in (queries, point))
        attended = self.final_attention.to_image(queries + point, keys, image)
        iou_token, *mask_tokens = self.final_norm(queries + attended).unbind(1)
        pairs = zip(self.hypernetworks[selected], mask_tokens, strict=True)
        hyper = torch.stack([network(token) for network, token in pairs], dim=1)
        return self.upscaling(image, hyper), self.iou_head(iou_token)[:, selected]


def _outputs(tokens: torch.Tensor, selected: slice) -> torch.Tensor:
    """The IoU token, which is the first, and the selected ones of the mask tokens behind it."""
    return torch.cat([tokens[:, :1], tokens[:, 1:][:, selected]], dim=1)


def _tokens_of(image: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) to (B, H W, C), without a copy if the memory is in NHWC order."""
    return image.permute(0, 2, 3, 1).flatten(1, 2)


class _Attention:
    """Attention between prompt tokens (B, N, C) and image tokens (K, P, C), K being 1 or B."""

    def __init__(self, attention: Any) -> None:
        self.heads = attention.num_heads
        self.width = attention.internal_dim // attention.num_heads
        self.q, self.k = Linear.of(attention.q_proj), Linear.of(attention.k_proj)
        self.v, self.out = Linear.of(attention.v_proj), Linear.of(attention.out_proj)

    def between_tokens(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Standard attention between any two sets of tokens."""
        parts = [self._split(f(x)) for f, x in ((self.q, q), (self.k, k), (self.v, v))]
        prompts = parts[0].shape[0]
        q, k, v = (part.expand(prompts, -1, -1, -1) for part in parts)
        return self.out(_merge(F.scaled_dot_product_attention(q, k, v)))

    def to_image(
        self, tokens: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """Attention from prompt tokens to the image: (B, N, C)."""
        if not _has_few_tokens(tokens, keys):
            return self.between_tokens(tokens, keys, values)
        prompts, count, channels = tokens.shape
        q = self._split(self.q(tokens)) * self.width**-0.5
        scores = batched_linear((q @ self._per_head(self.k)).flatten(1, 2), keys)
        out = batched_linear(scores.softmax(-1), values.mT)
        out = out.view(prompts, self.heads, count, channels)
        return self.out(_merge(out @ self._per_head(self.v).mT) + self.v.bias)

    def from_tokens(
        self, image: torch.Tensor, queries: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        """The image plus its attention to the prompt tokens: (B, P, C)."""
        prompts, count, channels = k.shape
        keys = self._split(self.k(k)) * self.width**-0.5
        if _has_few_tokens(k, queries):
            scores = batched_linear((keys @ self._per_head(self.q)).flatten(1, 2), queries)
            scores += (keys @ self.q.bias.view(self.heads, self.width, 1)).flatten(1, 2)
        else:
            scores = (keys @ self._split(self.q(queries)).mT).flatten(1, 2)
        weights = scores.view(prompts, self.heads, count, -1).softmax(2).flatten(1, 2)
        # The weights of each head sum to one, so each head gets an equal part of the output's bias.
        per_head_out = self.out.weight.view(channels, self.heads, self.width).permute(1, 2, 0)
        values = (self._split(self.v(v)) @ per_head_out).flatten(1, 2)
        values += self.out.bias / self.heads
        return batched_linear(weights.mT, values.mT).add_(image)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """(B, N, heads * width) to (B, heads, N, width)."""
        return x.view(*x.shape[:2], self.heads, self.width).transpose(1, 2)

    def _per_head(self, layer: Linear) -> torch.Tensor:
        """The layer's weight as (heads, width, C)."""
        return layer.weight.view(self.heads, self.width, -1)


def _has_few_tokens(tokens: torch.Tensor, image: torch.Tensor) -> bool:
    return tokens.shape[0] // image.shape[0] * tokens.shape[1] <= _FEW_TOKENS


def _merge(x: torch.Tensor) -> torch.Tensor:
    """(B, heads, N, width) to (B, N, heads * width)."""
    return x.transpose(1, 2).flatten(2)


class _Layer:
    """segment_anything's TwoWayAttentionBlock."""

    def __init__(self, layer: Any) -> None:
        self.is_first: bool = layer.skip_first_layer_pe
        self.self_attention = _Attention(layer.self_attn)
        self.to_image = _Attention(layer.cross_attn_token_to_image)
        self.from_tokens = _Attention(layer.cross_attn_image_to_token)
        norms = (layer.norm1, layer.norm2, layer.norm3, layer.norm4)
        self.norms = [layer_norm(norm) for norm in norms]
        self.fc1, self.fc2 = Linear.of(layer.mlp.lin1), Linear.of(layer.mlp.lin2)

    def __call__(
        self,
        queries: torch.Tensor,
        point: torch.Tensor,
        image: torch.Tensor,
        image_pe: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.is_first:
            queries = self.self_attention.between_tokens(queries, queries, queries)
        else:
            with_point = queries + point
            queries = queries + self.self_attention.between_tokens(with_point, with_point, queries)
        queries = self.norms[0](queries)
        keys = image + image_pe
        queries = self.norms[1](queries + self.to_image.to_image(queries + point, keys, image))
        queries = self.norms[2](queries + self.fc2(F.relu(self.fc1(queries))))
        image = self.from_tokens.from_tokens(image, keys, queries + point, queries)
        return queries, self.norms[3](image)


class _Upscaling:
    """The decoder's output_upscaling and its product with the hypernetworks' output."""

    def __init__(self, upscaling: Any) -> None:
        first, norm, _, second, _ = upscaling
        self.first, self.second = _as_linear(first), _as_linear(second)
        self.norm = layer_norm(norm)

    def __call__(self, image: torch.Tensor, hyper: torch.Tensor) -> torch.Tensor:
        """(B, 4096, C) tokens and (B, M, 32) hypernetwork outputs to (B, M, 256, 256) logits."""
        prompts, tokens, _ = image.shape
        side = int(tokens**0.5)
        pixels = self.first(image).view(prompts, tokens * 4, -1)
        pixels = F.gelu(self.norm(pixels))
        pixels = F.gelu(self.second(pixels).view(prompts, tokens * 16, -1))
        masks = batched_linear(hyper, pixels)
        # Rows and columns of the tokens, of the first and of the second upscaling. Two neighbouring
        # float32 pixels of a row stay together, so they are permuted as one float64.
        pairs = masks.view(torch.float64).view(prompts, -1, side, side, 2, 2, 2)
        raster = pairs.permute(0, 1, 2, 4, 6, 3, 5).contiguous().view(torch.float32)
        return raster.view(prompts, -1, side * 4, side * 4)


def _as_linear(layer: Any) -> Linear:
    """A transposed convolution of kernel and stride 2 as a linear layer to (dy, dx, channel)."""
    weight = layer.weight.detach().permute(2, 3, 1, 0).flatten(0, 2).contiguous()
    return Linear(weight, layer.bias.detach().repeat(4))
