"""The masks of photos, from COCO files of the demo or of any other program."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel

from mobilesam.errors import AnnotationError, ImageError
from mobilesam.export.coco import segmentation_rle
from mobilesam.export.documents import (
    Items,
    ObjectReader,
    parse_document,
    validate_file,
)
from mobilesam.image_file import photo_path
from mobilesam.images import open_photo, scaled_size
from mobilesam.masks import CocoRle, Mask, mask_from_coco_rle, mask_to_coco_rle, scaled_mask
from mobilesam.schemas import Number, WholeNumber, expected
from mobilesam.settings import MEGA
from mobilesam.training.photos import photo_digest

MAX_FILE_BYTES = 600 * MEGA  # COCO's own training set has 470 MB

_MAX_REPORTED = 5
_CocoId = Annotated[WholeNumber | str, expected("an id: a whole number or text")]


class _Image(BaseModel):
    id: _CocoId
    file_name: str
    height: Number | None = None
    width: Number | None = None


class _Annotation(BaseModel):
    image_id: _CocoId
    segmentation: Any = None  # validated one by one, so that a damaged one is skipped
    iscrowd: Any = 0


class _CocoFile(BaseModel):
    images: Items[_Image]
    annotations: Items[_Annotation]


@dataclass(frozen=True, eq=False)
class AnnotatedPhoto:
    """A photo and the masks of its objects, in pixels of the upright photo scaled to `size_hw`.

    Attributes:
        path: of the file.
        digest: SHA-256 of the file.
        size_hw: (H, W) of the masks: the photo's own size, or if that is larger than the model's
            input, the size that it is scaled to there.
        rles: its masks, none of them empty.
    """

    path: Path
    digest: str
    size_hw: tuple[int, int]
    rles: tuple[CocoRle, ...]

    def masks(self, which: Iterable[int] | None = None) -> list[Mask]:
        """The (H, W) bool masks with some indices, or all; decoded on every call."""
        chosen = self.rles if which is None else [self.rles[index] for index in which]
        return [mask_from_coco_rle(rle, self.size_hw) for rle in chosen]


def read_annotations(
    files: Sequence[Path], folder: Path, size: int, report: Callable[[str], None]
) -> list[AnnotatedPhoto]:
    """Reads COCO files with polygons, compressed and uncompressed RLEs.

    Copies of a photo are one photo, which has all their masks. What is skipped: photos that are
    missing, cannot be read or have another size than the file says; annotations of crowds, without
    a mask or with a damaged one.

    Args:
        files: one or more; the demo exports one for each photo.
        folder: the photos; `file_name` in the files is relative to it.
        size: side in pixels of the model's input.
        report: gets a sentence about each kind of what is skipped.

    Returns:
        The photos with masks, in the order of their digests.

    Raises:
        AnnotationError: a file cannot be read, or no photo with a mask is left.
        ImageError: the folder does not exist.
    """
    if not folder.is_dir():
        raise ImageError(f"The folder {folder} does not exist.")
    root = folder.resolve()
    skipped_photos: list[str] = []
    skipped: Counter[str] = Counter()
    photos: dict[str, AnnotatedPhoto] = {}
    for image, annotations in itertools.chain.from_iterable(map(_read_file, files)):
        try:
            photo = _annotated(root, image, annotations, size, skipped)
        except (AnnotationError, ImageError) as error:
            skipped_photos.append(f"{image.file_name} is skipped: {error}")
            continue
        if photo.digest in photos:
            photo = replace(photo, rles=_distinct((*photos[photo.digest].rles, *photo.rles)))
        photos[photo.digest] = photo
    for sentence in skipped_photos[:_MAX_REPORTED]:
        report(sentence)
    if len(skipped_photos) > _MAX_REPORTED:
        report(f"{len(skipped_photos) - _MAX_REPORTED} more photos are skipped.")
    if skipped:
        counts = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
        report(f"Skipped annotations: {counts}.")
    usable = [photo for _, photo in sorted(photos.items()) if photo.rles]
    if not usable:
        raise AnnotationError(
            f"No photo in {folder} has a mask in these annotations. Check that --photos is the "
            "folder of the annotated photos, and that the objects were exported with masks."
        )
    return usable


def _read_file(path: Path) -> Iterator[tuple[_Image, list[_Annotation]]]:
    """The photos of a COCO file that have annotations."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        content = validate_file(_CocoFile, parse_document(data, MAX_FILE_BYTES), "COCO")
    except AnnotationError as error:
        raise AnnotationError(f"{path}: {error}") from error
    # By repr, because integers can be chosen such that their hashes collide.
    annotations: dict[str, list[_Annotation]] = defaultdict(list)
    for annotation in content.annotations:
        annotations[repr(annotation.image_id)].append(annotation)
    for image in content.images:
        if repr(image.id) in annotations:
            yield image, annotations[repr(image.id)]


def _annotated(
    root: Path,
    image: _Image,
    annotations: Iterable[_Annotation],
    size: int,
    skipped: Counter[str],
) -> AnnotatedPhoto:
    """A photo, perhaps without masks; counts the annotations that are skipped by their reason."""
    path = photo_path(root, image.file_name)
    digest = photo_digest(path)
    original_size = open_photo(path).size_hw
    given = (image.height, image.width)
    if given not in (original_size, (None, None)):
        raise AnnotationError(
            f"These annotations are for a photo of another size. "
            f"This photo is {original_size[1]} x {original_size[0]}."
        )
    size_hw = original_size
    if max(original_size) > size:
        size_hw = scaled_size(original_size, size)
    rles = []
    for annotation in annotations:
        if annotation.iscrowd:
            skipped["of crowds"] += 1
        elif not annotation.segmentation:
            skipped["without a mask"] += 1
        else:
            try:
                rle = segmentation_rle(annotation.segmentation, ObjectReader(original_size))
            except AnnotationError:
                skipped["that cannot be read"] += 1
                continue
            mask = scaled_mask(mask_from_coco_rle(rle, original_size), size_hw)
            if mask.any():
                rles.append(mask_to_coco_rle(mask))
            else:
                skipped["with an empty mask"] += 1
    return AnnotatedPhoto(path, digest, size_hw, _distinct(rles))


def _distinct(rles: Iterable[CocoRle]) -> tuple[CocoRle, ...]:
    """The different masks of a photo, in an order that does not depend on that in the files."""
    return tuple(rle for _, rle in sorted({rle["counts"]: rle for rle in rles}.items()))
