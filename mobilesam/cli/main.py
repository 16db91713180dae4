"""Runs one command, and turns errors into one sentence and an exit status.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mobilesam.cli.parser import build_parser
from mobilesam.cli.terminal import UsageError, say
from mobilesam.errors import MobileSamError
from mobilesam.runtime import tune_allocator

_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: what follows the program's name; None for the process's own.

    Returns:
        The exit status.

    Raises:
        SystemExit: with 2 where the command line is not understood, with 0 after `--help`.
    """
    args = build_parser().parse_args(argv)
    tune_allocator()
    try:
        from mobilesam.cli import commands  # imports numpy and OpenCV

        run = getattr(commands, args.command)
        return int(run(args))
    except KeyboardInterrupt:
        say("Interrupted.")
        return _INTERRUPTED
    except MobileSamError as error:
        say(str(error))
        return _USAGE if isinstance(error, UsageError) else _FAILED
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        say(
            f"This should not happen: {type(error).__name__}: {error} "
            f"(`python -X dev -m mobilesam` shows where.)"
        )
        return _FAILED
