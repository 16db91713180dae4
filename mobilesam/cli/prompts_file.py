"""Reads the prompts of a batch: JSON lines, none of them trusted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict

from mobilesam.errors import ImageError, MobileSamError, PromptError
from mobilesam.objects import checked_name
from mobilesam.prompts import Prompt, prompt_from_rows
from mobilesam.schemas import validate

DEFAULT_NAME = "object"


@dataclass(frozen=True)
class BatchPrompt:
    """The prompt and the category in one line of a prompts file; lines count from 1."""

    line: int
    prompt: Prompt
    name: str


PromptsByFile: TypeAlias = dict[str, list[BatchPrompt]]


class _Line(BaseModel):
    """The points and the box are validated by `prompt_from_rows`."""

    model_config = ConfigDict(extra="forbid")

    file: str
    points: Any = None
    box: Any = None
    name: str = DEFAULT_NAME


def read_prompts(lines: Iterable[bytes]) -> tuple[PromptsByFile, list[str]]:
    """Reads the lines of a prompts file; blank lines are skipped.

    Returns:
        The prompts of each photo, in the order of the lines, and a sentence per invalid line.
    """
    by_file: PromptsByFile = {}
    errors = []
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        where = f"Line {number}"
        try:
            line = _parse_line(text)
            file = _relative_path(line.file)
            where = f"{file}, line {number}"
            prompt = prompt_from_rows(line.points, line.box)
            if prompt.is_empty:
                raise PromptError("Give at least one point or a box.")
            item = BatchPrompt(number, prompt, checked_name(line.name))
        except MobileSamError as error:
            errors.append(f"{where}: {error}")
        else:
            by_file.setdefault(file, []).append(item)
    return by_file, errors


def path_inside(folder: Path, file: str) -> Path:
    """Resolves a photo's path, including symbolic links; `folder` must be resolved.

    Raises:
        ImageError: the path cannot be resolved, or a link leads out of the folder.
    """
    try:
        path = (folder / file).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a NUL in the name
        raise ImageError(f"The photo cannot be opened: {error}.") from error
    if not path.is_relative_to(folder):
        raise ImageError("The photo is outside the folder; only files inside it are read.")
    return path


def _parse_line(text: bytes) -> _Line:
    try:
        item = json.loads(text)
    except (ValueError, RecursionError):
        item = None
    if not isinstance(item, dict):
        raise PromptError(
            'This is not a JSON object such as {"file": "a.jpg", "box": [1, 2, 8, 9]}.'
        )
    return validate(_Line, item, name="The line")


def _relative_path(file: str) -> str:
    path = PurePosixPath(file)
    if not path.name or path.is_absolute() or ".." in path.parts:
        raise PromptError(f'"file" must be a path inside the folder, without "..", not {file!r}.')
    return str(path)
