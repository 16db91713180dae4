"""Embeddings as bytes: the same afterwards, and nothing at all if a bit is wrong."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch

from mobilesam import ImageEmbedding
from mobilesam.embedding_codec import decode_embedding, encode_embedding
from mobilesam.frame import Frame

CPU = torch.device("cpu")
KEY = f"{'c' * 64}:{'d' * 64}"
CROP = (10, 20, 600, 470)


def new_embedding(crop=None, key=KEY):
    features = torch.randn(1, 256, 64, 64, generator=torch.Generator().manual_seed(3))
    features[0, 7] = 0
    return ImageEmbedding.of(features, Frame.of((480, 640), 1024, crop), key)


@pytest.fixture(scope="module")
def value():
    return encode_embedding(new_embedding())


@pytest.mark.parametrize("crop", [None, CROP])
def test_an_embedding_is_the_same_afterwards(crop):
    before = new_embedding(crop, key=f"{KEY}:{crop}")
    after = decode_embedding(encode_embedding(before), before.key, CPU)
    assert after.codes.equal(before.codes)
    assert after.codes.dtype == torch.int16
    assert after.scales.equal(before.scales)
    assert after.features.equal(before.features)
    assert (after.frame, after.key, after.note) == (before.frame, before.key, "")
    assert after.nbytes == before.nbytes


def test_the_format_is_what_other_versions_will_find(value):
    """Read here without the codec; another format needs another version byte."""
    embedding = new_embedding()
    assert value[0] == 1
    assert struct.unpack_from("<8I", value, 17) == (480, 640, 768, 1024, 0, 0, 0, 0)
    scales = np.frombuffer(value, "<f4", 256, 17 + 32)
    codes = np.frombuffer(value, "<i2", offset=17 + 32 + 1024)
    np.testing.assert_array_equal(scales, embedding.scales.flatten().numpy())
    np.testing.assert_array_equal(codes, embedding.codes.flatten().numpy())
    assert len(value) == embedding.nbytes + 49


@pytest.mark.parametrize("place", [0, 1, 16, 17, 48, 49, 1072, 1073, 1_000_000, -1])
def test_a_damaged_value_is_none(value, place):
    damaged = bytearray(value)
    damaged[place] ^= 1
    assert decode_embedding(bytes(damaged), KEY, CPU) is None
    assert decode_embedding(value, KEY, CPU) is not None


@pytest.mark.parametrize("length", [0, 1, 16, 17, 49, 1073, 1_000_000, -2, -1])
def test_a_truncated_value_is_none(value, length):
    assert decode_embedding(value[:length], KEY, CPU) is None


def test_a_longer_value_is_none(value):
    assert decode_embedding(value + b"\0\0", KEY, CPU) is None


def test_a_value_of_another_photo_is_none(value):
    assert decode_embedding(value, KEY[:-1] + "e", CPU) is None
