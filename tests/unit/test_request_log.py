"""The log line of a request: its fields, and that it has nothing that a user sent."""

from __future__ import annotations

import logging
import re
import sys

import pytest

from mobilesam.errors import PromptError
from mobilesam.web.server import request_log
from mobilesam.web.server.replies import BusyError, ExpiredError, answering, refusal
from mobilesam.web.server.request_log import (
    configure_logging,
    hide_content,
    log_failure,
    logged_request,
)

SECRET = "holiday.jpg"


class Server:
    """Handles a query, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    @answering
    def segment(self, query):
        if self.error:
            raise self.error
        return {"mask": "m"}


@pytest.fixture
def lines(caplog):
    """lines(): the log so far, each line by its fields."""
    caplog.set_level(logging.INFO, logger=request_log.__name__)

    def read():
        return [dict(re.findall(r"(\w+)=(\S+)", line)) for line in caplog.messages]

    return read


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "ok"), (PromptError(SECRET), "PromptError"), (BusyError(SECRET), "BusyError")],
)
def test_a_request_is_one_line(lines, caplog, error, outcome):
    Server(error).segment({"token": SECRET})
    (line,) = lines()
    assert (line["what"], line["outcome"]) == ("segment", outcome)
    assert line.keys() == {"id", "what", "outcome", "wait_ms", "work_ms"}
    assert SECRET not in caplog.text


def test_a_reply_has_the_result_or_a_sentence():
    assert Server().segment({}) == {"ok": True, "mask": "m"}
    assert Server(PromptError("No.")).segment({}) == {"ok": False, "error": "No."}
    reply = Server(ExpiredError("Gone.")).segment({})
    assert reply == {"ok": False, "error": "Gone.", "expired": True}


@pytest.mark.parametrize("query", [None, 5, "x", [1], True])
def test_a_query_that_is_no_object_gets_a_sentence(lines, query):
    reply = Server().segment(query)
    assert not reply["ok"]
    assert "Reload the page" in reply["error"]
    assert lines()[0]["outcome"] == "PromptError"


def test_a_refused_query_is_logged_too(lines):
    reply = refusal("segment", {}, BusyError("Later."))
    assert reply == {"ok": False, "error": "Later."}
    (line,) = lines()
    assert (line["what"], line["outcome"]) == ("segment", "BusyError")


def test_an_unexpected_error_has_a_number_for_the_user_and_its_place_in_the_log(lines, caplog):
    sentence = Server(KeyError(SECRET)).segment({})["error"]
    assert "Something went wrong on the server" in sentence
    (number,) = re.findall("number ([0-9a-f]{8})[.]", sentence)
    where, line = lines()
    assert (where["id"], line["id"]) == (number, number)
    assert (where["error"], line["outcome"]) == ("KeyError", "failed")
    assert "test_request_log.py" in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in sentence


def test_a_full_disk_has_a_sentence_of_its_own():
    assert "disk is full" in Server(OSError(28, "No space")).segment({})["error"]


def test_waiting_and_work_are_told_apart(lines, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(request_log.time, "perf_counter", lambda: now[0])
    token = request_log.queued_at.set(96.0)
    try:
        with logged_request("export"):
            now[0] += 0.25
    finally:
        request_log.queued_at.reset(token)
    (line,) = lines()
    assert (line["wait_ms"], line["work_ms"]) == ("4000", "250")


def test_the_message_of_an_error_is_kept_out_of_every_record():
    try:
        raise ValueError(SECRET)
    except ValueError:
        record = logging.LogRecord("uvicorn.error", 40, __file__, 1, "Bad", (), sys.exc_info())
    assert hide_content(record)
    text = logging.Formatter().format(record)
    assert SECRET not in text
    assert "error=ValueError" in text
    assert "test_request_log.py" in text


@pytest.mark.parametrize("name", ["root", "mcp.server.sse", "asyncio", "mobilesamson"])
def test_of_the_messages_of_other_packages_only_the_place_is_logged(name):
    """MCP's session logs what a client sent to the root logger, asyncio the messages of errors."""
    record = logging.LogRecord(name, 30, "/lib/session.py", 383, "Bad: %s", (SECRET,), None)
    assert hide_content(record)
    assert record.getMessage() == "Message from /lib/session.py:383"


@pytest.mark.parametrize("name", ["mobilesam.web.app", "uvicorn.error"])
def test_messages_of_this_package_and_of_the_server_are_logged(name):
    record = logging.LogRecord(name, 30, __file__, 1, "Ready on %s", ("cpu",), None)
    assert hide_content(record)
    assert record.getMessage() == "Ready on cpu"


def test_the_handlers_of_this_process_and_uvicorns_logger_have_the_filter(monkeypatch):
    """Gradio's server logs unexpected errors to "uvicorn.error", whose handlers are its own."""
    root, server = logging.Logger("root"), logging.Logger("uvicorn.error")
    root.addHandler(logging.NullHandler())
    loggers = {"uvicorn.error": server, "mobilesam": logging.Logger("mobilesam")}
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setattr(logging, "getLogger", lambda name=None: loggers.get(name, root))
    configure_logging()
    for target in (*root.handlers, server):
        assert target.filters == [hide_content]
    assert loggers["mobilesam"].level == logging.INFO


def test_a_failure_is_one_line_of_type_and_place(caplog):
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        log_failure("Request", error)
    (message,) = caplog.messages
    assert re.fullmatch(r"Request failed: KeyError at \S+test_request_log\.py:\d+", message)
