"""A faster implementation of the image encoder: same weights and output, less memory traffic.

`TinyVitEncoder` is the reference. The differences, all exact up to rounding:

- All activations are NHWC, so that convolutions, norms and linear layers read contiguous channels.
- BatchNorm is folded into the convolutions.
- Window attention gathers its tokens by index instead of padding the feature map; all padding
  tokens of a window are one constant row. The attention bias is 4-D, which torch's fused kernel
  needs.
- The early layers, which have the largest activations, skip the zero padding of the square input:
  outside the receptive field of the photo their output is that of an all-zero image, which is
  computed once.
"""

from functools import partial
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from mobilesam.model.fast_layers import Layer, Linear, in_sequence, layer_norm, linear

_STAGE_SIDES = (128, 64, 64)  # of the feature maps of the stages with window attention
_EARLY_STRIDE = 8
_EARLY_REACH = 2  # rows of the output beyond the photo that are still in its receptive field


class FastEncoder:
    """A replacement for `TinyVitEncoder` that takes one unpadded photo, or padded ones."""

    def __init__(self, encoder: Any, dtype: torch.dtype = torch.float32) -> None:
        """Copies the weights of a `TinyVitEncoder` in eval mode, in float32 or half precision."""
        self.dtype = dtype
        embed, (first, *stages) = encoder.trunk.patch_embed, encoder.trunk.stages
        mergings = [_patch_merging(stage.downsample, dtype) for stage in stages]
        blocks: list[list[Layer]] = [
            [_Block(block, side, dtype) for block in stage.blocks]
            for stage, side in zip(stages, _STAGE_SIDES, strict=True)
        ]
        mbconvs = [_mbconv(block, dtype) for block in first.blocks]
        patch_embed: list[Layer] = [_conv(embed.conv1, dtype), F.gelu, _conv(embed.conv2, dtype)]
        # (1, h, w, 3) to (1, h/8, w/8, C).
        self._early: list[Layer] = [*patch_embed, *mbconvs, *mergings[0]]
        later = [*blocks[0], *mergings[1], *blocks[1], *mergings[2], *blocks[2]]
        self._late: list[Layer] = [*later, *_neck(encoder.neck, dtype)]
        self._side = encoder.img_size
        device = embed.conv1.conv.weight.device
        blank = torch.zeros(1, self._side, self._side, 3, dtype=dtype, device=device)
        self._blank_features = in_sequence(self._early, blank)

    @torch.inference_mode()
    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Maps (1, 3, h, w) normalised RGB, not padded, the longer side 1024, to its embedding.

        Returns (1, 256, 64, 64) float32, in NHWC memory order.
        """
        return self._embedding(self._early_features(pixels))

    @torch.inference_mode()
    def encode_squares(self, pixels: torch.Tensor) -> torch.Tensor:
        """Maps (B, 1024, 1024, 3) normalised and padded RGB to (B, 256, 64, 64) float32.

        It does the same for photos of all shapes, so that one CUDA graph suffices.
        """
        return self._embedding(in_sequence(self._early, pixels.to(self.dtype)))

    def _embedding(self, early: torch.Tensor) -> torch.Tensor:
        return in_sequence(self._late, early).float().permute(0, 3, 1, 2)

    def _early_features(self, pixels: torch.Tensor) -> torch.Tensor:
        """The early layers' output for a photo padded to the square, (1, 128, 128, C)."""
        height, width = pixels.shape[2:]
        kept_hw, crop_hw = zip(*(self._extent(side) for side in (height, width)), strict=True)
        padding = (0, crop_hw[1] - width, 0, crop_hw[0] - height)
        crop = F.pad(pixels.to(self.dtype), padding).permute(0, 2, 3, 1).contiguous()
        rows, columns = kept_hw
        full = self._blank_features.clone()
        full[:, :rows, :columns] = in_sequence(self._early, crop)[:, :rows, :columns]
        return full

    def _extent(self, side: int) -> tuple[int, int]:
        """The output length that depends on a side of the photo, and the input length it needs.

        The last output row of a cropped input is wrong, because convolutions see the edge of the
        crop there: it is computed and discarded.
        """
        reached = -(-side // _EARLY_STRIDE) + _EARLY_REACH
        if (reached + 1) * _EARLY_STRIDE >= self._side:
            return self._side // _EARLY_STRIDE, self._side
        return reached, (reached + 1) * _EARLY_STRIDE


def _conv(conv: Any, dtype: torch.dtype) -> Layer:
    """A convolution on NHWC; BatchNorm is folded into it."""
    device = next(conv.parameters()).device
    fused = conv.fuse() if hasattr(conv, "fuse") else conv
    # timm's `fuse` returns a convolution on the CPU.
    weight = fused.weight.detach().to(device, dtype)
    bias = None if fused.bias is None else fused.bias.detach().to(device, dtype)
    if fused.kernel_size == (1, 1) and device.type != "cpu":
        # cuBLAS adds the bias to its products; after cuDNN that needs a separate kernel.
        return partial(linear, weight=weight[:, :, 0, 0], bias=bias)
    if fused.groups == 1:
        weight = weight.to(memory_format=torch.channels_last)
    convolve = partial(
        F.conv2d,
        weight=weight,
        bias=bias,
        stride=fused.stride,
        padding=fused.padding,
        groups=fused.groups,
    )
    return lambda x: convolve(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def _patch_merging(block: Any, dtype: torch.dtype) -> list[Layer]:
    """The layers of timm's PatchMerging."""
    expand, depthwise = _conv(block.conv1, dtype), _conv(block.conv2, dtype)
    return [expand, F.gelu, depthwise, F.gelu, _conv(block.conv3, dtype)]


def _mbconv(block: Any, dtype: torch.dtype) -> Layer:
    """The layer of timm's MBConv: PatchMerging's convolutions with a residual connection."""
    layers = _patch_merging(block, dtype)
    return lambda x: F.gelu(in_sequence(layers, x).add_(x))


class _Block:
    """timm's TinyVitBlock: window attention, a depthwise convolution, an MLP."""

    def __init__(self, block: Any, side: int, dtype: torch.dtype) -> None:
        attention = block.attn
        self.window_tokens = block.window_size**2
        device = attention.qkv.weight.device
        indices = _window_indices(side, block.window_size)
        self.gather, self.scatter = (index.to(device) for index in indices)
        self.heads = attention.num_heads
        self.norm, self.qkv = layer_norm(attention.norm, dtype), Linear.of(attention.qkv, dtype)
        self.project = Linear.of(attention.proj, dtype)
        biases = attention.attention_biases[:, attention.attention_bias_idxs]
        self.bias = biases[None].detach().to(dtype).contiguous()
        # timm pads windows with zeros before the norm, whose output for them is its bias.
        padding = F.linear(attention.norm.bias, attention.qkv.weight, attention.qkv.bias)
        self.padding = padding.detach().to(dtype)[None, None]
        self.local_conv = _conv(block.local_conv, dtype)
        self.mlp_norm = layer_norm(block.mlp.norm, dtype)
        self.fc1, self.fc2 = Linear.of(block.mlp.fc1, dtype), Linear.of(block.mlp.fc2, dtype)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        x = self.local_conv(x + self._attend(x))
        return self.fc2(F.gelu(self.fc1(self.mlp_norm(x)))).add_(x)

    def _attend(self, x: torch.Tensor) -> torch.Tensor:
        photos, channels = len(x), x.shape[-1]
        qkv = self.qkv(self.norm(x).view(photos, -1, channels))
        qkv = torch.cat([qkv, self.padding.expand(photos, -1, -1)], dim=1)
        windows = qkv.index_select(1, self.gather).view(
            -1, self.window_tokens, self.heads, 3, channels // self.heads
        )
        q, k, v = (part.transpose(1, 2) for part in windows.unbind(3))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias)
        out = out.transpose(1, 2).reshape(photos, -1, channels).index_select(1, self.scatter)
        return self.project(out).view_as(x)


def _window_indices(side: int, window: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token index of each window position (the last index is padding), and the inverse."""
    count = -(-side // window)
    padded = torch.full((count * window, count * window), side**2)
    padded[:side, :side] = torch.arange(side**2).view(side, side)
    gather = padded.view(count, window, count, window).transpose(1, 2).flatten()
    return gather, gather.argsort()[: side**2]


def _neck(neck: Any, dtype: torch.dtype) -> list[Layer]:
    """SAM's neck on NHWC."""
    conv1, norm1, conv2, norm2 = neck
    project = partial(linear, weight=conv1.weight.detach()[:, :, 0, 0].to(dtype))
    return [project, layer_norm(norm1, dtype), _conv(conv2, dtype), layer_norm(norm2, dtype)]
