"""The model on a GPU: the encoder in half precision, and CUDA graphs for one photo and one prompt.

Batches run without graphs: the GPU takes longer for their kernels than Python to start them, and a
graph would keep the memory of its intermediate results.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from segment_anything.modeling import PromptEncoder, Sam
from torch.nn import functional as F  # noqa: N812

from mobilesam.model.fast_decoder import FastDecoder
from mobilesam.model.fast_encoder import FastEncoder
from mobilesam.model.graphs import GraphDevice, Graphs, Tensors

logger = logging.getLogger(__name__)


class GpuModel:
    """Encodes photos and decodes prompts; all calls belong in one thread."""

    def __init__(
        self,
        sam: Sam,
        dtype: torch.dtype,
        encode_exactly: Callable[[torch.Tensor], torch.Tensor],
        device: GraphDevice,
    ) -> None:
        """Copies a model in eval mode, whose device `device` is.

        `dtype` is the encoder's. `encode_exactly` replaces `encode` for photos whose features are
        beyond its range.
        """
        self._encoder = FastEncoder(sam.image_encoder, dtype)
        self._side = sam.image_encoder.img_size
        self._mean, self._std = (
            cast(torch.Tensor, values).flatten() for values in (sam.pixel_mean, sam.pixel_std)
        )
        self._encode_exactly = encode_exactly
        self._prompt_encoder = sam.prompt_encoder
        self._mask_decoder = FastDecoder(sam.mask_decoder)
        with torch.inference_mode():
            self._image_pe = sam.prompt_encoder.get_dense_pe()
        self._device = device
        self._graphs = Graphs(device)
        self._warm_up()

    @torch.inference_mode()
    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """(1, 3, h, w) uint8 RGB, the longer side 1024, to (1, 256, 64, 64) float32."""
        return self.encode_photos([pixels[0]])

    @torch.inference_mode()
    def encode_photos(self, photos: Sequence[torch.Tensor]) -> torch.Tensor:
        """B times (3, h, w) uint8 RGB on the CPU to (B, 256, 64, 64) float32.

        Raises:
            torch.OutOfMemoryError: the GPU's memory is full.
        """
        squares = self._device.upload_buffer(len(photos), self._side, self._side, 3)
        for square, photo in zip(squares, photos, strict=True):
            _, height, width = photo.shape
            square[:height, :width] = photo.permute(1, 2, 0)
        sizes = torch.tensor([photo.shape[1:] for photo in photos])
        features, are_finite = self._run("encoder", self._encode, squares, sizes)
        if not are_finite:
            logger.warning("Half precision is not enough for a photo; it is encoded in float32.")
            features = torch.cat([self._encode_exactly(photo[None]) for photo in photos])
        return features

    @torch.inference_mode()
    def decode(
        self,
        features: torch.Tensor,
        points: tuple[torch.Tensor, torch.Tensor] | None,
        boxes: torch.Tensor | None,
        masks: torch.Tensor | None,
        multimask_output: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `mobilesam.model.backend.PromptDecoder`."""
        coords, labels = prompt_coords(points, boxes)
        given = [features, coords, labels, *([] if masks is None else [masks])]
        decode = partial(self._decode, multimask_output)
        logits, ious = self._run(("decoder", multimask_output), decode, *given)
        return logits, ious

    def _run(self, key: Any, function: Callable[..., Tensors], *inputs: torch.Tensor) -> Tensors:
        if len(inputs[-1]) == 1:
            return self._graphs.run(key, function, *inputs)
        return function(*(tensor.to(self._device.device, non_blocking=True) for tensor in inputs))

    def _encode(self, squares: torch.Tensor, sizes: torch.Tensor) -> Tensors:
        """(B, 1024, 1024, 3) uint8, of which the upper left (H, W) of (B, 2) sizes are a photo."""
        index = torch.arange(self._side, device=squares.device)
        rows, columns = (index < sizes[:, axis, None] for axis in (0, 1))
        inside = rows[:, :, None, None] & columns[:, None, :, None]
        normalised = (squares.float() - self._mean) / self._std
        features = self._encoder.encode_squares(torch.where(inside, normalised, 0))
        return features, features.isfinite().all()

    def _decode(
        self,
        multimask_output: bool,
        features: torch.Tensor,
        coords: torch.Tensor,
        labels: torch.Tensor,
        masks: torch.Tensor | None = None,
    ) -> Tensors:
        sparse = prompt_tokens(self._prompt_encoder, coords, labels)
        _, dense = self._prompt_encoder(None, None, masks)
        return self._mask_decoder(features, self._image_pe, sparse, dense, multimask_output)

    def _warm_up(self) -> None:
        """Records the graphs of a photo, a click, a click that refines a mask, and a box."""
        features = self.encode(torch.zeros(1, 3, self._side, self._side, dtype=torch.uint8))
        side = self._side // 4
        logits = torch.zeros(1, 1, side, side)
        for count, masks in ((1, None), (2, logits)):
            points = torch.zeros(1, count, 2), torch.ones(1, count, dtype=torch.int64)
            self.decode(features, points, None, masks, count == 1)
        self.decode(features, None, torch.zeros(1, 4), None, False)


def prompt_coords(
    points: tuple[torch.Tensor, torch.Tensor] | None, boxes: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Points and boxes as (B, T, 2) XY and (B, T) labels, like those of SAM's ONNX model.

    Labels are 1 and 0 for points, 2 and 3 for the corners of a box, and -1 for the padding that
    takes the place of the box if there is none.
    """
    parts = [points] if points else []
    if boxes is not None:
        parts.append((boxes.view(-1, 2, 2), torch.tensor([2, 3]).expand(len(boxes), -1)))
    else:
        count = len(parts[0][0])
        parts.append((torch.zeros(count, 1, 2), torch.full((count, 1), -1)))
    coords, labels = zip(*parts, strict=True)
    return torch.cat(coords, 1), torch.cat(labels, 1)


def prompt_tokens(
    encoder: PromptEncoder, coords: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """The sparse embeddings of SAM's prompt encoder for `prompt_coords`: (B, T, C).

    SAM selects points by boolean indices, for which the GPU has to wait for the CPU, so that they
    cannot be part of a CUDA graph.
    """
    position = encoder.pe_layer.forward_with_coords(coords + 0.5, encoder.input_image_size)
    kinds = [encoder.not_a_point_embed, *encoder.point_embeddings]
    table = torch.cat([cast(torch.Tensor, kind.weight) for kind in kinds])
    position = position.masked_fill((labels == -1)[..., None], 0)
    return position + F.embedding(labels + 1, table)
