"""Automatic mask generation in turns: every call of the page continues it by half a second.

It computes only while its page asks, so a closed page costs nothing more, and no lock is held that
a click needs. The memory of all generations together is bounded here.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from mobilesam.masks import mask_to_json
from mobilesam.settings import MEGA
from mobilesam.web.server.replies import ExpiredError

if TYPE_CHECKING:  # torch is imported after the page is served
    from mobilesam.everything import EverythingProgress, MaskRecord

Steps: TypeAlias = Generator["EverythingProgress", None, None]

MAX_GENERATIONS = 32
"""An unfinished one holds the photo's embedding, 4 MiB."""
MAX_BYTES = 256 * MEGA
MAX_REPLY_BYTES = 4 * MEGA
"""Of the masks in one reply; a larger mask is sent alone."""
TURN_S = 0.5
PATIENCE_S = 1.0
IDLE_S = 60.0


class _Generation:
    """One mask generation and the masks found so far."""

    def __init__(self, steps: Steps, used_at: float) -> None:
        self.id = secrets.token_urlsafe(12)
        self.steps: Steps | None = steps  # None once finished
        self.used_at = used_at
        self.done = self.total = self.held_bytes = self.last_id = 0
        self.masks: dict[int, MaskRecord] = {}  # by id, the highest predicted IoU first

    def update(self, progress: EverythingProgress) -> None:
        """Replaces the masks. Known ones keep their id; no id is used twice."""
        known = {record: mask_id for mask_id, record in self.masks.items()}
        masks = {}
        for record in progress.records:
            if record not in known:
                self.last_id += 1
            masks[known.get(record, self.last_id)] = record
        self.masks = masks
        self.done, self.total = progress.done, progress.total
        self.held_bytes = progress.held_bytes

    def finish(self) -> None:
        """Releases the embedding and the masks that were filtered out."""
        self.steps = None
        self.held_bytes = sum(len(record.rle["counts"]) for record in self.masks.values())

    def reply(self, after: int, waiting: bool) -> dict[str, Any]:
        masks = self.masks
        unsent = sorted(mask_id for mask_id in masks if mask_id > after)
        sent: list[dict[str, Any]] = []
        room_bytes = MAX_REPLY_BYTES
        for mask_id in unsent:
            record = masks[mask_id]
            room_bytes -= len(record.rle["counts"])
            if sent and room_bytes < 0:
                break
            iou = round(record.predicted_iou, 3)
            sent.append(mask_to_json(record.rle, id=mask_id, predicted_iou=iou))
        return {
            "generation": self.id,
            "done": self.done,
            "total": self.total,
            "finished": self.steps is None and len(sent) == len(unsent),
            "waiting": waiting,
            "ids": list(masks),
            "masks": sent,
        }


class MaskGenerations:
    """The mask generations of all photos, at most one for each; safe to share between threads.

    A mask generation that is not called for a minute is dropped. If there are too many, or they
    hold too many bytes, the least recently used are dropped.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Creates an empty collection; the clock returns seconds."""
        self._clock = clock
        self._by_token: OrderedDict[str, _Generation] = OrderedDict()  # last used last
        self._lock = threading.Lock()
        # Two at once take as long as one after the other, with twice the memory; and a generator
        # must not be entered twice.
        self._turn = threading.Lock()

    def __len__(self) -> int:
        return len(self._by_token)

    def start(self, token: str, steps: Steps) -> str:
        """Replaces the photo's mask generation by a new one; computes nothing yet.

        Args:
            token: of the photo.
            steps: from `Segmenter.iter_everything`.

        Returns:
            The id of the mask generation.
        """
        generation = _Generation(steps, self._clock())
        with self._lock:
            self._drop(token)
            self._by_token[token] = generation
            self._drop_excess()
        return generation.id

    def advance(self, token: str, generation_id: object, after: int) -> dict[str, Any]:
        """Computes for half a second, unless it is finished or another one is being computed.

        A call whose reply was lost can be repeated: `after` says which masks have arrived.

        Args:
            token: of the photo.
            generation_id: what `start` returned.
            after: the highest mask id that the page has received.

        Returns:
            `generation` (its id), `done` and `total` prompts, `waiting` (another one was being
            computed), `ids` of all current masks, the highest predicted IoU first, `masks` with an
            id above `after`, ascending, as many as fit into a reply (`id`, `rle` at the photo's own
            size, `bbox`, `area`, `predicted_iou`), and `finished`: all is computed and sent.

        Raises:
            ExpiredError: the photo has no such mask generation.
            PromptError: too many masks were found, which ends it.
        """
        generation = self._find(token, generation_id)
        waiting = False
        if generation.steps is not None:
            waiting = not self._turn.acquire(timeout=PATIENCE_S)
            if not waiting:
                try:
                    self._compute(generation)
                finally:
                    self._turn.release()
                self._find(token, generation_id)  # it may have been replaced meanwhile
        return generation.reply(after, waiting)

    def stop(self, token: str, generation_id: object) -> None:
        """Ends a mask generation; the masks found so far can still be fetched.

        Raises:
            ExpiredError: the photo has no such mask generation.
        """
        self._find(token, generation_id).finish()

    def forget(self, tokens: Iterable[str]) -> None:
        """Drops the mask generations of photos."""
        with self._lock:
            for token in tokens:
                self._drop(token)

    def _find(self, token: str, generation_id: object) -> _Generation:
        with self._lock:
            self._drop_excess()
            generation = self._by_token.get(token)
            if generation is None or generation.id != generation_id:
                raise ExpiredError("The server no longer has these masks. Find them again.")
            generation.used_at = self._clock()
            self._by_token.move_to_end(token)
            return generation

    def _compute(self, generation: _Generation) -> None:
        """Computes batches until the turn is over. The turn lock is held."""
        steps, started = generation.steps, self._clock()
        progress: EverythingProgress | None = None
        # A batch of a very large photo can take longer than IDLE_S.
        generation.used_at = math.inf
        try:
            while steps is not None and generation.steps is not None:  # None: stopped meanwhile
                progress = next(steps)
                if progress.done == progress.total or self._clock() - started >= TURN_S:
                    break
            if progress is not None:
                generation.update(progress)
        except BaseException:
            generation.finish()
            raise
        finally:
            generation.used_at = self._clock()
        if generation.steps is None or generation.done == generation.total:
            generation.finish()

    def _drop_excess(self) -> None:
        """Drops idle mask generations, and the oldest of too many. The lock is held."""
        now = self._clock()
        for token, generation in list(self._by_token.items()):
            if now - generation.used_at > IDLE_S:
                self._drop(token)
        held_bytes = sum(generation.held_bytes for generation in self._by_token.values())
        while len(self._by_token) > MAX_GENERATIONS or (
            held_bytes > MAX_BYTES and len(self._by_token) > 1
        ):
            oldest = next(iter(self._by_token))
            held_bytes -= self._by_token[oldest].held_bytes
            self._drop(oldest)

    def _drop(self, token: str) -> None:
        """The lock is held."""
        generation = self._by_token.pop(token, None)
        if generation is not None:
            generation.finish()
