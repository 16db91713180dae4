"""Where the bundled weights and the example photos are: in the wheel, or beside the package."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def bundled_folder(name: str) -> Path:
    """The folder `weights` or `examples`.

    In a checkout it is at the top level; the wheel has it within the package.
    """
    packaged = _PACKAGE / "data" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name
