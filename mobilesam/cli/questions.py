"""Reads the prompts of a batch: JSON lines, trusting none of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mobilesam.errors import ImageError, MobileSamError, PromptError
from mobilesam.objects import checked_name
from mobilesam.prompts import Prompt, prompt_from_rows

DEFAULT_NAME = "object"
_KEYS = ("file", "points", "box", "name")


@dataclass(frozen=True)
class Question:
    """One line of the prompts.

    Attributes:
        line: its number in the file, from 1.
        prompt: points and box.
        name: of the category, as `checked_name` leaves it.
    """

    line: int
    prompt: Prompt
    name: str


@dataclass(frozen=True)
class Questions:
    """All that is asked.

    Attributes:
        by_file: the questions of each photo, photos and questions in the order of the lines.
        errors: a sentence for every line that cannot be used.
    """

    by_file: dict[str, list[Question]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def read_questions(lines: Iterable[bytes]) -> Questions:
    """Reads the lines of a prompts file, whatever they hold; blank ones do not count."""
    questions = Questions()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"Line {number}"
        try:
            item = _json_object(line)
            file = _file(item.get("file"))
            where = f"{file}, line {number}"
            question = _question(number, item)
        except MobileSamError as error:
            questions.errors.append(f"{where}: {error}")
        else:
            questions.by_file.setdefault(file, []).append(question)
    return questions


def path_inside(folder: Path, file: str) -> Path:
    """The photo's path, links followed.

    Args:
        folder: resolved.
        file: what a line calls the photo.

    Raises:
        ImageError: a link leads out of the folder, or there can be no such file.
    """
    try:
        path = (folder / file).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a NUL in the name
        raise ImageError(f"The photo cannot be opened: {error}.") from error
    if not path.is_relative_to(folder):
        raise ImageError("The photo lies outside the folder; only what is in it is read.")
    return path


def _json_object(line: bytes) -> dict[str, Any]:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError):
        item = None
    if not isinstance(item, dict):
        raise PromptError('This is no JSON object such as {"file": "a.jpg", "box": [1, 2, 8, 9]}.')
    return item


def _file(file: object) -> str:
    if not isinstance(file, str) or not file.strip():
        raise PromptError('"file" is missing: the name of a photo in the folder.')
    path = PurePosixPath(file)
    if path.is_absolute() or Path(file).is_absolute() or ".." in (*path.parts, *Path(file).parts):
        raise PromptError(f'"file" is a path inside the folder, without "..", not {file!r}.')
    return str(path)


def _question(number: int, item: dict[str, Any]) -> Question:
    unknown = [key for key in item if key not in _KEYS]
    if unknown:
        raise PromptError(f"{unknown[0]!r} is not known; a line has {', '.join(_KEYS)}.")
    name = checked_name(item.get("name", DEFAULT_NAME))
    prompt = prompt_from_rows(item.get("points"), item.get("box"))
    if prompt.is_empty:
        raise PromptError("Give at least one point or a box.")
    return Question(number, prompt, name)
