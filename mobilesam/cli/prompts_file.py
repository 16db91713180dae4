"""Reads the prompts of a batch: JSON lines, none of them trusted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

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


@dataclass(frozen=True)
class BatchPrompts:
    """The prompts of each photo, in the order of the lines, and a sentence per invalid line."""

    by_file: dict[str, list[BatchPrompt]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


class _Line(BaseModel):
    """The points and the box are validated by `prompt_from_rows`."""

    model_config = ConfigDict(extra="forbid")

    file: str
    points: Any = None
    box: Any = None
    name: str = DEFAULT_NAME


def read_prompts(lines: Iterable[bytes]) -> BatchPrompts:
    """Reads the lines of a prompts file; blank lines are skipped."""
    prompts = BatchPrompts()
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        where = f"Line {number}"
        try:
            line = validate(_Line, _json_object(text), name="The line")
            file = _relative_path(line.file)
            where = f"{file}, line {number}"
            prompt = prompt_from_rows(line.points, line.box)
            if prompt.is_empty:
                raise PromptError("Give at least one point or a box.")
            item = BatchPrompt(number, prompt, checked_name(line.name))
        except MobileSamError as error:
            prompts.errors.append(f"{where}: {error}")
        else:
            prompts.by_file.setdefault(file, []).append(item)
    return prompts


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


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        item = json.loads(text)
    except (ValueError, RecursionError):
        item = None
    if not isinstance(item, dict):
        raise PromptError(
            'This is not a JSON object such as {"file": "a.jpg", "box": [1, 2, 8, 9]}.'
        )
    return item


def _relative_path(file: str) -> str:
    if not file.strip():
        raise PromptError('"file" is empty. Give the name of a photo in the folder.')
    path = PurePosixPath(file)
    if path.is_absolute() or Path(file).is_absolute() or ".." in (*path.parts, *Path(file).parts):
        raise PromptError(f'"file" must be a path inside the folder, without "..", not {file!r}.')
    return str(path)
