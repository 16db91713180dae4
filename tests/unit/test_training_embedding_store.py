"""The teacher's embeddings on disk: each once, completely or not at all."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
import torch
from PIL import Image

from mobilesam import ImageError, MobileSamError
from mobilesam.training.embedding_store import EmbeddingStore, embed_photos
from mobilesam.training.loop import build_accelerator
from mobilesam.training.photos import photo_digest, read_photo

SIZE = 64


@pytest.fixture
def store(tmp_path):
    return EmbeddingStore(tmp_path / "embeddings", "d" * 64, SIZE)


@pytest.fixture
def small_sam(stub_sam):
    """The stub, whose encoder counts its calls, at the store's size."""
    stub_sam.image_encoder.img_size = SIZE
    return stub_sam


@pytest.fixture
def photos(tmp_path, draw_disc):
    """Three photos and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        Image.fromarray(draw_disc(seed)).save(folder / f"{seed}.png")
    (folder / "1.jpg").write_bytes(b"no photo")
    return sorted(folder.iterdir())


@pytest.fixture
def embed(small_sam, store):
    """embed(paths) gives the stored photos and the sentences."""

    def run(paths):
        said = []
        return embed_photos(paths, small_sam, store, build_accelerator(), said.append, True), said

    return run


def files(store):
    return sorted(path for path in store.folder.rglob("*") if path.is_file())


def test_each_photo_is_embedded_once_and_unreadable_ones_are_skipped(
    embed, photos, small_sam, store
):
    stored, said = embed(photos)
    assert [photo.path.name for photo in stored] == ["0.png", "1.png", "2.png"]
    assert len(said) == 1
    assert re.match(r".*1\.jpg is skipped: This file is not a photo", said[0])
    assert small_sam.image_encoder.calls == 3
    for photo in stored:
        assert photo.digest == photo_digest(photo.path)
        pixels = read_photo(photo.path, SIZE).pixels[None]
        expected = small_sam.image_encoder(small_sam.preprocess(pixels))[0].half()
        embedding = store.load(photo.digest)
        assert embedding.shape == store.shape == (256, 4, 4)
        np.testing.assert_array_equal(embedding, expected.numpy())
    small_sam.image_encoder.calls = 0
    assert embed(photos)[0] == stored
    assert small_sam.image_encoder.calls == 0


def test_only_missing_and_truncated_embeddings_are_computed_again(embed, photos, small_sam, store):
    stored, _ = embed(photos)
    store.path(stored[0].digest).unlink()
    os.truncate(store.path(stored[1].digest), 200)
    small_sam.image_encoder.calls = 0
    embed(photos)
    assert small_sam.image_encoder.calls == 2
    assert all(photo.digest in store for photo in stored)


def test_other_models_and_sizes_have_their_own_embeddings(store):
    store.save("a", torch.ones(256, 4, 4))
    assert "a" in store
    assert "a" not in EmbeddingStore(store.folder, "e" * 64, SIZE)
    assert "a" not in EmbeddingStore(store.folder, store.model_digest, 128)


def test_an_embedding_of_1024_pixels_takes_2_mb(store):
    full = EmbeddingStore(store.folder, "d" * 64, 1024)
    full.save("a", torch.zeros(full.shape))
    assert full.path("a").stat().st_size == 128 + 2 * 256 * 64 * 64
    assert "a" in full


def test_a_full_disk_is_one_sentence_and_leaves_what_is_complete(
    embed, photos, small_sam, store, monkeypatch
):
    write = os.fsync

    def full(descriptor):
        if len(files(store)) > 1:  # the first one, and the temporary file of the second one
            raise OSError(28, "No space left on device")
        write(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(MobileSamError, match=r"No space left on device\. Free some space"):
            embed(photos)
    assert len(files(store)) == 1
    small_sam.image_encoder.calls = 0
    assert len(embed(photos)[0]) == 3
    assert small_sam.image_encoder.calls == 2


def test_nothing_but_unreadable_photos_is_one_sentence(embed, photos):
    with pytest.raises(ImageError, match=r"^None of the photos can be read\.$"):
        embed([path for path in photos if path.suffix == ".jpg"])


def test_a_damaged_embedding_is_one_sentence(store):
    store.save("a", torch.zeros(store.shape))
    store.path("a").write_bytes(b"x" * store.path("a").stat().st_size)
    with pytest.raises(MobileSamError, match=r"is damaged\. Delete it, then run the same command"):
        store.load("a")


def test_embeddings_that_are_not_finite_are_refused(embed, photos, small_sam, store):
    small_sam.image_encoder.module.mix.fill_(1e6)
    with pytest.raises(MobileSamError, match="Use --precision no"):
        embed(photos)
    assert not store.folder.exists()
