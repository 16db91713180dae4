"""What commands print on standard error, and where they may write."""

import sys
from pathlib import Path

from tqdm import tqdm

from mobilesam.errors import MobileSamError


class UsageError(MobileSamError):
    """The command line is wrong, whatever the photos contain."""


def show(text: str) -> None:
    """Prints one line, above a progress bar if there is one.

    Control characters are escaped, because a terminal could interpret them.
    """
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    tqdm.write("".join(escaped), file=sys.stderr)


def progress_bar(total: int, unit: str, quiet: bool) -> tqdm:
    """A progress bar, which is shown only on a terminal and unless `quiet`."""
    return tqdm(total=total, unit=unit, file=sys.stderr, disable=quiet or None, dynamic_ncols=True)


def checked_output(out: Path, suffix: str, *sources: Path) -> Path:
    """Checks that `out` has the suffix, can be written, and is none of the files `sources`.

    Returns the path with symbolic links resolved, so that the target of a link is replaced.
    """
    if out.suffix.lower() != suffix:
        raise UsageError(f"The output is a {suffix} file. End the name after --out in {suffix}.")
    try:
        path = out.resolve()
        if not path.parent.is_dir():
            raise UsageError(f"The folder {path.parent} does not exist. Create it first.")
        if path.exists() and not path.is_file():
            raise UsageError(f"{out} exists and is not a file. Choose another name after --out.")
        for source in sources:
            if source.resolve() == path:
                raise UsageError(
                    f"--out would overwrite {source}. Choose another name after --out."
                )
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a NUL in the name
        raise UsageError(f"{out} cannot be written: {error}.") from error
    return path
