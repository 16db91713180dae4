"""Embeddings as bytes: the same afterwards, and nothing at all if a bit is wrong."""

from __future__ import annotations

import math
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch

from mobilesam import ImageEmbedding, embedding_codec
from mobilesam.embedding_codec import encode_embedding
from mobilesam.frame import Frame

CPU = torch.device("cpu")
KEY = f"{'c' * 64}:{'d' * 64}"
CROP = (10, 20, 600, 470)


def decode_embedding(value, key, device, max_pixels=40_000_000):
    return embedding_codec.decode_embedding(value, key, device, max_pixels)


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


@pytest.mark.parametrize(
    "frame",
    [
        Frame((60_000, 60_000), (1024, 1024)),  # too large
        Frame((2**32 - 1, 2**32 - 1), (1024, 1024)),
        Frame((0, 0), (0, 0)),
        Frame((480, 0), (1024, 1)),
        Frame((480, 640), (768, 1023)),  # inconsistent
        Frame((480, 640), (1024, 768)),
        Frame((480, 640), (0, 0)),
        Frame((480, 640), (60_000, 60_000)),
        Frame((480, 640), (802, 1024), (10, 20, 650, 520)),  # beyond the photo
        Frame((480, 640), (1024, 1024), (100, 100, 50, 50)),
        Frame((480, 640), (1024, 1024), (0, 0, 8, 8)),  # too small
        Frame((480, 640), (768, 1024), (0, 0, 640, 480)),  # which is no crop
    ],
)
def test_a_value_with_a_frame_that_no_photo_has_is_none(frame):
    """Its digest is right: another program has written it."""
    forged = replace(new_embedding(), frame=frame)
    assert decode_embedding(encode_embedding(forged), KEY, CPU) is None


def test_the_largest_photo_is_what_the_settings_say(value):
    assert decode_embedding(value, KEY, CPU, max_pixels=480 * 640)
    assert decode_embedding(value, KEY, CPU, max_pixels=480 * 640 - 1) is None


@pytest.mark.parametrize("scale", [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e30])
def test_a_value_with_a_scale_that_no_features_have_is_none(scale):
    embedding = new_embedding()
    scales = embedding.scales.clone()
    scales[0, 100] = scale
    forged = replace(embedding, scales=scales)
    assert decode_embedding(encode_embedding(forged), KEY, CPU) is None
