"""Opens photos at a handlers without a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobilesam.web.page.handlers import PageHandlers


def opened(
    handlers: PageHandlers, path: Path | str, visitor: str = "one", name: str = "disc.png"
) -> dict[str, Any]:
    """The reply to an upload that is admitted and whose turn comes at once."""
    admitted = handlers.admit({"seq": 1, "path": str(path), "name": name, "visitor": visitor})
    return handlers.open({"seq": 1, "token": admitted["token"]}) if admitted["ok"] else admitted
