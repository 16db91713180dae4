"""SAM's prompt encoder and mask decoder for the browser, and what the server hands to it."""

from mobilesam.browser_decoder.tensors import decoder_weights, embedding_bytes

__all__ = ["decoder_weights", "embedding_bytes"]
