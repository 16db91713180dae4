"""Student and teacher answer the same prompts: the losses between their masks, and their mean IoU.

Prompts are in pixels of the model's input, masks in pixels of its logits, of which one covers 4 x 4
of them. Padding is cut off, as nobody sees it.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple, TypedDict

import numpy as np
import torch
from segment_anything.modeling import Sam
from torch import nn
from torch.nn import functional as F  # noqa: N812

from mobilesam.masks import Mask
from mobilesam.training.decoding import STRIDE, decode
from mobilesam.training.losses import mask_iou, mask_loss
from mobilesam.training.prompt_sampling import Coordinates, jittered_box, mask_box, rescaled
from mobilesam.training.student import Scheme

_PROMPTS_TO_LEARN, _PROMPTS_TO_EVALUATE = 4, 8  # points per photo, and as many boxes


class PhotoBatch(TypedDict):
    """B photos and the teacher's embeddings of them.

    Attributes:
        number: of the batch, which seeds its prompts.
        pixels: (B, 3, S, S) float32, see `mobilesam.training.photos.ModelPhoto`.
        input_sizes: (B, 2) int64, (H, W) before padding.
        embeddings: (B, 256, S / 16, S / 16) float16.
    """

    number: int
    pixels: torch.Tensor
    input_sizes: torch.Tensor
    embeddings: torch.Tensor


class Prompts(NamedTuple):
    """N prompts on a photo: points (N, 1, 2) XY, or boxes (N, 4) XYXY with points (N, 0, 2)."""

    points: torch.Tensor
    boxes: torch.Tensor | None


class Answer(NamedTuple):
    """Logits (N, C, h, w) and predicted IoUs (N, C): C is 3 for points and 1 for boxes."""

    logits: torch.Tensor
    iou_predictions: torch.Tensor

    @property
    def default(self) -> torch.Tensor:
        """(N,) int64: the candidate with the highest predicted IoU for each prompt."""
        return self.iou_predictions.argmax(1)

    def masks(self, candidates: torch.Tensor) -> torch.Tensor:
        """(N, h, w) bool: a candidate (N,) for each prompt."""
        return self.logits[torch.arange(len(candidates), device=candidates.device), candidates] > 0


class Distillation(nn.Module):
    """The losses of a scheme."""

    def __init__(self, scheme: Scheme, student: Sam, teacher: Sam, seed: int) -> None:
        """The teacher's image encoder is not used: its embeddings come with the batch."""
        super().__init__()
        self.scheme, self.student, self.teacher, self.seed = scheme, student, teacher, seed

    def train(self, mode: bool = True) -> "Distillation":
        """As usual, but the teacher stays in eval mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, batch: PhotoBatch) -> dict[str, torch.Tensor]:
        """Scalars: `"loss"`, and for masks the parts of which it is the sum."""
        embeddings = self.student.image_encoder(self.student.preprocess(batch["pixels"]))
        if self.scheme == "decoupled":
            return {"loss": F.mse_loss(embeddings.float(), batch["embeddings"].float())}
        mask_losses, weights, iou_losses = [], [], []
        for given, target in self.answers(embeddings, batch):
            masks = target.logits.flatten(0, 1) > 0
            mask_losses.append(mask_loss(given.logits.flatten(0, 1), masks))
            weights.append(masks.any(2).any(1).float())  # an empty mask is no object
            iou_losses.append((given.iou_predictions - target.iou_predictions).square().flatten())
        weight = torch.cat(weights)
        masks_loss = (torch.cat(mask_losses) * weight).sum() / weight.sum().clamp(min=1)
        iou_loss = torch.cat(iou_losses).mean()
        return {"loss": masks_loss + iou_loss, "mask_loss": masks_loss, "iou_loss": iou_loss}

    def answers(
        self, embeddings: torch.Tensor, batch: PhotoBatch
    ) -> Iterator[tuple[Answer, Answer]]:
        """The student's and the teacher's answers, to points and to boxes on each photo.

        Args:
            embeddings: (B, 256, S / 16, S / 16), the student's.
            batch: the photos; its number seeds the prompts.
        """
        random = np.random.default_rng((self.seed, batch["number"]))
        photos = zip(embeddings, batch["embeddings"], batch["input_sizes"].tolist(), strict=True)
        for ours, theirs, input_size in photos:
            points = _random_points(input_size, _PROMPTS_TO_LEARN, random)
            box = partial(jittered_box, random=random)
            for prompts, target in teacher_answers(self.teacher, theirs, input_size, points, box):
                yield answer(self.student, ours, input_size, prompts), target


def agreement(student: Sam, teacher: Sam, photos: Iterable[PhotoBatch]) -> dict[str, float]:
    """Mean IoU of the student's masks with the teacher's, for the same prompts on each photo.

    The prompts are random points and boxes around the teacher's masks; batch numbers seed them.

    Returns:
        `"point_iou"` and `"box_iou"`: of the default candidates of both, as a user would see them.
        `"candidate_iou"`: for points, of the candidate that is the teacher's default, which tells
        wrong masks from a wrong choice.
    """
    ious: dict[str, list[torch.Tensor]] = {"point_iou": [], "box_iou": [], "candidate_iou": []}
    for batch in photos:
        random = np.random.default_rng(batch["number"])
        embeddings = student.image_encoder(student.preprocess(batch["pixels"]))
        pairs = zip(embeddings, batch["embeddings"], batch["input_sizes"].tolist(), strict=True)
        for ours, theirs, input_size in pairs:
            points = _random_points(input_size, _PROMPTS_TO_EVALUATE, random)
            answers = teacher_answers(teacher, theirs, input_size, points, mask_box)
            (point, at_point), (box, in_box) = answers
            given = answer(student, ours, input_size, point)
            ious["point_iou"].append(iou(given, given.default, at_point))
            ious["candidate_iou"].append(iou(given, at_point.default, at_point))
            given = answer(student, ours, input_size, box)
            ious["box_iou"].append(iou(given, given.default, in_box))
    return {name: float(torch.cat(found).mean()) for name, found in ious.items()}


def iou(given: Answer, candidates: torch.Tensor, target: Answer) -> torch.Tensor:
    """IoUs of candidates (N,) with the target's defaults, without prompts that have no mask."""
    masks = target.masks(target.default)
    return mask_iou(given.masks(candidates), masks)[masks.any(2).any(1)]


