"""Automatic mask generation in turns: every call of the page continues it by half a second.

It computes only while its page asks, so a closed page costs nothing more, and no lock is held that
a click needs.
"""

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeAlias

from mobilesam.masks import mask_to_json
from mobilesam.settings import MEGA

if TYPE_CHECKING:  # torch is imported after the page is served
    from mobilesam.everything import EverythingProgress, MaskRecord

Steps: TypeAlias = Generator["EverythingProgress", None, None]

EMBEDDING_BYTES = 2 * MEGA  # held until it is finished
MAX_REPLY_BYTES = 4 * MEGA  # of the masks in one reply; a larger mask is sent alone
TURN_S = 0.5
PATIENCE_S = 1.0


class MaskGeneration:
    """The mask generation of one photo, and the masks found so far; it holds `held_bytes`."""

    def __init__(self, steps: Steps, clock: Callable[[], float] = time.monotonic) -> None:
        """Computes nothing yet; the steps are those of `Segmenter.iter_everything`."""
        self.id = secrets.token_urlsafe(12)
        self.held_bytes = EMBEDDING_BYTES
        self._steps: Steps | None = steps  # None once finished
        self._clock = clock
        self._done = self._total = 0
        self._new_ids = itertools.count(1)
        self._masks: dict[int, MaskRecord] = {}  # by id, the highest predicted IoU first

    def advance(self, lock: threading.Lock) -> bool:
        """Computes for half a second, unless it is finished; returns whether the lock was free.

        With one lock for all, no generator is entered twice. Two generations at once would take as
        long as one after the other, with twice the memory.

        Raises:
            PromptError: too many masks were found, which ends it.
        """
        if self._steps is None:
            return True
        if not lock.acquire(timeout=PATIENCE_S):
            return False
        try:
            self._compute()
        except BaseException:
            self.stop()
            raise
        finally:
            lock.release()
        return True

    def stop(self) -> None:
        """Ends it and releases the embedding; the masks found so far can still be fetched."""
        self._steps = None
        self.held_bytes = sum(len(record.rle["counts"]) for record in self._masks.values())

    def reply(self, after: int) -> dict[str, Any]:
        """The progress, and the masks with an id above `after`.

        Returns:
            `generation` (its id), `done` and `total` prompts, `ids` of all current masks by
            descending predicted IoU, `masks` by ascending id, as many as fit into a reply (`id`,
            `rle` at the photo's own size, `bbox`, `area`, `predicted_iou`), and `finished`, true
            once all masks are computed and sent.
        """
        masks = self._masks  # another thread may replace them
        unsent = sorted(mask_id for mask_id in masks if mask_id > after)
        sent: list[dict[str, Any]] = []
        sent_bytes = 0
        for mask_id in unsent:
            record = masks[mask_id]
            sent_bytes += len(record.rle["counts"])
            if sent and sent_bytes > MAX_REPLY_BYTES:
                break
            iou = round(record.predicted_iou, 3)
            sent.append(mask_to_json(record.rle, id=mask_id, predicted_iou=iou))
        return {
            "generation": self.id,
            "done": self._done,
            "total": self._total,
            "finished": self._steps is None and len(sent) == len(unsent),
            "ids": list(masks),
            "masks": sent,
        }

    def _compute(self) -> None:
        steps, started_at = self._steps, self._clock()
        progress: EverythingProgress | None = None
        while steps and self._steps:  # None: stopped meanwhile
            progress = next(steps)
            if progress.done == progress.total or self._clock() - started_at >= TURN_S:
                break
        if progress:
            self._masks = self._numbered(progress.records)
            self._done, self._total = progress.done, progress.total
            self.held_bytes = EMBEDDING_BYTES + progress.held_bytes
        if self._steps is None or self._done == self._total:
            self.stop()

    def _numbered(self, records: "list[MaskRecord]") -> "dict[int, MaskRecord]":
        """The masks by id: known ones keep theirs, and no id is used twice."""
        known = {record: mask_id for mask_id, record in self._masks.items()}
        return {known.get(record) or next(self._new_ids): record for record in records}
