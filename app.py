"""Starts the demo; what a Hugging Face Space runs."""

import sys

from mobilesam.errors import MobileSamError
from mobilesam.web.app import serve_page

if __name__ == "__main__":
    try:
        serve_page()
    except MobileSamError as error:
        sys.exit(f"The demo cannot start: {error}")
