"""The files of a training run: its result, its checkpoint and its log."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from mobilesam.atomic_file import reporting_errors, write_atomically
from mobilesam.errors import MobileSamError
from mobilesam.training.options import TrainingOptions


@dataclass(frozen=True)
class RunFiles:
    """Where a run keeps what it has learned.

    Attributes:
        out: the result, which is written at the end only.
        log: JSON lines.
        identity: everything that the weights depend on, as JSON values. A checkpoint is resumed
            only with the same.
        kept: what else each checkpoint keeps.
    """

    out: Path
    log: Path
    identity: Mapping[str, Any]
    kept: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, options: TrainingOptions, source: Mapping[str, Any], processes: int) -> "RunFiles":
        """The files of a run with these options, which learns from a source."""
        identity = {**source, **options.identity(processes)}
        return cls(options.out, options.log or options.out.with_suffix(".jsonl"), identity)

    @property
    def checkpoint(self) -> Path:
        """The state of an unfinished run, beside the result."""
        return self.out.with_name(f"{self.out.name}.part")

    def read_checkpoint(self) -> dict[str, Any]:
        """The state that was saved last; empty if there is none.

        Raises:
            MobileSamError: the checkpoint is damaged or of another run.
        """
        if not self.checkpoint.exists():
            return {}
        path = self.checkpoint
        remedy = f"Choose another name after --out, or delete {path.name} to start anew."
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            identity = json.loads(saved["identity"])
        except Exception as error:  # torch.load raises many types for damaged files
            raise MobileSamError(f"The checkpoint {path} is damaged. {remedy}") from error
        ours = json.loads(json.dumps(self.identity))
        differing = [name for name in {**ours, **identity} if ours.get(name) != identity.get(name)]
        if differing:
            raise MobileSamError(
                f"{path} belongs to a run with another {', '.join(differing)}. Give the "
                f"same options to resume it. {remedy}"
            )
        return dict(saved)

    def write_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replaces the checkpoint; MobileSamError if that fails, and the old one is kept."""
        file = io.BytesIO()
        torch.save({"identity": json.dumps(self.identity), **self.kept, **state}, file)
        write_atomically(self.checkpoint, file.getvalue())

    def finish(self, data: bytes) -> None:
        """Writes the result and removes the checkpoint; MobileSamError if that fails."""
        write_atomically(self.out, data)
        with reporting_errors(self.checkpoint):
            self.checkpoint.unlink(missing_ok=True)


def check_new(out: Path) -> None:
    """Checks before a run that its result does not exist; MobileSamError if it does."""
    if out.exists():
        raise MobileSamError(f"{out} exists and is not overwritten. Choose another name for --out.")


class RunLog:
    """JSON lines. A resumed run cuts off what was logged after its checkpoint."""

    def __init__(self, path: Path, keep_bytes: int | None = None) -> None:
        """Opens the file to append to it; MobileSamError if that fails.

        Args:
            path: the file.
            keep_bytes: what is kept of it; None for everything.
        """
        self._path = path
        with reporting_errors(path):
            self._file = path.open("ab")
            if keep_bytes is not None and keep_bytes < self.size_bytes:
                self._file.truncate(keep_bytes)

    @property
    def size_bytes(self) -> int:
        """The size of the file."""
        return self._file.seek(0, io.SEEK_END)

    def write(self, line: Mapping[str, Any]) -> None:
        """Appends a line; MobileSamError if that fails."""
        with reporting_errors(self._path):
            self._file.write(json.dumps(line).encode("ascii") + b"\n")
            self._file.flush()

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._file.close()
