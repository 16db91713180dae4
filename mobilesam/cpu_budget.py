"""A bound on what one request may cost, however it comes to cost that much."""

from __future__ import annotations

import time

from mobilesam.errors import PromptError


class CpuBudget:
    """Processor time that the thread which makes it may spend; to be used in that thread."""

    def __init__(self, seconds: float) -> None:
        """Begins now.

        Args:
            seconds: of the processor.
        """
        self._ends_at = time.thread_time() + seconds

    def check(self) -> None:
        """To be called between pieces of work.

        Raises:
            PromptError: it is spent.
        """
        if time.thread_time() > self._ends_at:
            raise PromptError("This takes too long; use fewer objects at a time.")
