"""app.py with a fault in it: the first argument says which, and the log says when it has come."""

import sys
import time
from pathlib import Path

from mobilesam.web import app as start
from mobilesam.web.server import shutdown as stop

LINGER_S = 1.0


def _lingering(name, call):
    """The call, which takes a while longer and says that it has begun."""

    def linger(*args, **kwargs):
        sys.stderr.write(f"FAULT {name} begins\n")
        time.sleep(LINGER_S)
        return call(*args, **kwargs)

    return linger


def slow_load(folder):
    """The model takes a minute to load, and a part of a download is there meanwhile."""
    part = Path(folder) / "weights.part"

    def load(*_args):
        part.touch()
        sys.stderr.write("FAULT load begins\n")
        time.sleep(60)

    start._load = load
    stop.discard_partial_downloads = part.unlink


def slow_work(_folder):
    """Encodes, clicks and files take a second longer; everything in a photo far longer."""
    from mobilesam import segmenter
    from mobilesam.web.page import handlers

    work = segmenter.Segmenter
    segmenter.encode_photo = _lingering("encode", segmenter.encode_photo)
    work.answer = _lingering("click", work.answer)
    handlers.mask_png = _lingering("export", handlers.mask_png)
    work.iter_everything = _lingering("everything", work.iter_everything)


def short_line(folder):
    """Slow work, and one visitor at most waits for a photo."""
    from mobilesam.web.server import queues

    def begin(self):
        all_lanes(self)
        self.photos = queues.WorkQueue(1, 1, "Come back later.")

    all_lanes = queues.WorkQueues.__init__
    queues.WorkQueues.__init__ = begin
    slow_work(folder)


FAULTS = {fault.__name__: fault for fault in (slow_load, slow_work, short_line)}

if __name__ == "__main__":
    FAULTS[sys.argv[1]](sys.argv[2])
    start.serve_page()
