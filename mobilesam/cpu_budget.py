"""A limit on the processor time of one request."""

import time

from mobilesam.errors import PromptError


class CpuBudget:
    """Seconds of processor time, spent by the current thread from now on and by `charge`."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.thread_time() + seconds

    def charge(self, seconds: float) -> None:
        """Counts processor time that another thread has spent on the request."""
        self._ends_at -= seconds

    @property
    def is_spent(self) -> bool:
        """Whether no time is left."""
        return time.thread_time() > self._ends_at

    def check(self) -> None:
        """Raises PromptError if the budget is spent; to be called between pieces of work."""
        if self.is_spent:
            raise PromptError("This takes too long. Use fewer objects at a time.")
