"""Compiles decoder.c to WebAssembly: `python -m mobilesam.browser_decoder.build` or `make decoder`.

The results are committed, so that only a change of decoder.c or tensors.py needs the compiler.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from mobilesam.browser_decoder.tensors import tensors_header

BUILT = Path(__file__).parents[1] / "web" / "static" / "decoder"
_SOURCE = Path(__file__).with_name("decoder.c")
_FLAGS = {"decoder.wasm": [], "decoder-relaxed.wasm": ["-mrelaxed-simd"]}
_COMMON_FLAGS = ["-std=c2x", "-O3", "-Wall", "-Wextra", "-Werror", "-msimd128", "-nostdlib"]
_LINKER_FLAGS = ["-Wl,--no-entry", "-Wl,-z,stack-size=65536", "-Wl,--strip-all"]


def build(folder: Path) -> None:
    """Writes both builds into a folder: plain SIMD, and relaxed SIMD with fused multiply-add.

    Raises:
        subprocess.CalledProcessError: the compiler has printed errors.
    """
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-freestanding"]
    with tempfile.TemporaryDirectory() as temporary:
        header = Path(temporary, "tensors.h")
        header.write_text(tensors_header(), encoding="utf-8")
        for name, flags in _FLAGS.items():
            options = [*_COMMON_FLAGS, *flags, f"-I{temporary}", *_LINKER_FLAGS]
            command = [*zig, *options, "-o", str(folder / name), str(_SOURCE)]
            subprocess.run(command, check=True)  # noqa: S603  # all of it is from this module
            (folder / name).chmod(0o644)  # the linker makes it executable


if __name__ == "__main__":
    BUILT.mkdir(exist_ok=True)
    build(BUILT)