@torch.no_grad()
def teacher_answers(
    teacher: Sam,
    embedding: torch.Tensor,
    input_size: tuple[int, int],
    points: Coordinates,
    draw_box: Callable[[Mask], Coordinates],
) -> list[tuple[Prompts, Answer]]:
    """The teacher's answers to points, and to boxes around the masks at these points.

    Args:
        teacher: the model.
        embedding: (256, S / 16, S / 16), its own.
        input_size: (H, W) of the photo before padding.
        points: (N, 2) XY.
        draw_box: gives the XYXY box for a mask, in the mask's pixels.
    """
    coords = torch.from_numpy(points[:, None]).to(embedding.device)
    by_point = Prompts(coords, None)
    at_points = answer(teacher, embedding, input_size, by_point)
    # Around the whole photo where there is no mask, so that there always are N boxes.
    masks = at_points.masks(at_points.default).cpu().numpy()
    drawn = [draw_box(mask if mask.any() else ~mask) for mask in masks]
    boxes = rescaled(np.stack(drawn), STRIDE)
    by_box = Prompts(coords[:, :0], torch.from_numpy(boxes).to(embedding.device))
    in_boxes = answer(teacher, embedding, input_size, by_box)
    return [(by_point, at_points), (by_box, in_boxes)]


def answer(
    sam: Sam, embedding: torch.Tensor, input_size: tuple[int, int], prompts: Prompts
) -> Answer:
    """Decodes prompts on the (256, S / 16, S / 16) embedding of a photo, without the padding."""
    labels = torch.ones(prompts.points.shape[:2], device=embedding.device)
    logits, iou_predictions = decode(
        sam,
        embedding.float(),
        prompts.points,
        labels,
        prompts.boxes,
        mask_input=None,
        multimask_output=prompts.boxes is None,
    )
    height, width = (-(-side // STRIDE) for side in input_size)
    return Answer(logits[..., :height, :width], iou_predictions.float())


def _random_points(
    input_size: tuple[int, int], count: int, random: np.random.Generator
) -> Coordinates:
    """(count, 2) XY, uniformly distributed on the photo."""
    height, width = input_size
    return random.uniform(0, (width - 1, height - 1), (count, 2)).astype(np.float32)
