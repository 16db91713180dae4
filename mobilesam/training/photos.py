"""Photos as training reads them: the files of a folder, and their pixels as the model sees them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mobilesam.errors import ImageError
from mobilesam.images import FORMATS, open_photo, scaled_size
from mobilesam.settings import ImageLimits

# Of segment_anything's Sam, which pads with zeros after the normalisation.
_PIXEL_MEAN = torch.tensor([123.675, 116.28, 103.53])[:, None, None]

_BRIGHTNESS, _CONTRAST, _COLOUR, _NOISE = 25.0, 0.2, 0.1, 5.0


class _Identified(Protocol):
    @property
    def digest(self) -> str: ...


PhotoT = TypeVar("PhotoT", bound=_Identified)


@dataclass(frozen=True, eq=False)
class ModelPhoto:
    """A photo as the model sees it.

    Attributes:
        pixels: (3, S, S) float32 RGB in 0..255. The longer side is scaled to S; the rest, at the
            right and at the bottom, has the mean colour, which is zero for the encoder.
        input_size: (H, W) before padding.
    """

    pixels: torch.Tensor
    input_size: tuple[int, int]


def find_photos(folder: Path) -> list[Path]:
    """The image files in a folder and its subfolders, in the order of their paths.

    Raises:
        ImageError: the folder does not exist, or there are none.
    """
    if not folder.is_dir():
        raise ImageError(f"The folder {folder} does not exist.")
    Image.init()
    suffixes = {suffix for suffix, format_ in Image.EXTENSION.items() if format_ in FORMATS}
    files = folder.rglob("*")
    found = sorted(file for file in files if file.suffix.lower() in suffixes and file.is_file())
    if not found:
        raise ImageError(
            f"There are no photos in {folder}. Name a folder with JPEG, PNG, WebP, AVIF, BMP, "
            "GIF or TIFF files."
        )
    return found


def photo_digest(path: Path) -> str:
    """SHA-256 of a file, which is faster than decoding it.

    Raises:
        ImageError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(f"The file cannot be opened: {error.strerror or error}.") from error


def read_photo(
    path: Path,
    size: int,
    random: np.random.Generator | None = None,
    limits: ImageLimits | None = None,
) -> ModelPhoto:
    """Reads a photo for a model with S x S pixels, scaled as in the demo.

    Args:
        path: the file.
        size: S.
        random: changes brightness, contrast and colours and adds noise; None leaves them alone.
        limits: the largest photo that is accepted; None for the defaults.

    Raises:
        ImageError: the photo cannot be used, see `mobilesam.images.open_photo`.
    """
    photo = open_photo(path, limits)
    height, width = scaled_size(photo.size_hw, size)
    scaled = Image.fromarray(photo.pixels).resize((width, height), Image.Resampling.BILINEAR)
    values = np.asarray(scaled, np.float32)
    if random is not None:
        values = _augmented(values, random)
    pixels = _PIXEL_MEAN.repeat(1, size, size)
    pixels[:, :height, :width] = torch.from_numpy(values).permute(2, 0, 1)
    return ModelPhoto(pixels, (height, width))


def split_photos(
    photos: Sequence[PhotoT], held_out: int, seed: int
) -> tuple[list[PhotoT], list[PhotoT]]:
    """Splits photos at random into those to learn from and `held_out` others to evaluate on.

    The order is a hash of the seed and of each photo's content, so names do not matter. The photos
    must differ in their digests, so that none is on both sides.
    """

    def rank(photo: PhotoT) -> str:
        return hashlib.sha256(f"{seed} {photo.digest}".encode()).hexdigest()

    ranked = sorted(photos, key=rank)
    return ranked[held_out:], ranked[:held_out]


def photos_of_batch(
    photos: Sequence[PhotoT], number: int, batch: int, seed: int
) -> Iterator[PhotoT]:
    """The `batch` photos of a batch, of an endless walk in which every epoch has all photos.

    The order is a random one, and another one in each epoch.
    """
    for place in range(number * batch, (number + 1) * batch):
        epoch, index = divmod(place, len(photos))
        yield photos[_epoch_order(seed, epoch, len(photos))[index]]


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch, count)).permutation(count)


def _augmented(values: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Other light and noise on (H, W, 3) pixels; nothing moves, so masks and embeddings stay valid.

    The teacher's embedding of the original photo remains the target.
    """
    gain = random.uniform(1 - _CONTRAST, 1 + _CONTRAST) * random.uniform(
        1 - _COLOUR, 1 + _COLOUR, 3
    )
    mean = values.mean()
    changed = (values - mean) * gain + mean + random.uniform(-_BRIGHTNESS, _BRIGHTNESS)
    noise = random.standard_normal(values.shape, np.float32) * random.uniform(0, _NOISE)
    return np.asarray(np.clip(changed + noise, 0, 255), np.float32)
