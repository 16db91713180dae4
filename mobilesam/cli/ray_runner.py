"""`batch --ray`: actors of a Ray cluster hold the model and compute the records of photos.

Each actor is a `LocalRunner` in a separate process. Ray Data gives them the photos, replaces
those that die, and repeats their tasks.
"""

import logging
import os
import pickle
import socket
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from mobilesam import __version__
from mobilesam.cli.batch import LocalRunner, PhotoJob, Record
from mobilesam.cli.photo_folder import PhotoFolder
from mobilesam.errors import MobileSamError
from mobilesam.runtime import tune_process
from mobilesam.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from mobilesam.model.weights import Weights

_JOBS_PER_DATASET = 20_000  # looked up ahead and in memory; then the actors start anew
_JOBS_PER_TASK = 8  # what a killed driver or actor loses
_TASK_RETRIES = 2  # when actors die
_ACTOR_CPUS = 1  # one core each is more photos per second than several
_ACTOR_GPUS = 0.25  # preparing photos on the CPU takes longer than the GPU's work
_ACTOR_BYTES = 1_500_000_000  # while a photo of 12 megapixels is encoded
_ANSWER_S = 5.0


class RayRunner:
    """A `Runner` on the cluster to which this process is connected; see `ray_runner`."""

    def __init__(
        self,
        folder: PhotoFolder,
        clean: bool,
        weights: "Weights",
        device: str,
        settings: Settings,
        machine_bytes: float,
    ) -> None:
        """Actors of the device "cuda" have a part of a GPU each.

        `machine_bytes` is the memory of the largest machine, which has room for one actor at least.
        """
        from mobilesam.model.checkpoint import checkpoint_digest

        self.weights = weights
        self.checkpoint = checkpoint_digest(weights.path)
        name = str(weights.path) if weights.kind == "custom" else weights.kind
        settings = replace(settings, weights=name, device=device, cache_bytes=0)
        self._setup = _ActorSetup(folder, clean, settings, self.checkpoint)
        self._gpus = _ACTOR_GPUS if device.startswith("cuda") else 0
        self._bytes = min(_ACTOR_BYTES, machine_bytes)

    def run(
        self, jobs: Iterable[PhotoJob]
    ) -> Generator[tuple[PhotoJob, Record | MobileSamError], None, None]:
        """See `mobilesam.cli.batch.Runner`.

        Raises:
            MobileSamError: an actor cannot work at all, for example for lack of the weights.
        """
        remaining = iter(jobs)
        while part := list(islice(remaining, _JOBS_PER_DATASET)):
            lost = yield from self._run_tasks(part, _JOBS_PER_TASK)
            # A photo that ends its actor takes those of its task along, so each is tried alone.
            lost = yield from self._run_tasks(lost, 1)
            for job in lost:
                yield job, MobileSamError("Actors that answer this photo die; see the log of Ray.")

    def _run_tasks(
        self, jobs: Sequence[PhotoJob], jobs_per_task: int
    ) -> Generator[tuple[PhotoJob, Record | MobileSamError], None, list[PhotoJob]]:
        """Yields the outcomes of all jobs but those of tasks that were lost, which it returns."""
        import ray

        missing = dict(enumerate(jobs))
        rows = [{"index": index, "job": pickle.dumps(job)} for index, job in missing.items()]
        if not rows:
            return []
        tasks = -(-len(rows) // jobs_per_task)
        with warnings.catch_warnings():
            # Of max_task_retries, for which there is nothing else. Without it Ray retries for ever.
            warnings.simplefilter("ignore")
            answered = ray.data.from_items(rows, override_num_blocks=tasks).map_batches(
                _Actor,
                fn_constructor_args=(self._setup,),
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(min_size=1),
                num_cpus=_ACTOR_CPUS,
                num_gpus=self._gpus,
                memory=self._bytes,
                max_task_retries=_TASK_RETRIES,
            )
        try:
            # Without a prefetched batch, which would be lost if this process were killed.
            batches = answered.iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            )
            for batch in batches:
                for row in batch.to_pylist():
                    outcome = pickle.loads(row["outcome"])  # noqa: S301 - of our own actor
                    if isinstance(outcome, _ActorError):
                        raise outcome
                    yield missing.pop(row["index"]), outcome
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise MobileSamError(f"The Ray cluster cannot go on: {reason}") from error
        return list(missing.values())


