"""A limit on the processor time of one request."""

from __future__ import annotations

import time

from mobilesam.errors import PromptError


class CpuBudget:
    """Processor time of the current thread, and of others where it is charged."""

    def __init__(self, seconds: float) -> None:
        """Starts to count.

        Args:
            seconds: of processor time that may be spent from now on.
        """
        self._ends_at = time.thread_time() + seconds

    def charge(self, seconds: float) -> None:
        """Counts processor time that another thread has spent on the request."""
        self._ends_at -= seconds

    def check(self) -> None:
        """Checks the budget; to be called between pieces of work.

        Raises:
            PromptError: the budget is spent.
        """
        if time.thread_time() > self._ends_at:
            raise PromptError("This takes too long. Use fewer objects at a time.")
