"""The prompt canvas: one gr.HTML that shows the photo, takes the gestures and draws the masks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, GradioModel

from mobilesam.web.server.uploads import UploadsOnly

_FOLDER = Path(__file__).parents[1] / "canvas"
# One function body in the end: later files use what earlier ones declare.
_SCRIPTS = (
    "mask.js",
    "history.js",
    "view.js",
    "marks.js",
    "tools.js",
    "trace.js",
    "brush.js",
    "closeup.js",
    "layer.js",
    "gestures.js",
    "crosshair.js",
    "stage.js",
    "intake.js",
    "panel.js",
    "compare.js",
    "objects.js",
    "objectlist.js",
    "server.js",
    "opening.js",
    "downloads.js",
    "keep.js",
    "collection.js",
    "regions.js",
    "everything.js",
    "keys.js",
    "main.js",
)


class Upload(GradioModel):
    """What the page hands over when the visitor opens a photo.

    Attributes:
        photo: the uploaded file; Gradio checks that it lies in its upload folder.
        ticket: counts the photos of a page, so that it can tell the answers apart.
    """

    photo: FileData | None = None
    ticket: int = 0


class PromptCanvas(UploadsOnly, gr.HTML):
    """The canvas.

    The page sets the value to an `Upload` and triggers the event `photo`; the answer comes back in
    the property `opened`. Clicks and downloads go through the server functions.
    """

    data_model = Upload
    opened = None  # or gr.HTML takes the property's name for that of an event

    def __init__(self, server_functions: Sequence[Callable[..., Any]], **props: Any) -> None:
        """Builds the component from the files beside this module.

        Args:
            server_functions: called by the scripts as `server.<name>(query)`.
            **props: what the scripts read as `props.<name>`.
        """
        super().__init__(
            html_template=_texts("canvas.html"),
            js_on_load=_texts(*_SCRIPTS),
            apply_default_css=False,
            server_functions=list(server_functions),
            **props,
        )

    @staticmethod
    def css() -> str:
        """The style sheet, for launch(css=...)."""
        return _texts("canvas.css")

    def preprocess(self, payload: Upload | None) -> Upload | None:  # type: ignore[override]
        """Hands the upload to the handler as it is."""
        return payload

    def postprocess(self, value: Upload | None) -> Upload | None:  # type: ignore[override]
        """Hands the value to the page as it is."""
        return value


@functools.cache
def _texts(*names: str) -> str:
    """The text of files beside this module, once in memory.

    Gradio makes the component anew for every visitor who opens a photo, and keeps it for an hour.
    """
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)
