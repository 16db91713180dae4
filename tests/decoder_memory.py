"""Opens the largest photos one by one, and prints how much memory each one takes, in MB.

This runs in a process of its own, because memory that other tests have left free would hide it.
Memory is linear in the number of pixels, so all sides, the limit and the strips are scaled.
"""

import json
from pathlib import Path

from mobilesam import images, value_range
from mobilesam.errors import ImageError
from mobilesam.images import open_photo
from mobilesam.runtime import return_free_memory
from mobilesam.settings import MEGA, ImageLimits
from tests.bad_files import encoded, picture
from tests.bombs import big_photos

SHRINK = 3
"""40 megapixels become 4.4."""


def resident_mb(name, process="self"):
    """VmRSS of a process, or VmHWM: the most since the last reset."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / 1e6


def main():
    images._STRIP_PIXELS = MEGA // SHRINK**2
    value_range._SAMPLES //= SHRINK**2
    limits = ImageLimits(max_pixels=40 * MEGA // SHRINK**2)
    held = {}
    file = Path("photo")
    file.write_bytes(encoded(picture(), "JPEG"))
    open_photo(file)  # Pillow loads its decoders
    for photo in big_photos(SHRINK):
        file.write_bytes(photo.data)
        return_free_memory()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = resident_mb("VmRSS")
        try:
            open_photo(file, limits)
            opened = True
        except ImageError:
            opened = False
        assert opened is not photo.must_fail, photo.name
        held[photo.name] = round(resident_mb("VmHWM") - before)
    print(json.dumps(held))  # noqa: T201


if __name__ == "__main__":
    main()
