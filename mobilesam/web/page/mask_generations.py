"""Runs over everything in a photo: the page pulls them forward, a turn at a time.

A run computes only while its page asks, so a visitor who goes away costs nothing more, and holds
no lock that a click needs. What a run holds meanwhile is bounded here.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from mobilesam.errors import PromptError
from mobilesam.masks import mask_to_coco_rle, scaled_mask
from mobilesam.settings import MEGA
from mobilesam.web.server.replies import ExpiredError

if TYPE_CHECKING:  # the page is served before torch is imported
    from mobilesam.everything import EverythingProgress, MaskRecord

Steps: TypeAlias = Generator["EverythingProgress", None, None]

MAX_RUNS = 32
"""Unfinished ones hold the photo's embedding, 4 MiB each."""
MAX_BYTES = 256 * MEGA
MAX_REGIONS_A_CALL = 32
TURN_S = 0.5
PATIENCE_S = 1.0
IDLE_S = 60.0
FINISHED_IDLE_S = 1800.0


class _Run:
    """A run and what it has found; only the holder of the turn enters its steps."""

    def __init__(self, steps: Steps, display_hw: tuple[int, int], used_at: float) -> None:
        self.name = secrets.token_urlsafe(12)
        self.steps: Steps | None = steps
        self.display_hw = display_hw
        self.used_at = used_at
        self.done = self.total = self.held_bytes = 0
        self.regions: dict[int, MaskRecord] = {}  # by a number that is never given twice
        self.numbers = 0
        self.is_computing = False

    @property
    def is_finished(self) -> bool:
        return self.steps is None

    def take_in(self, step: EverythingProgress) -> None:
        """A record that stays keeps its number, one that comes gets the next."""
        known = {record: number for number, record in self.regions.items()}
        regions = {}
        for record in step.records:
            number = known.get(record)
            if number is None:
                self.numbers += 1
                number = self.numbers
            regions[number] = record
        self.regions = regions
        self.done, self.total, self.held_bytes = step.done, step.total, step.held_bytes

    def end(self) -> None:
        """Lets go of the embedding and of all that was found but is not shown.

        If its steps are being computed, they end after the batch.
        """
        self.steps = None
        self.held_bytes = sum(len(record.rle["counts"]) for record in self.regions.values())


