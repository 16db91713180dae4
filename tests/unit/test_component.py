"""What a canvas costs: Gradio makes one more for every visitor who opens a photo, and keeps it."""

from __future__ import annotations

import tracemalloc

from mobilesam.web.page.component import PromptCanvas

MADE = 10


def test_a_canvas_more_does_not_hold_the_scripts_once_more() -> None:
    first = PromptCanvas([])
    tracemalloc.start()
    try:
        more = [PromptCanvas([]) for _ in range(MADE)]
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(one.js_on_load == first.js_on_load for one in more)
    assert held_bytes / MADE < len(first.js_on_load) / 4
