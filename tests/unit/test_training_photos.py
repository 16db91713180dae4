"""Photos for training: the files of a folder, and the pixels that the demo's encoder would see."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mobilesam import ImageError
from mobilesam.embedding import compute_embedding
from mobilesam.images import open_photo
from mobilesam.model.backend import plain_backend
from mobilesam.training.photos import find_photos, photo_digest, read_photo


@pytest.fixture
def wide(tmp_path, draw_disc):
    """A file of 180 x 120 pixels."""
    path = tmp_path / "wide.png"
    Image.fromarray(draw_disc()).save(path)
    return path


def test_photos_are_found_in_all_subfolders_in_the_order_of_their_paths(tmp_path, disc):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("z.PNG", "a/b/y.jpg", "a/x.webp"):
        Image.fromarray(disc).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / "folder.png").mkdir()
    assert [str(path.relative_to(tmp_path)) for path in find_photos(tmp_path)] == [
        "a/b/y.jpg",
        "a/x.webp",
        "z.PNG",
    ]


def test_a_folder_without_photos_is_one_sentence(tmp_path):
    with pytest.raises(ImageError, match=r"^There are no photos in .* Name a folder with JPEG"):
        find_photos(tmp_path)
    with pytest.raises(ImageError, match=r"^The folder .*absent does not exist\.$"):
        find_photos(tmp_path / "absent")


def test_the_digest_is_of_the_file(wide, tmp_path):
    assert photo_digest(wide) == hashlib.sha256(wide.read_bytes()).hexdigest()
    with pytest.raises(ImageError, match="cannot be opened"):
        photo_digest(tmp_path / "absent.png")


def test_the_pixels_are_those_that_the_demo_encodes(wide, stub_sam):
    """`Sam.preprocess` normalises and pads what `compute_embedding` gives to the encoder."""
    seen = []

    def encode(rgb: torch.Tensor) -> torch.Tensor:
        seen.append(stub_sam.preprocess(rgb))
        return rgb

    compute_embedding(replace(plain_backend(stub_sam), encode=encode), open_photo(wide), "key")
    photo = read_photo(wide, 1024)
    assert photo.input_size == (683, 1024)
    assert photo.pixels.dtype == torch.float32
    assert torch.equal(stub_sam.preprocess(photo.pixels[None]), seen[0])


def test_augmentation_changes_light_and_noise_and_moves_nothing(wide):
    plain = read_photo(wide, 64)
    changed = read_photo(wide, 64, np.random.default_rng(1))
    again = read_photo(wide, 64, np.random.default_rng(1))
    height, width = plain.input_size
    assert changed.input_size == (43, 64) == (height, width)
    assert torch.equal(changed.pixels, again.pixels)
    difference = (changed.pixels - plain.pixels).abs()
    assert 3 < difference[:, :height].mean() < 80
    assert torch.equal(changed.pixels[:, height:], plain.pixels[:, height:])
    assert changed.pixels.min() >= 0
    assert changed.pixels.max() <= 255
    both = torch.stack([plain.pixels[0, :height].flatten(), changed.pixels[0, :height].flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.95
