"""The browser's decoder in a Worker of each browser engine, in turns with the server's decoder.

`python -m benchmarks.browser_decoder`: median and best time of a prompt of one point on a photo of
3:2, also while another photo is encoded, and how long the first use takes. The server's decoder and
encoder run in this process, with its threads. `--engines` chooses among Chromium, Firefox and
WebKitGTK (`firefox-esr`, `webkit2gtk-driver` and `xvfb` of Debian).
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.click_to_paint import CHROMIUM_FLAGS
from benchmarks.machine import machine
from benchmarks.serving import ROOT
from mobilesam import Prompt, Segmenter
from mobilesam.browser_decoder import decoder_weights, embedding_bytes
from mobilesam.browser_decoder.build import BUILT
from mobilesam.embedding import compute_embedding
from mobilesam.images import open_photo
from mobilesam.runtime import tune_process
from tests.browser.engines import ENGINES, Page, prepare_home

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
  if (!message) {
    window.worker?.terminate();
    window.worker = new Worker('worker.js', {type: 'module'});
  }
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


@contextmanager
def opened(engine: str, address: str) -> Iterator[Page]:
    """A page of an engine at an address; Chromium's is Playwright's, which has the same methods."""
    with ExitStack() as stack:
        if engine == "chromium":
            playwright = stack.enter_context(sync_playwright())
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS
            )
            stack.callback(browser.close)
            page = browser.new_page()
        else:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            prepare_home(home)
            page = Page(stack.enter_context(ENGINES[engine](home)))
        page.goto(address)
        yield page


def first_use(page: Page) -> dict[str, float]:
    """Milliseconds from the bytes to the first prediction, in a new worker."""
    create_ms, photo_ms = page.evaluate(ASK, None)
    return {
        "create": create_ms,
        "set photo": photo_ms,
        "first prediction": page.evaluate(ASK, {"points": [[500, 300]], "labels": [1]}),
    }


@contextmanager
def encoding(segmenter: Segmenter, is_on: bool) -> Iterator[None]:
    """Encodes a photo again and again meanwhile, as for other visitors."""
    backend, photo, stop = segmenter.backend, open_photo(PHOTO), threading.Event()

    def encode() -> None:
        while not stop.is_set():
            compute_embedding(backend, photo, "another")

    thread = threading.Thread(target=encode)
    if is_on:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if is_on:
            thread.join()


def decode_times(
    segmenter: Segmenter, pages: Mapping[str, Page], rounds: int
) -> dict[str, dict[str, float]]:
    """Milliseconds of a decode: every page and the server once for each point, in turns."""
    embedding = segmenter.encode(PHOTO)
    height, width = embedding.original_size
    points = np.random.default_rng(1).uniform(0.1, 0.9, (rounds, 2)) * [width, height]
    times: dict[str, list[float]] = {name: [] for name in (*pages, "server")}
    for point in points.tolist():
        prompt = {"points": embedding.frame.to_input([point]).tolist(), "labels": [1]}
        for name, page in pages.items():
            times[name].append(page.evaluate(ASK, prompt))
        start = time.perf_counter()
        segmenter.predict(embedding, Prompt([tuple(point)], [1]))
        times["server"].append(1000 * (time.perf_counter() - start))
    return {
        name: {"median": statistics.median(values), "best": min(values)}
        for name, values in times.items()
    }


def measure(engines: Sequence[str], rounds: int) -> dict[str, object]:
    segmenter = Segmenter.from_weights("bundled", device="cpu")
    files = {
        "": b"<!doctype html>",
        "worker.js": WORKER,
        "weights": decoder_weights(segmenter.backend),
        "embedding": embedding_bytes(segmenter.encode(PHOTO)),
    } | {path.name: path.read_bytes() for path in BUILT.iterdir()}
    with ExitStack() as stack:
        address = stack.enter_context(served(files))
        pages = {engine: stack.enter_context(opened(engine, address)) for engine in engines}
        uses = {name: [first_use(page) for _ in range(FIRST_USES)] for name, page in pages.items()}
        result: dict[str, object] = {
            "machine": machine(),
            "user_agents": {
                name: page.evaluate("() => navigator.userAgent") for name, page in pages.items()
            },
            "first_use_ms": {
                name: {step: statistics.median(use[step] for use in own) for step in own[0]}
                for name, own in uses.items()
            },
        }
        for key, is_on in (("decode_ms", False), ("decode_ms_while_encoding", True)):
            with encoding(segmenter, is_on):
                result[key] = decode_times(segmenter, pages, rounds)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    engines = ["chromium", *ENGINES]
    parser.add_argument("--engines", nargs="+", default=["chromium"], choices=engines)
    arguments = parser.parse_args()
    tune_process()
    print(json.dumps(measure(arguments.engines, arguments.rounds), indent=2))


if __name__ == "__main__":
    main()
