"""Holds work of another process back: both sides agree by files in a folder.

While the file `encode` exists, every encode waits; `encode.begun` says that one has begun.
"""

import time
from contextlib import contextmanager

PAUSE_S = 0.01
WAIT_S = 60


class Holds:
    """The test's side, and the process's."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)

    @contextmanager
    def held(self, *names):
        """Holds this work back while inside."""
        for name in names:
            self.hold(name)
        try:
            yield
        finally:
            for name in names:
                self.release(name)

    def hold(self, name):
        self._begun(name).unlink(missing_ok=True)
        self._switch(name).touch()

    def release(self, name):
        self._switch(name).unlink(missing_ok=True)

    def wait_begun(self, *names):
        """Waits until each has begun and is held."""
        deadline = time.monotonic() + WAIT_S
        while missing := [name for name in names if not self._begun(name).exists()]:
            assert time.monotonic() < deadline, f"{missing} did not begin"
            time.sleep(PAUSE_S)

    def pass_through(self, name):
        """To be called where the work begins: returns once it is not held."""
        deadline = time.monotonic() + WAIT_S
        while self._switch(name).exists() and time.monotonic() < deadline:
            self._begun(name).touch()
            time.sleep(PAUSE_S)

    def _switch(self, name):
        return self.folder / name

    def _begun(self, name):
        return self.folder / f"{name}.begun"
