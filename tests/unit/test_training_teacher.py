"""Which checkpoints can teach, told apart by their tensors, and inputs other than 1024 x 1024."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from segment_anything import build_sam_vit_b

from mobilesam import MobileSamError, WeightsError
from mobilesam.model.checkpoint import checkpoint_digest
from mobilesam.model.sam import build_sam
from mobilesam.model.weights import WEIGHTS_DIR
from mobilesam.training.teacher import load_teacher, set_input_size, teacher_layout


def vit_state(width: int) -> dict[str, torch.Tensor]:
    return {"image_encoder.pos_embed": torch.empty(1, 64, 64, width, device="meta")}


@pytest.mark.parametrize(
    ("state", "layout"),
    [
        (vit_state(768), "ViT-B"),
        (vit_state(1024), "ViT-L"),
        (vit_state(1280), "ViT-H"),
        ({"image_encoder.patch_embed.seq.0.c.weight": torch.empty(0)}, "MobileSAM"),
    ],
)
def test_the_layouts_are_told_apart(state, layout):
    assert teacher_layout(state, "a.pth") == layout


@pytest.mark.parametrize(
    "state", [{}, vit_state(512), {"image_encoder.trunk.blocks.0.norm1.weight": torch.empty(1)}]
)
def test_an_unknown_layout_is_one_sentence(state, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({name: torch.zeros(tensor.shape) for name, tensor in state.items()}, path)
    with pytest.raises(WeightsError, match=r"^other.safetensors cannot be used: .*MobileSAM"):
        load_teacher(path, 64)


@pytest.mark.slow
def test_a_checkpoint_that_only_looks_like_vit_b_is_one_sentence(tmp_path):
    path = tmp_path / "b.safetensors"
    save_file({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}, path)
    with pytest.raises(WeightsError, match=r"^b.safetensors is not a checkpoint of SAM's ViT-B"):
        load_teacher(path, 64)


@pytest.mark.slow
def test_vit_b_with_random_weights_can_teach(tmp_path):
    torch.manual_seed(3)
    sam = build_sam_vit_b()
    torch.nn.init.normal_(sam.image_encoder.pos_embed)
    path = tmp_path / "sam_vit_b.pth"
    torch.save(sam.half().state_dict(), path)
    teacher = load_teacher(path, 128)
    assert teacher.layout == "ViT-B"
    assert teacher.digest == checkpoint_digest(path)
    assert not teacher.sam.training
    assert not any(weight.requires_grad for weight in teacher.sam.parameters())
    with torch.inference_mode():
        embedding = teacher.sam.image_encoder(torch.randn(1, 3, 128, 128))
    assert embedding.shape == (1, 256, 8, 8)
    assert torch.isfinite(embedding).all()
    positions = sam.image_encoder.pos_embed.clone()
    set_input_size(sam, 1024)
    torch.testing.assert_close(sam.image_encoder.pos_embed, positions)


@pytest.mark.slow
def test_the_bundled_weights_can_teach():
    teacher = load_teacher(WEIGHTS_DIR, 256)
    assert teacher.layout == "MobileSAM"
    assert teacher.digest == checkpoint_digest(WEIGHTS_DIR)
    sam = teacher.sam
    with torch.inference_mode():
        assert sam.image_encoder(torch.randn(1, 3, 256, 256)).shape == (1, 256, 16, 16)
        assert sam.prompt_encoder.get_dense_pe().shape == (1, 256, 16, 16)
        dense = sam.prompt_encoder(None, torch.tensor([[0.0, 0, 255, 255]]), None)[1]
        assert dense.shape == (1, 256, 16, 16)
        middle = sam.prompt_encoder.pe_layer.forward_with_coords(
            torch.tensor([[[128.0, 128.0]]]), sam.prompt_encoder.input_image_size
        )
        sam_1024 = build_sam().eval()
        sam_1024.load_state_dict(sam.state_dict())
        assert torch.equal(
            middle,
            sam_1024.prompt_encoder.pe_layer.forward_with_coords(
                torch.tensor([[[512.0, 512.0]]]), (1024, 1024)
            ),
        )
    assert sam.preprocess(torch.zeros(3, 100, 256)).shape == (3, 256, 256)


@pytest.mark.parametrize("size", [0, -64, 100, 2048])
def test_an_impossible_input_size_is_one_sentence(size, stub_sam):
    with pytest.raises(MobileSamError, match=rf"multiple of 64 up to 1024, not {size}\.$"):
        set_input_size(stub_sam, size)