class MaskGenerations:
    """The runs of all visitors, one for a photo's token at most; safe to share between threads.

    An unfinished run is dropped after a minute without a call. A finished one stays for half an
    hour after the last, since its regions are looked at before one is taken up. When there are too
    many runs or bytes, those go first that were asked for longest ago.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Without any run.

        Args:
            clock: seconds.
        """
        self._clock = clock
        self._runs: OrderedDict[str, _Run] = OrderedDict()  # by token, the last used one last
        self._lock = threading.Lock()
        # Two runs at once take as long as one after the other, with twice the memory; and a
        # generator must not be entered twice.
        self._turn = threading.Lock()

    def __len__(self) -> int:
        """Runs that are held."""
        with self._lock:
            return len(self._runs)

    def start(self, token: str, steps: Steps, display_hw: tuple[int, int]) -> str:
        """Begins a run, which takes the place of the photo's former one; computes nothing yet.

        Args:
            token: of the photo.
            steps: what `iter_everything` gives.
            display_hw: (H, W) that the regions are shown at.

        Returns:
            What the run is called by.
        """
        run = _Run(steps, display_hw, self._clock())
        with self._lock:
            self._drop(token)
            self._runs[token] = run
            self._tidy()
        return run.name

    def advance(self, token: str, name: object, after: int) -> dict[str, Any]:
        """Takes a run half a second further, unless it is finished or others keep their turn long.

        Asking again after a lost reply does no harm: what the page has is said by `after`.

        Args:
            token: of the photo.
            name: the run, as `start` called it.
            after: the highest number of a region that the page has got so far.

        Returns:
            `run`, `done` and `total` prompts, `finished`, `waiting` (whether others had the turn),
            `ids` (the numbers of all regions there are now, the highest predicted IoU first) and
            `regions` (those with a number above `after`: `id`, `rle` at display size, `area` in
            pixels of the photo).

        Raises:
            ExpiredError: there is no such run of this photo.
            PromptError: the run has found too much; it is dropped.
        """
        run = self._find(token, name)
        waiting = False
        if not run.is_finished:
            waiting = not self._turn.acquire(timeout=PATIENCE_S)
            if not waiting:
                try:
                    self._compute(token, run)
                finally:
                    self._turn.release()
                self._find(token, name)  # it may have had to go meanwhile
        regions = run.regions
        return {
            "run": run.name,
            "done": run.done,
            "total": run.total,
            "finished": run.is_finished,
            "waiting": waiting,
            "ids": list(regions),
            "regions": [
                _shown(number, record, run.display_hw)
                for number, record in regions.items()
                if number > after
            ],
        }

    def stop(self, token: str, name: object) -> None:
        """Ends a run where it is; its regions so far stay.

        Raises:
            ExpiredError: there is no such run of this photo.
        """
        self._find(token, name).end()

    def regions(self, token: str, name: object, ids: object) -> list[dict[str, Any]]:
        """Regions at the photo's own size.

        Args:
            token: of the photo.
            name: of the run.
            ids: up to 32 numbers of regions, trusting nothing.

        Returns:
            {"id", "rle", "predicted_iou"} each, in the order asked for.

        Raises:
            ExpiredError: there is no such run of this photo.
            PromptError: ids is something else, or such a region is not there any longer.
        """
        run = self._find(token, name)
        if not isinstance(ids, list) or len(ids) > MAX_REGIONS_A_CALL:
            raise PromptError(f"At most {MAX_REGIONS_A_CALL} regions can be fetched at once.")
        found = run.regions
        if not all(type(number) is int and number in found for number in ids):
            raise PromptError("That region has just given way to a better one; choose again.")
        return [
            {
                "id": number,
                "rle": found[number].rle,
                "predicted_iou": round(found[number].predicted_iou, 3),
            }
            for number in ids
        ]

    def forget(self, tokens: Iterable[str]) -> None:
        """Drops the runs of photos that nobody has open any longer."""
        with self._lock:
            for token in tokens:
                self._drop(token)

    def _find(self, token: str, name: object) -> _Run:
        with self._lock:
            self._tidy()
            run = self._runs.get(token)
            if run is None or run.name != name:
                raise ExpiredError("The server no longer has these regions; find them once more.")
            run.used_at = self._clock()
            self._runs.move_to_end(token)
            return run

    def _compute(self, token: str, run: _Run) -> None:
        """Takes a turn: batches until its time is over."""
        started = self._clock()
        steps = run.steps
        step: EverythingProgress | None = None
        run.is_computing = True
        try:
            while steps is not None and not run.is_finished:
                step = next(steps)
                if step.done == step.total or self._clock() - started >= TURN_S:
                    break
            if step is not None:
                run.take_in(step)
        except BaseException:
            with self._lock:
                if self._runs.get(token) is run:
                    self._drop(token)
            raise
        finally:
            run.used_at = self._clock()
            run.is_computing = False
        if run.is_finished or run.done == run.total:
            run.end()

    def _tidy(self) -> None:
        """Drops the runs that were left, and the oldest ones of too many."""
        now = self._clock()
        for token, run in list(self._runs.items()):
            # A batch of a very large photo can take longer than a visitor may be away.
            idle_s = 0.0 if run.is_computing else now - run.used_at
            if idle_s > (FINISHED_IDLE_S if run.is_finished else IDLE_S):
                self._drop(token)
        held_bytes = sum(run.held_bytes for run in self._runs.values())
        while len(self._runs) > MAX_RUNS or (held_bytes > MAX_BYTES and len(self._runs) > 1):
            oldest = next(iter(self._runs))
            held_bytes -= self._runs[oldest].held_bytes
            self._drop(oldest)

    def _drop(self, token: str) -> None:
        """With the lock held."""
        run = self._runs.pop(token, None)
        if run is not None:
            run.end()


def _shown(number: int, record: MaskRecord, display_hw: tuple[int, int]) -> dict[str, Any]:
    rle = record.rle
    if tuple(rle["size"]) != display_hw:
        rle = mask_to_coco_rle(scaled_mask(record.mask, display_hw))
    return {"id": number, "rle": rle, "area": record.area}
