"""Runs one command and turns errors into one sentence and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mobilesam.cli.messages import UsageError, show
from mobilesam.cli.parser import build_parser
from mobilesam.errors import MobileSamError
from mobilesam.runtime import tune_allocator

_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status.

    `argv` defaults to sys.argv. Like argparse, raises SystemExit for an invalid command line and
    after `--help`.
    """
    args = build_parser().parse_args(argv)
    tune_allocator()
    try:
        from mobilesam.cli import commands  # imports numpy and OpenCV, too slow for --help

        run = getattr(commands, args.command)
        return int(run(args))
    except KeyboardInterrupt:
        show("Interrupted.")
        return _INTERRUPTED
    except MobileSamError as error:
        show(str(error))
        return _USAGE if isinstance(error, UsageError) else _FAILED
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        show(
            f"Unexpected error: {type(error).__name__}: {error} "
            f"(run `python -X dev -m mobilesam` for a traceback)"
        )
        return _FAILED
