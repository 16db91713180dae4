"""A response in chunks, and clients that read it too slowly."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message

from mobilesam.web.server import timed_response
from mobilesam.web.server.timed_response import CHUNK_BYTES, TimedResponse
from tests.event_loop import run_async

CONTENT = bytes(range(256)) * 1000


def sent_by(response: TimedResponse, delay_s: float = 0.0, after: int = 0) -> list[Message]:
    """The messages to a client that takes a while for each one after the first ones."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        if len(messages) >= after:
            await asyncio.sleep(delay_s)
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError("The response has no reason to read.")

    run_async(response({"type": "http"}, receive, send))
    return messages


def test_the_content_arrives_whole_in_small_chunks_with_its_length():
    start, *bodies = sent_by(TimedResponse(CONTENT, headers={"Cache-Control": "no-store"}))
    assert (b"content-length", str(len(CONTENT)).encode()) in start["headers"]
    assert (b"cache-control", b"no-store") in start["headers"]
    assert b"".join(one["body"] for one in bodies) == CONTENT
    assert max(len(one["body"]) for one in bodies) == CHUNK_BYTES
    assert [one.get("more_body", False) for one in bodies] == [True] * (len(bodies) - 1) + [False]


@pytest.mark.parametrize("limit", ["IDLE_TIMEOUT_S", "TOTAL_TIMEOUT_S"])
def test_a_client_that_does_not_read_in_time_gets_no_more(monkeypatch, limit):
    monkeypatch.setattr(timed_response, limit, 0.05)
    delay_s = 1.0 if limit == "IDLE_TIMEOUT_S" else 0.03
    messages = sent_by(TimedResponse(CONTENT), delay_s, after=2)
    assert 2 <= len(messages) < 1 + len(CONTENT) / CHUNK_BYTES
    assert all(message.get("more_body", True) for message in messages)
