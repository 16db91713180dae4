"""Entry point of `python -m mobilesam`."""

import sys

from mobilesam.cli.main import main

sys.exit(main())
