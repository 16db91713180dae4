"""The browser's decoder outside a browser: the committed WebAssembly in wasmtime."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import wasmtime

from mobilesam import Prompt
from mobilesam.browser_decoder.build import BUILT
from mobilesam.frame import Frame

PLAIN, RELAXED = "decoder.wasm", "decoder-relaxed.wasm"
_BOX_LABELS = [2, 3]


class BrowserDecoder:
    """Calls the exports of decoder.c as static/decoder/instance.js does."""

    def __init__(self, build: str) -> None:
        engine = wasmtime.Engine()
        self._store = wasmtime.Store(engine)
        module = wasmtime.Module.from_file(engine, str(BUILT / build))
        self._exports = wasmtime.Instance(self._store, module, []).exports(self._store)
        self._memory = self._exports["memory"].data_ptr(self._store)

    def call(self, name: str, *arguments: int) -> int:
        return self._exports[name](self._store, *arguments)

    def view(self, name: str, count: int, dtype: type) -> np.ndarray:
        """The values at the address that an export returns."""
        address = ctypes.addressof(self._memory.contents) + self.call(name)
        size = count * np.dtype(dtype).itemsize
        return np.frombuffer((ctypes.c_char * size).from_address(address), dtype)

    def load(self, what: str, data: bytes) -> bool:
        """Hands over "weights" or a "photo"; whether all its values are finite."""
        self.view("input", len(data), np.uint8)[:] = np.frombuffer(data, np.uint8)
        return bool(self.call(f"load_{what}"))

    def predict(
        self,
        coords: Sequence[Sequence[float]],
        labels: Sequence[int],
        mask_input: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(4, 256, 256) logits and (4,) IoU predictions; coordinates are the model's."""
        self.view("coords", 2 * len(labels), np.float32)[:] = np.ravel(coords)
        self.view("labels", len(labels), np.int32)[:] = labels
        if mask_input is not None:
            self.view("mask", mask_input.size, np.float32)[:] = mask_input.ravel()
        self.call("prepare_image", int(mask_input is not None))
        self.call("decode", len(labels))
        logits = self.view("logits", 4 * 256 * 256, np.float32).reshape(4, 256, 256)
        return logits.copy(), self.view("ious", 4, np.float32).copy()


def model_prompt(prompt: Prompt, frame: Frame) -> tuple[list[list[float]], list[int]]:
    """Points and labels as the decoder has them: model pixels, the corners of a box last."""
    coords, labels = list(prompt.point_coords), list(prompt.point_labels)
    if prompt.box is not None:
        coords += [prompt.box[:2], prompt.box[2:]]
        labels += _BOX_LABELS
    return frame.to_input(coords).tolist(), labels
