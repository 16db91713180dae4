"""Reads YOLO segmentation labels, one text file per photo, and the names of their classes."""

import io
import re
from functools import partial
from itertools import chain

import numpy as np
import yaml

from mobilesam.export.documents import (
    MAX_VERTICES,
    YAML_LOADER,
    ObjectReader,
    PhotoAnnotations,
    RowLimit,
    Shape,
    SkippedError,
    finite_points,
)
from mobilesam.masks import CocoRle
from mobilesam.polygons import rle_from_centres

MAX_NAMES_BYTES = 100_000  # of data.yaml or a list of classes; those of LVIS have 20,000
_NUMBERS = re.compile(r"[-+.0-9eE\s]+")


def is_names_file(name: str) -> bool:
    """Whether a file has the names of classes, by its name."""
    return name.endswith((".yaml", ".yml", ".names")) or name in ("classes.txt", "labels.txt")


def class_names(data: bytes, name: str) -> dict[int, str]:
    """The names in data.yaml, or one a line in a list of classes; none if it cannot be read."""
    text = data.decode("utf-8-sig", errors="replace")
    if not name.endswith((".yaml", ".yml")):
        return dict(enumerate(line.strip() for line in text.splitlines()))
    try:
        content = yaml.load(text, YAML_LOADER)  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        return {index: row for index, row in enumerate(names) if isinstance(row, str)}
    rows = names.items() if isinstance(names, dict) else ()
    return {
        int(index): row
        for index, row in rows
        if isinstance(row, str) and index.isascii() and index.isdigit() and len(index) < 9
    }


def yolo_photo(
    data: bytes, stem: str, names: dict[int, str], limit: RowLimit
) -> PhotoAnnotations | None:
    """The objects of a label file: a line `class x1 y1 x2 y2 ...` each, in shares of the photo.

    None if the first line is no label. `stem` is that of the file and of its photo.
    """
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", errors="replace")
    lines = filter(str.strip, text)  # one at a time: a list of ten million would take 600 MB
    first = next(lines, "")
    if not _NUMBERS.fullmatch(first):
        return None
    shapes = [
        Shape(_class_name(line.split(maxsplit=1)[0], names), partial(_polygon_rle, line))
        for line in limit.first(chain([first], lines))
    ]
    return PhotoAnnotations(stem, shapes, stem=stem)


def _class_name(token: str, names: dict[int, str]) -> str:
    index = int(token) if token.isascii() and token.isdigit() and len(token) < 9 else -1
    return names.get(index, f"class {token}")


def _polygon_rle(line: str, reader: ObjectReader) -> CocoRle:
    tokens = line.split(maxsplit=2 * MAX_VERTICES + 3)[1:]  # the last may have many more
    if len(tokens) in (4, 5):  # centre, width and height, and perhaps a confidence
        raise SkippedError("boxes without a mask")
    try:
        numbers = np.array(tokens[: len(tokens) // 2 * 2], float)  # without a confidence
    except ValueError:
        raise SkippedError("shapes with damaged coordinates") from None
    height, width = reader.size_hw
    xy = finite_points(numbers) * (width, height)
    return rle_from_centres(reader.polygon(xy.ravel()), reader.size_hw)