class _ActorError(MobileSamError):
    """An actor cannot work at all."""


@dataclass(frozen=True)
class _ActorSetup:
    """What an actor needs to know."""

    folder: PhotoFolder
    clean: bool
    settings: Settings
    checkpoint: str
    version: str = __version__

    def runner(self) -> LocalRunner:
        """Loads the model; MobileSamError if it is not that of the driver."""
        tune_process()
        import torch

        from mobilesam.segmenter import Segmenter

        torch.set_num_threads(_ACTOR_CPUS)
        segmenter = Segmenter.from_weights(settings=self.settings)
        if (segmenter.checkpoint, __version__) != (self.checkpoint, self.version):
            raise MobileSamError("It has another version of mobilesam, or other weights.")
        return LocalRunner(segmenter, self.folder, self.clean)


class _Actor:
    """What Ray starts in its worker processes; see `ray.data.Dataset.map_batches`."""

    def __init__(self, setup: _ActorSetup) -> None:
        self._setup = setup
        self._runner: LocalRunner | None = None

    def __call__(self, rows: "pa.Table") -> "pa.Table":
        """From columns `index` and `job` to `index` and `outcome`."""
        import pyarrow as pa

        jobs = [pickle.loads(job) for job in rows["job"].to_pylist()]  # noqa: S301 - of the driver
        outcomes = [pickle.dumps(outcome) for outcome in self._outcomes(jobs)]
        return pa.table({"index": rows["index"], "outcome": pa.array(outcomes, pa.large_binary())})

    def _outcomes(self, jobs: list[PhotoJob]) -> list[Record | MobileSamError]:
        try:
            # Not in the constructor, whose errors Ray answers with another actor.
            self._runner = self._runner or self._setup.runner()
            return [outcome for _, outcome in self._runner.run(jobs)]
        except Exception as error:
            sentence = str(error) if isinstance(error, MobileSamError) else repr(error)
            return [_ActorError(f"The actor on {socket.gethostname()} cannot work: {sentence}")] * (
                len(jobs)
            )


@contextmanager
def ray_runner(
    address: str,
    folder: PhotoFolder,
    clean: bool,
    weights: str | os.PathLike[str] | None,
    device: str | None,
    settings: Settings,
) -> Iterator[RayRunner]:
    """Connects to a cluster within the `with` block.

    An empty address is that of RAY_ADDRESS, else of the cluster that this machine belongs to, else
    a new one on this machine. For weights and device see `mobilesam.Segmenter.from_weights`; GPUs
    are used if the cluster has any.

    Raises:
        MobileSamError: Ray is not installed, no cluster answers, or it has no GPU for "cuda".
        WeightsError: the weights cannot be found.
    """
    try:
        # Read when Ray is imported: it sends nothing home, and is not to write between our lines.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        import ray
        import ray.data
    except ImportError as error:
        raise MobileSamError("--ray needs Ray: pip install -r requirements-ray.txt") from error
    from mobilesam.model.weights import resolve_weights

    chosen = resolve_weights(weights or settings.weights)
    _connect(ray, address)
    try:
        has_gpu = ray.cluster_resources().get("GPU", 0) > 0
        device = device or settings.device or ("cuda" if has_gpu else "cpu")
        if device.startswith("cuda") and not has_gpu:
            raise MobileSamError("The Ray cluster has no GPU. Choose --device cpu.")
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        context.max_errored_blocks = -1  # `RayRunner.run` repeats them
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        memory = [node["Resources"].get("memory", 0) for node in ray.nodes() if node["Alive"]]
        machine_bytes = max(memory, default=0) or _ACTOR_BYTES
        yield RayRunner(folder, clean, chosen, device, settings, machine_bytes)
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    try:
        if colon:  # Ray itself takes minutes to give up
            socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
        ray.init(address or None, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise MobileSamError(
            f"No Ray cluster answers at {address or 'RAY_ADDRESS'}. Start one with `ray start "
            "--head`, or give --ray without an address to use this machine."
        ) from error
