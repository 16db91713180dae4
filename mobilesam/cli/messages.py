"""Messages and progress bars, all on standard error."""

from __future__ import annotations

import sys

from tqdm import tqdm

from mobilesam.errors import MobileSamError


class UsageError(MobileSamError):
    """The command line is wrong, whatever the photos contain."""


def show(text: str) -> None:
    """Prints one line, above a progress bar if there is one.

    Control characters are escaped, because a terminal could interpret them.
    """
    tqdm.write(
        "".join(
            letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
            for letter in text
        ),
        file=sys.stderr,
    )


def progress_bar(total: int, unit: str, quiet: bool) -> tqdm[None]:
    """A progress bar, which is shown only on a terminal and unless `quiet`."""
    return tqdm(total=total, unit=unit, file=sys.stderr, disable=quiet or None, dynamic_ncols=True)
