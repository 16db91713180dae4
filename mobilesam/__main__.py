"""Entry point of `python -m mobilesam`."""

import sys

from mobilesam.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
