"""app.py with a fault in it: the first argument says which, and the log says when it has come."""

import sys
import time
from pathlib import Path

from mobilesam.web import start, stop

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
    from mobilesam.web import desk

    work = segmenter.Segmenter
    segmenter.encode_photo = _lingering("encode", segmenter.encode_photo)
    work.answer = _lingering("click", work.answer)
    desk.mask_png = _lingering("export", desk.mask_png)
    work.iter_everything = _lingering("everything", work.iter_everything)


if __name__ == "__main__":
    {"slow_load": slow_load, "slow_work": slow_work}[sys.argv[1]](sys.argv[2])
    start.serve_page()
