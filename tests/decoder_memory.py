"""Opens the largest photos one by one, and prints what the process held at most for each, in MB.

In a process of its own: what others have left free in it would hide what a photo takes.
"""

import json
from pathlib import Path

from mobilesam.errors import ImageError
from mobilesam.images import open_photo
from tests.bad_files import encoded, picture
from tests.bombs import big_photos


def resident_mb(name, process="self"):
    """VmRSS of a process, or VmHWM: the most since the last reset."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / 1e6


def main():
    held = {}
    file = Path("photo")
    file.write_bytes(encoded(picture(), "JPEG"))
    open_photo(file)  # Pillow loads its decoders
    for photo in big_photos():
        file.write_bytes(photo.data)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = resident_mb("VmRSS")
        try:
            open_photo(file)
            opened = True
        except ImageError:
            opened = False
        assert opened is not photo.must_fail, photo.name
        held[photo.name] = round(resident_mb("VmHWM") - before)
    print(json.dumps(held))  # noqa: T201


if __name__ == "__main__":
    main()
