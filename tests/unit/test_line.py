"""Who waits for a photo is counted, and one too many is told so."""

from __future__ import annotations

import pytest

from mobilesam.web import line as module
from mobilesam.web.line import MAX_WAITING, PATIENCE_S, Line
from mobilesam.web.replies import BusyError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def full(clock: list[float]) -> Line:
    line = Line()
    for _ in range(MAX_WAITING):
        line.join()
    return line


def test_one_more_than_can_wait_is_told_to_come_back(full: Line) -> None:
    with pytest.raises(BusyError, match="Try again in a minute"):
        full.join()


def test_who_is_served_makes_room_for_one(full: Line) -> None:
    full.serve()
    full.join()
    with pytest.raises(BusyError):
        full.join()


def test_who_has_lost_patience_waits_no_longer(full: Line, clock: list[float]) -> None:
    clock[0] += PATIENCE_S
    with pytest.raises(BusyError):
        full.join()
    clock[0] += 1
    full.join()


def test_one_may_be_served_who_has_not_joined() -> None:
    line = Line()
    line.serve()
    for _ in range(MAX_WAITING):
        line.join()
    with pytest.raises(BusyError):
        line.join()
