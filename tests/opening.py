"""Opens photos at a desk without a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobilesam.web.desk import Desk


def opened(
    desk: Desk, path: Path | str, visitor: str = "one", name: str = "disc.png"
) -> dict[str, Any]:
    """The reply to an upload that is admitted and whose turn comes at once."""
    admitted = desk.admit({"seq": 1, "path": str(path), "name": name, "visitor": visitor})
    return desk.open({"seq": 1, "token": admitted["token"]}) if admitted["ok"] else admitted
