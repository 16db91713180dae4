"""Class names with fixed ids, so that all files of a project agree on them."""

import codecs
from collections.abc import Iterable
from pathlib import PurePath
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, Field, TypeAdapter

from mobilesam.errors import AnnotationError, PromptError
from mobilesam.export.documents import YAML_LOADER, Items, parse_document, validate_file
from mobilesam.objects import checked_name
from mobilesam.schemas import validate

MAX_CLASSES = 1000
MAX_LIST_BYTES = 100_000  # of text or YAML; COCO files contain more than their categories
DEFAULT_NAME = "object"
"""The class of objects without a name."""

_NAMES = TypeAdapter(Annotated[list[str], Field(strict=True, max_length=MAX_CLASSES)] | None)


class ClassList:
    """Class names in a fixed order; names that are not in the list are appended to it.

    The place in the list, counted from 1, is the id of a COCO category and the value of a pixel in
    a class image, where 0 is the background. YOLO counts from 0.
    """

    def __init__(self, names: Iterable[object] = ()) -> None:
        """Raises PromptError if a name is invalid, or is there twice, or there are too many."""
        self._ids: dict[str, int] = {}
        for name in names:
            clean = checked_name(name)
            if clean in self._ids:
                raise PromptError(f'The class list contains "{clean}" twice. Remove one of them.')
            self.id_of(clean)

    @classmethod
    def from_json(cls, raw: object) -> Self:
        """The class list that a client sends: a list of names, or None for an empty one.

        Raises:
            PromptError: it is anything else, or a name is invalid or is there twice.
        """
        names = validate(_NAMES, raw, name="classes")
        return cls(names or ())

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of their ids."""
        return tuple(self._ids)

    def id_of(self, name: str) -> int:
        """The id of a name, from 1 on; PromptError if it would be one class too many."""
        if name not in self._ids:
            if len(self._ids) >= MAX_CLASSES:
                raise PromptError(f"There can be at most {MAX_CLASSES} classes. Use fewer names.")
            self._ids[name] = len(self._ids) + 1
        return self._ids[name]


class _Category(BaseModel):
    id: int
    name: str


class _Categories(BaseModel):
    categories: Items[_Category]


def read_class_names(data: bytes | str, file_name: str) -> list[str]:
    """Reads the class names in a file, in the order of their ids.

    The extension tells the format: `.yaml` and `.yml` are ultralytics' data.yaml, with `names` as
    a list or as a mapping from the ids 0, 1, ...; `.json` is COCO, whose categories are sorted by
    id and numbered anew; all else is text with one name per line. Bytes are UTF-8, or UTF-16 with
    a byte order mark.

    Raises:
        AnnotationError: the file cannot be read, or contains no names.
        PromptError: a name is invalid or is there twice, or there are too many.
    """
    suffix = PurePath(file_name).suffix.lower()
    text = (data if isinstance(data, str) else _decoded(data)).removeprefix("\ufeff")
    if suffix != ".json" and len(text) > MAX_LIST_BYTES:
        raise AnnotationError("This file is too long for a class list. Give one name per line.")
    names: Iterable[object]
    if suffix == ".json":
        categories = validate_file(_Categories, parse_document(text), "COCO").categories
        names = [category.name for category in sorted(categories, key=lambda one: one.id)]
    elif suffix in (".yaml", ".yml"):
        names = _yaml_names(text)
    else:
        names = [line for line in text.splitlines() if line.strip()]
    classes = ClassList(names).names
    if not classes:
        raise AnnotationError("This file contains no class names. Give one name per line.")
    return list(classes)


def _decoded(data: bytes) -> str:
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if is_utf_16 else "utf-8")
    except UnicodeDecodeError:
        raise AnnotationError("The class list is not text in UTF-8. Save it as UTF-8.") from None


def _yaml_names(text: str) -> list[Any]:
    """The `names` of a data.yaml."""
    try:
        document = yaml.load(text, YAML_LOADER)  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError):
        raise AnnotationError("This file is not YAML that can be read.") from None
    names = document.get("names") if isinstance(document, dict) else None
    if isinstance(names, dict):
        by_id = {str(number): names.get(str(number)) for number in range(len(names))}
        if by_id.keys() != names.keys():
            raise AnnotationError("The ids of `names` in data.yaml must be 0, 1, 2 and so on.")
        names = list(by_id.values())
    if not isinstance(names, list):
        raise AnnotationError("This data.yaml has no `names`, a list of the classes.")
    return names
