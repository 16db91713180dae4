"""The losses of SAM against values computed by hand."""

import math

import pytest
import torch

from mobilesam.training.losses import dice_loss, focal_loss, iou_loss, mask_iou, mask_loss

LOG3 = math.log(3)  # the logit of probability 3/4
LOGITS = torch.tensor([[[LOG3, -LOG3], [LOG3, -LOG3]]])  # probabilities 3/4, 1/4, 3/4, 1/4
TARGETS = torch.tensor([[[True, False], [False, True]]])


def test_focal_loss_is_the_mean_of_its_definition():
    """alpha_t (1 - p_t)^2 (-ln p_t) in each pixel, alpha_t 1/4 inside and 3/4 outside."""
    easy, hard = (1 / 4) ** 2 * math.log(4 / 3), (3 / 4) ** 2 * math.log(4)
    expected = (1 / 4 * easy + 3 / 4 * easy + 3 / 4 * hard + 1 / 4 * hard) / 4
    assert focal_loss(LOGITS, TARGETS).tolist() == pytest.approx([expected])


def test_dice_loss_is_one_minus_the_smoothed_coefficient():
    """The overlap is 3/4 + 1/4, and each of the two areas is 2."""
    assert dice_loss(LOGITS, TARGETS).tolist() == pytest.approx([1 - (2 * 1 + 1) / (2 + 2 + 1)])


def test_focal_loss_weighs_twenty_times_as_much_as_dice():
    expected = 20 * focal_loss(LOGITS, TARGETS) + dice_loss(LOGITS, TARGETS)
    assert mask_loss(LOGITS, TARGETS).tolist() == pytest.approx(expected.tolist())


def test_each_mask_of_a_batch_has_its_own_loss():
    right = torch.where(TARGETS, 20.0, -20.0)
    focal, dice = (
        loss(torch.cat([LOGITS, right]), torch.cat([TARGETS, TARGETS]))
        for loss in (focal_loss, dice_loss)
    )
    assert focal.shape == dice.shape == (2,)
    assert focal[0] > 0.1
    assert dice[0] > 0.1
    assert torch.stack([focal[1], dice[1]]).abs().max() < 1e-6


def test_half_precision_logits_overflow_nowhere():
    large = torch.full((1, 300, 300), 40000.0, dtype=torch.float16)
    targets = torch.ones(1, 300, 300, dtype=torch.bool)
    assert dice_loss(large, targets).tolist() == pytest.approx([0])
    assert torch.isfinite(mask_loss(-large, targets)).all()


def test_iou_loss_is_the_squared_error_and_trains_the_prediction_alone():
    """One pixel of three is in both masks."""
    predictions = torch.tensor([0.5], requires_grad=True)
    logits = LOGITS.clone().requires_grad_()
    loss = iou_loss(predictions, logits, TARGETS)
    assert loss.tolist() == pytest.approx([(0.5 - 1 / 3) ** 2])
    loss.sum().backward()
    assert predictions.grad.tolist() == pytest.approx([2 * (0.5 - 1 / 3)])
    assert logits.grad is None


def test_iou_of_two_empty_masks_is_one():
    masks = torch.tensor([[[False, False]], [[True, True]], [[True, False]]])
    targets = torch.tensor([[[False, False]], [[True, False]], [[False, True]]])
    assert mask_iou(masks, targets).tolist() == [1, 0.5, 0]
