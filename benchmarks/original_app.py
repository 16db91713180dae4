"""The original's demo at its smallest, for the start-up time: `python -m benchmarks.original_app`.

Like the app that comes with MobileSAM it imports everything, builds the model, and then the page:
a photo, a button, the answer as a picture. Every press encodes the photo anew.
"""

from __future__ import annotations

import gradio as gr
import numpy as np
from mobile_sam import SamAutomaticMaskGenerator, SamPredictor
from PIL import Image

from benchmarks.original import composited, original_sam

sam = original_sam()
mask_generator = SamAutomaticMaskGenerator(sam)
predictor = SamPredictor(sam)
points: list[tuple[int, int]] = []


def note_point(event: gr.SelectData) -> None:
    points.append((event.index[0], event.index[1]))


def segment(photo: Image.Image) -> Image.Image:
    predictor.set_image(np.array(photo.convert("RGB")))
    masks, ious, _ = predictor.predict(
        np.array(points), np.ones(len(points)), multimask_output=True
    )
    points.clear()
    return composited(photo, masks[ious.argmax()])


def main() -> None:
    with gr.Blocks(title="MobileSAM") as demo:
        with gr.Row():
            photo = gr.Image(label="Photo", type="pil")
            answer = gr.Image(label="Mask", type="pil", interactive=False)
        button = gr.Button("Start segmenting!")
        photo.select(note_point)
        button.click(segment, photo, answer)
    demo.queue()
    demo.launch()


if __name__ == "__main__":
    main()
