"""The line of visitors who wait for their photo to be opened."""

from __future__ import annotations

import threading
import time
from collections import deque

from mobilesam.web.replies import BusyError

MAX_WAITING = 100
"""At about a second a photo, whoever came behind these would have given up before."""
PATIENCE_S = 180.0
"""How long a page waits for its photo."""


class Line:
    """Counts those who wait, so that one too many is told at once; safe to share."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._joined_at: deque[float] = deque()
        self._lock = threading.Lock()

    def join(self) -> None:
        """One more waits, until it is served or has lost patience.

        Raises:
            BusyError: the line is full.
        """
        now = time.monotonic()
        with self._lock:
            while self._joined_at and self._joined_at[0] < now - PATIENCE_S:
                self._joined_at.popleft()
            if len(self._joined_at) >= MAX_WAITING:
                raise BusyError(
                    "Very many photos are waiting to be opened just now. Try again in a minute."
                )
            self._joined_at.append(now)

    def serve(self) -> None:
        """The turn of one has come."""
        with self._lock:
            if self._joined_at:
                self._joined_at.popleft()
