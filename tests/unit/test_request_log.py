"""A request's line in the log: its fields, and that what a visitor sent is not among them."""

from __future__ import annotations

import logging
import re

import gradio as gr
import pytest

from mobilesam.errors import PromptError
from mobilesam.web.api.endpoints import with_sentences
from mobilesam.web.server import request_log as log
from mobilesam.web.server.replies import BusyError, answering
from mobilesam.web.server.request_log import Request, waiting

SECRET = "holiday.jpg"


class Counter:
    """What answers, in place of the handlers."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    @answering
    def segment(self, query):
        if self.error:
            raise self.error
        return {"mask": "m"}


@pytest.fixture
def lines(caplog):
    """What has been logged, by its fields."""
    caplog.set_level(logging.INFO, logger=log.__name__)

    def read():
        return [dict(re.findall(r"(\w+)=(\S+)", line)) for line in caplog.messages]

    return read


@pytest.fixture
def clock(monkeypatch):
    """clock[0]: the time in seconds."""
    now = [100.0]
    monkeypatch.setattr(log.time, "perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "ok"), (PromptError(SECRET), "PromptError"), (BusyError(SECRET), "BusyError")],
)
def test_a_request_is_one_line(lines, caplog, error, outcome):
    Counter(error).segment({"token": SECRET})
    (line,) = lines()
    assert (line["what"], line["outcome"]) == ("segment", outcome)
    assert line.keys() == {"id", "what", "outcome", "wait_ms", "work_ms"}
    assert SECRET not in caplog.text


def test_waiting_is_told_apart_from_work(lines, clock):
    with Request("export").logged():
        clock[0] += 0.25
        with waiting():
            clock[0] += 3
        with waiting():
            clock[0] += 1
    (line,) = lines()
    assert (line["wait_ms"], line["work_ms"]) == ("4000", "250")


def test_waiting_outside_a_request_is_nobodys(lines, clock):
    with waiting():
        clock[0] += 3
    with Request("export").logged():
        pass
    (line,) = lines()
    assert line["wait_ms"] == "0"


@pytest.mark.parametrize("kind", ["page", "program"])
def test_what_went_wrong_has_a_number_for_the_visitor_and_the_place_in_the_log(lines, caplog, kind):
    error = KeyError(SECRET)
    if kind == "page":
        sentence = Counter(error).segment({})["error"]
    else:

        def segment():
            raise error

        with pytest.raises(gr.Error) as raised:
            with_sentences(segment)()
        sentence = raised.value.message
    assert "Something went wrong on the server" in sentence
    (number,) = re.findall("number ([0-9a-f]{8})[.]", sentence)
    where, line = lines()
    assert (where["id"], line["id"]) == (number, number)
    assert (where["error"], line["outcome"]) == ("KeyError", "failed")
    assert "test_log.py" in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in sentence
