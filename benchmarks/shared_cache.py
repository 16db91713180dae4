"""What the shared cache costs, whole and broken: `python -m benchmarks.shared_cache`.

Milliseconds to store and to find an embedding, and what each fault of the server adds to the first
opening of a photo and to later ones (median and longest of 20). The encode takes no time here.
Then the real application: the next click of a visitor whose process was killed, at another one that
shares the cache, with the upload and the opening of the photo that the page does for it.
"""

from __future__ import annotations

import json
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.machine import machine
from mobilesam import ImageEmbedding
from mobilesam.embedding_codec import decode_embedding, encode_embedding
from mobilesam.frame import Frame
from mobilesam.redis_cache import RedisCache
from mobilesam.settings import ImageLimits
from mobilesam.shared_embeddings import SharedEmbeddings
from tests.page import CLICK, visiting
from tests.redis_server import RedisServer, proxied, running_redis, until
from tests.serving import ROOT, running_app

CPU = torch.device("cpu")
MAX_PIXELS = ImageLimits().max_pixels
ROUNDS = 50
LATER = 20
PHOTO = ROOT / "examples" / "fig.jpg"
KILLED = 5


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


def next_click(server: RedisServer, photo: Path) -> dict[str, float]:
    """Milliseconds of the parts of the next click after the visitor's process was killed."""
    settings = {"MOBILESAM_CACHE_URL": server.url}
    with running_app(**settings) as other, visiting(other.url) as page:
        with running_app(**settings) as app, visiting(app.url) as own:
            token = own.open(photo)
            until(lambda: server.client.keys("*") and not server.client.keys("*:lease"))
            app.stop(signal.SIGKILL)

        def click(token: str) -> dict[str, object]:
            reply: dict[str, object] = page.post(
                "segment", {"token": token, "interactions": [CLICK]}
            ).json()
            return reply

        parts, began_at = {}, time.perf_counter()
        assert click(token)["expired"]
        parts["refused"] = time.perf_counter() - began_at
        opened = page.open_photo(page.upload(photo))
        assert opened["cached"]
        parts["opened again"] = time.perf_counter() - began_at
        assert click(opened["token"])["ok"]
        parts["answered"] = time.perf_counter() - began_at
        server.client.flushall()
        return {name: round(1000 * seconds, 1) for name, seconds in parts.items()}


def main() -> None:
    embedding, added = new_embedding(), {}
    with running_redis() as server:
        clicks = [next_click(server, PHOTO) for _ in range(KILLED)]
    killed = {name: statistics.median(one[name] for one in clicks) for name in clicks[0]}
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
    report = {"machine": machine(), "ms": figures, "added_ms": added, "next_click_ms": killed}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
