"""Runs one command and turns errors into one sentence and an exit status."""

import sys
from collections.abc import Sequence

from mobilesam.cli.output import UsageError, show
from mobilesam.cli.parser import build_parser
from mobilesam.errors import MobileSamError
from mobilesam.runtime import tune_process


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; SystemExit for an invalid command line."""
    args = build_parser().parse_args(argv)
    tune_process()
    try:
        from mobilesam.cli import commands  # imports numpy and OpenCV, too slow for --help

        return int(getattr(commands, args.command)(args))
    except KeyboardInterrupt:
        show("Interrupted.")
        return 130
    except MobileSamError as error:
        show(str(error))
        return 2 if isinstance(error, UsageError) else 1
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        show(
            f"Unexpected error: {type(error).__name__}: {error} "
            f"(run `python -X dev -m mobilesam` for a traceback)"
        )
        return 1
