"""The browser's decoder in a Worker of Chromium, in turns with the server's decoder.

`python -m benchmarks.browser_decoder`: median and best time of a prompt of one point on a photo of
3:2, and how long the first use takes. The server's decoder runs in this process, with its threads.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.click_to_paint import CHROMIUM_FLAGS
from benchmarks.machine import machine
from benchmarks.serving import ROOT
from mobilesam import Prompt, Segmenter
from mobilesam.browser_decoder import decoder_weights, embedding_bytes
from mobilesam.browser_decoder.build import BUILT
from mobilesam.runtime import tune_process

PHOTO = ROOT / "examples" / "street.jpg"
FIRST_USES = 5  # workers that are started anew
WORKER = b"""
import {createDecoder} from './instance.js';
const bytes = async (name) => (await fetch(name)).arrayBuffer();
const timed = async (work) => {
  const start = performance.now();
  const result = await work();
  return [performance.now() - start, result];
};
let decoder;
onmessage = async ({data: prompt}) => {
  if (prompt) return postMessage((await timed(() => decoder.predict(prompt)))[0]);
  const [weights, embedding] = [await bytes('weights'), await bytes('embedding')];
  const [createMs, created] = await timed(() => createDecoder(bytes, weights));
  decoder = created;
  postMessage([createMs, (await timed(() => decoder.setPhoto(embedding)))[0]]);
};
"""
ASK = """(message) => new Promise((resolve, reject) => {
  if (!message) window.worker = new Worker('worker.js', {type: 'module'});
  worker.onmessage = ({data}) => resolve(data);
  worker.onerror = ({message}) => reject(message);
  worker.postMessage(message);
})"""


@contextmanager
def served(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serves files from memory; gives the address of their folder."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/")
            self.send_response(200 if name in files else 404)
            self.send_header("Content-Type", "text/javascript" if ".js" in name else "text/html")
            self.end_headers()
            self.wfile.write(files.get(name, b""))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


def first_use(page: Page, prompt: dict[str, object]) -> dict[str, float]:
    """Milliseconds from the bytes to the first prediction, in a new worker."""
    create_ms, photo_ms = page.evaluate(ASK, None)
    return {
        "create": create_ms,
        "set photo": photo_ms,
        "first prediction": page.evaluate(ASK, prompt),
    }


def measure(rounds: int) -> dict[str, object]:
    segmenter = Segmenter.from_weights("bundled", device="cpu")
    embedding = segmenter.encode(PHOTO)
    files = {
        "": b"<!doctype html>",
        "worker.js": WORKER,
        "weights": decoder_weights(segmenter.backend),
        "embedding": embedding_bytes(embedding),
    } | {path.name: path.read_bytes() for path in BUILT.iterdir()}
    height, width = embedding.original_size
    points = np.random.default_rng(1).uniform(0.1, 0.9, (rounds, 2)) * [width, height]
    times: dict[str, list[float]] = {"browser": [], "server": []}
    with served(files) as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS
        )
        first_uses = []
        for _ in range(FIRST_USES):
            page = chromium.new_page()
            page.goto(address)
            first_uses.append(first_use(page, {"points": [[500, 300]], "labels": [1]}))
        for point in points.tolist():
            prompt = {"points": embedding.frame.to_input([point]).tolist(), "labels": [1]}
            times["browser"].append(page.evaluate(ASK, prompt))
            start = time.perf_counter()
            segmenter.predict(embedding, Prompt([tuple(point)], [1]))
            times["server"].append(1000 * (time.perf_counter() - start))
        version = chromium.version
        chromium.close()
    return {
        "machine": machine() | {"chromium": version},
        "first_use_ms": {
            name: statistics.median(use[name] for use in first_uses) for name in first_uses[0]
        },
        "decode_ms": {
            name: {"median": statistics.median(values), "best": min(values)}
            for name, values in times.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    tune_process()
    print(json.dumps(measure(parser.parse_args().rounds), indent=2))


if __name__ == "__main__":
    main()
