"""The HTTP endpoint /export: masks that other endpoints gave, as a file to download."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import ImageError
from mobilesam.export import FILE_FORMATS, export_file, read_objects
from mobilesam.images import open_photo
from mobilesam.settings import ImageLimits
from mobilesam.web.api.endpoints import JsonInput, add_endpoint, photo_input
from mobilesam.web.page.object_payload import CPU_BUDGET_S
from mobilesam.web.server.queues import WorkQueues
from mobilesam.web.server.uploads import checked_upload


def add_export_endpoint(limits: ImageLimits, queues: WorkQueues) -> None:
    """Adds /export to the Blocks being built.

    Args:
        limits: what a photo may be at most.
        queues: in which requests are answered.
    """

    # Clients show this docstring, and of an argument the first line alone.
    def export(image: str | None, objects: Any, format: Any) -> str:
        """Makes a file of masks of one photo: a picture, cut-outs, or annotations.

        The formats are mask_png (all in one black and white picture), index_png (a pixel's value is
        the place of its object in the list), cutouts_zip (transparent PNGs), coco_rle and
        coco_polygons (COCO instances), yolo (a ZIP of data.yaml and labels) and labelme.

        Args:
            image: the photo.
            objects: [{"name": text, "rle": a mask of /segment or /everything}, ...]
            format: which of the formats.

        Returns:
            The file.
        """
        if image is None:
            raise ImageError("Send a photo.")
        path = checked_upload(image)
        photo = open_photo(path, limits)
        named = read_objects(objects, photo.size_hw, CpuBudget(CPU_BUDGET_S))
        name, data = export_file(format, photo, named, path.name)
        # In the folder of uploads, so that it is removed as they are.
        file = Path(get_upload_folder()) / secrets.token_hex(24) / name
        file.parent.mkdir(parents=True)
        file.write_bytes(data)
        return str(file)

    photo = photo_input(limits, queues.fetches)
    objects, chosen = (JsonInput(visible=False, label=label) for label in ("objects", "format"))
    objects.example = [{"name": "cat", "rle": {"size": [2, 3], "counts": "222"}}]
    objects.schema = {"type": "array", "items": {"type": "object"}}
    chosen.example = "coco_rle"
    chosen.schema = {"type": "string", "enum": list(FILE_FORMATS)}
    file = gr.File(visible=False, label="file")
    add_endpoint(export, queues.full_size, [photo, objects, chosen], file)
