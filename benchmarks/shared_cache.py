"""What the shared cache costs, whole and broken: `python -m benchmarks.shared_cache`.

Milliseconds to store and to find an embedding, and what each fault of the server adds to the first
opening of a photo and to later ones (median and longest of 20). The encode takes no time here.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from benchmarks.machine import machine
from mobilesam import ImageEmbedding
from mobilesam.embedding_codec import decode_embedding, encode_embedding
from mobilesam.frame import Frame
from mobilesam.redis_cache import RedisCache
from mobilesam.settings import ImageLimits
from mobilesam.shared_embeddings import SharedEmbeddings
from tests.redis_server import RedisServer, proxied, running_redis

CPU = torch.device("cpu")
MAX_PIXELS = ImageLimits().max_pixels
ROUNDS = 50
LATER = 20


def new_embedding() -> ImageEmbedding:
    features = torch.randn(1, 256, 64, 64, generator=torch.Generator().manual_seed(0))
    return ImageEmbedding.of(features, Frame.of((682, 1024), 1024, None), "checkpoint:photo")


def timed(work: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    work()
    return round(1000 * (time.perf_counter() - started_at), 2)


def median(work: Callable[[], object]) -> float:
    return statistics.median(timed(work) for _ in range(ROUNDS))


def transfers(server: RedisServer, embedding: ImageEmbedding) -> dict[str, float]:
    value = encode_embedding(embedding)
    cache = RedisCache(server.url)
    shared = SharedEmbeddings(cache, "modules", CPU, MAX_PIXELS)
    shared.get_or_compute(embedding.key, lambda: embedding)
    while not shared.get(embedding.key):
        time.sleep(0.05)
    return {
        "bytes": len(value),
        "encode_embedding": median(lambda: encode_embedding(embedding)),
        "decode_embedding": median(lambda: decode_embedding(value, embedding.key, CPU, MAX_PIXELS)),
        "SET": median(lambda: server.client.set("value", value)),
        "GET": median(lambda: cache.get(f"mobilesam:modules:{embedding.key}")),
        "found": median(lambda: shared.get(embedding.key)),
        "not found": median(lambda: shared.get("unknown")),
    }


def openings(cache: RedisCache, embedding: ImageEmbedding, fault: str) -> dict[str, float]:
    """The time that opening a photo takes besides the encode: the first one, and later ones."""
    shared = SharedEmbeddings(cache, "modules", CPU, MAX_PIXELS)

    def opened(number: int) -> float:
        other = replace(embedding, key=f"{fault}:{number}")
        return timed(lambda: shared.get_or_compute(other.key, lambda: other))

    first, later = opened(0), [opened(number) for number in range(1, 1 + LATER)]
    return {"first": first, "later": statistics.median(later), "longest later": max(later)}


def main() -> None:
    embedding, added = new_embedding(), {}
    with running_redis() as server, proxied(server) as proxy:
        figures = transfers(server, embedding)
        for fault in (None, "slow", "close", "trickle", "garbage"):
            proxy.fault = None
            cache = RedisCache(proxy.url)
            cache.get("connected")
            proxy.fault = fault
            added[fault or "none"] = openings(cache, embedding, fault or "none")
        server.client.config_set("maxmemory", "1mb")
        added["full"] = openings(RedisCache(server.url), embedding, "full")
        cache = RedisCache(server.url)
        cache.get("connected")
        server.stop()
        added["gone"] = openings(cache, embedding, "gone")
    print(json.dumps({"machine": machine(), "ms": figures, "added_ms": added}, indent=2))


if __name__ == "__main__":
    main()
