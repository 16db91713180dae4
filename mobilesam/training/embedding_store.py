"""Image embeddings on disk, computed once per photo, model and input size."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from tqdm import tqdm

from mobilesam.atomic_file import reporting_errors, write_atomically
from mobilesam.errors import ImageError, MobileSamError
from mobilesam.training.photos import photo_digest, read_photo
from mobilesam.training.teacher import PATCH_SIZE

_CHANNELS = 256
_HEADER_BYTES = 128  # of the .npy format for these shapes


@dataclass(frozen=True)
class StoredPhoto:
    """A photo whose embedding is in the store; `digest` is the SHA-256 of the file."""

    path: Path
    digest: str


@dataclass(frozen=True)
class EmbeddingStore:
    """A folder with one .npy file per photo: (256, S / 16, S / 16) float16, 2 MB at S = 1024.

    Attributes:
        folder: several models and sizes can share it.
        model_digest: SHA-256 of the checkpoint whose encoder computes the embeddings.
        size: S, the side of the model's input in pixels.
    """

    folder: Path
    model_digest: str
    size: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one embedding."""
        side = self.size // PATCH_SIZE
        return _CHANNELS, side, side

    def path(self, digest: str) -> Path:
        """The file of a photo, whether it exists or not."""
        return self.folder / f"{self.model_digest[:16]}-{self.size}" / f"{digest}.npy"

    def __contains__(self, digest: str) -> bool:
        try:
            return self.path(digest).stat().st_size == _HEADER_BYTES + 2 * int(np.prod(self.shape))
        except OSError:
            return False

    def save(self, digest: str, embedding: torch.Tensor) -> None:
        """Writes an embedding, completely or not at all; MobileSamError if that fails."""
        file = io.BytesIO()
        np.save(file, embedding.to("cpu", torch.float16).numpy())
        path = self.path(digest)
        with reporting_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, file.getvalue())

    def load(self, digest: str) -> NDArray[np.float16]:
        """The embedding, mapped into memory; MobileSamError if the file is damaged."""
        path = self.path(digest)
        try:
            embedding = np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise MobileSamError(
                f"{path} is damaged. Delete it, then run the same command again."
            ) from error
        return np.asarray(embedding)


def embed_photos(
    paths: Sequence[Path],
    sam: Sam,
    store: EmbeddingStore,
    accelerator: Accelerator,
    report: Callable[[str], None],
    quiet: bool = False,
) -> list[StoredPhoto]:
    """Computes the embeddings that are missing; several processes share the work.

    Args:
        paths: the photos.
        sam: whose encoder computes them, in eval mode, at the store's size.
        store: where they are kept. After an interruption, only the missing ones are computed.
        accelerator: tells the device, the precision and the processes.
        report: gets a sentence per photo that cannot be read and is skipped.
        quiet: no progress bar.

    Returns:
        The photos that can be read, in the order of their paths.

    Raises:
        ImageError: no photo can be read.
        MobileSamError: the disk is full; what is there is kept.
    """
    rank, processes = accelerator.process_index, accelerator.num_processes
    encoder = sam.to(accelerator.device)
    stored = []
    hidden = (quiet or not accelerator.is_main_process) or None
    for path in tqdm(
        paths[rank::processes], "embeddings", unit="photo", disable=hidden, dynamic_ncols=True
    ):
        try:
            digest = photo_digest(path)
            if digest not in store:
                store.save(digest, _embedding(encoder, path, store.size, accelerator))
        except ImageError as error:
            report(f"{path} is skipped: {error}")
        else:
            stored.append(StoredPhoto(path, digest))
    gathered: list[StoredPhoto] = gather_object(stored)
    if not gathered:
        raise ImageError("None of the photos can be read.")
    return sorted(gathered, key=lambda photo: photo.path)


def _embedding(sam: Sam, path: Path, size: int, accelerator: Accelerator) -> torch.Tensor:
    photo = read_photo(path, size)
    with torch.inference_mode(), accelerator.autocast():
        pixels = photo.pixels[None].to(accelerator.device)
        embedding: torch.Tensor = sam.image_encoder(sam.preprocess(pixels))[0].half()
    if not torch.isfinite(embedding).all():  # float16 has no larger numbers
        raise MobileSamError("The teacher's embeddings are not finite. Use --precision no.")
    return embedding
