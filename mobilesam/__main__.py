"""`python -m mobilesam`: the terminal's way in."""

import sys

from mobilesam.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
