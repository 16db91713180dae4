"""Standard error as a terminal that somebody watches."""

import io


class Terminal(io.StringIO):
    """Remembers what was shown."""

    def isatty(self):
        return True
