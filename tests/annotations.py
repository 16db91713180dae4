"""Reading annotation files in tests: one photo, and what becomes of it."""

from __future__ import annotations

import json
from collections import Counter

from mobilesam.export import PhotoInfo, read_annotations
from mobilesam.objects import PhotoObject

PHOTO = "a.jpg"


def read(
    document: object, size_hw: tuple[int, int], name: str = PHOTO
) -> tuple[list[PhotoObject], Counter[str]]:
    """The objects of one photo in a document, and what is skipped."""
    data = json.dumps(document).encode()
    assign = {"": 0, "a": 0}
    imported = read_annotations(data, "a.json", [PhotoInfo(name, size_hw)], assign)
    return imported.objects.get(0, []), imported.skipped
