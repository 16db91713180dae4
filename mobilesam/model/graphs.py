"""CUDA graphs: a function of tensors is recorded once for each shape, and replayed afterwards.

A GPU needs a few microseconds for most kernels of this model, less than Python needs to start them.
A replay starts all of them at once.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.attention import SDPBackend, sdpa_kernel

logger = logging.getLogger(__name__)

Tensors: TypeAlias = tuple[torch.Tensor, ...]

_ATTENTION = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""The fastest of torch's kernels for the encoder's windows, and one that is always there."""
_WARM_UPS = 3  # in which the libraries choose their algorithms and allocate their workspaces


class GraphDevice(Protocol):
    """What `Graphs` needs of a GPU, so that it can be tested without one.

    Attributes:
        device: torch's.
    """

    device: torch.device

    def record(self, function: Callable[[], Tensors]) -> tuple[Callable[[], None], Tensors]:
        """Records a function; returns what runs it again, and the outputs, which that overwrites.

        Raises:
            RuntimeError: the function cannot be recorded.
        """

    def upload_buffer(self, *shape: int) -> torch.Tensor:
        """An uninitialised uint8 tensor on the CPU from which uploads are fast."""

    def fetch(self, *tensors: torch.Tensor) -> list[NDArray[np.float32]]:
        """Copies float32 tensors from the device."""


class CudaDevice:
    """A GPU; to be used in one thread."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pool: Any = None

    def record(self, function: Callable[[], Tensors]) -> tuple[Callable[[], None], Tensors]:
        """Records a CUDA graph; all graphs share their memory, as they never run together."""
        with (
            torch.cuda.device(self.device),
            torch.cuda.stream(torch.cuda.current_stream()),  # also after a recording that fails
            sdpa_kernel(_ATTENTION),
        ):
            self._warm_up(function)
            graph = torch.cuda.CUDAGraph()
            # Other threads may use the GPU meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                outputs = function()
            self._pool = self._pool or graph.pool()
        return graph.replay, outputs

    def upload_buffer(self, *shape: int) -> torch.Tensor:
        """In pinned memory."""
        return torch.empty(shape, dtype=torch.uint8, pin_memory=True)

    def fetch(self, *tensors: torch.Tensor) -> list[NDArray[np.float32]]:
        """Copies all of them, then waits once."""
        copies = [tensor.to("cpu", non_blocking=True) for tensor in tensors]
        torch.cuda.current_stream(self.device).synchronize()
        return [copy.numpy() for copy in copies]

    def _warm_up(self, function: Callable[[], Tensors]) -> None:
        present = torch.cuda.current_stream()
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(present)
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                function()
        present.wait_stream(side)


class Graphs:
    """Runs functions of tensors by replaying recordings; safe to share between threads.

    There is a recording for each function and shape of its inputs. Beyond `limit`, the one that was
    not used for the longest time goes.
    """

    def __init__(self, device: GraphDevice, limit: int = 16) -> None:
        self._device = device
        self._limit = limit
        self._graphs: OrderedDict[Hashable, Callable[..., Tensors]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._graphs)

    @torch.inference_mode()
    def run(
        self, key: Hashable, function: Callable[..., Tensors], *inputs: torch.Tensor
    ) -> Tensors:
        """`function(*inputs)` on the device; the results share no memory with those of other calls.

        A function that cannot be recorded is called.

        Args:
            key: identifies the function.
            function: maps tensors on the device to tensors; its results depend on them alone.
            inputs: on any device; they are copied.

        Raises:
            torch.OutOfMemoryError: the device's memory is full.
        """
        full_key = key, *((tensor.shape, tensor.dtype) for tensor in inputs)
        with self._lock:
            if full_key not in self._graphs:
                self._graphs[full_key] = self._recorded(key, function, inputs)
                if len(self._graphs) > self._limit:
                    self._graphs.popitem(last=False)
            self._graphs.move_to_end(full_key)
            return self._graphs[full_key](*inputs)

    def _recorded(
        self, key: Hashable, function: Callable[..., Tensors], inputs: Tensors
    ) -> Callable[..., Tensors]:
        buffers = [tensor.to(self._device.device, copy=True) for tensor in inputs]
        try:
            replay, outputs = self._device.record(partial(function, *buffers))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            logger.warning("The %s runs without a CUDA graph: %s", key, error)
            return lambda *inputs: function(*(tensor.to(self._device.device) for tensor in inputs))

        def run(*inputs: torch.Tensor) -> Tensors:
            for buffer, tensor in zip(buffers, inputs, strict=True):
                buffer.copy_(tensor, non_blocking=True)
            replay()
            return tuple(output.clone() for output in outputs)

        return run
