"""What the terminal shows: sentences and a counter, all on standard error."""

from __future__ import annotations

import sys

from mobilesam.errors import MobileSamError


class UsageError(MobileSamError):
    """The command line asks for what cannot be done, whatever the photos hold."""


def say(text: str) -> None:
    """One line on standard error, with what a terminal might obey spelt out."""
    sys.stderr.write(f"{spelt_out(text)}\n")


def spelt_out(text: str) -> str:
    """The text with its control characters, line breaks among them, as escapes."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


class Counter:
    """A line that counts where somebody is watching, and steps aside for sentences."""

    def __init__(self, total: int, things: str, quiet: bool) -> None:
        """Counts to a total.

        Args:
            total: how many there are.
            things: what is counted, such as `"photos"`.
            quiet: never show the line.
        """
        self._total = total
        self._things = things
        self._shown = not quiet and sys.stderr.isatty()
        self._on_the_line = False

    def show(self, done: int) -> None:
        """Puts the count into the line."""
        if self._shown:
            sys.stderr.write(f"\r{done} of {self._total} {self._things}")
            sys.stderr.flush()
            self._on_the_line = True

    def say(self, text: str) -> None:
        """A sentence on a line of its own."""
        self.close()
        say(text)

    def close(self) -> None:
        """Leaves the line."""
        if self._on_the_line:
            sys.stderr.write("\n")
            self._on_the_line = False
