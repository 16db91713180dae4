"""Replies of server functions: JSON for the page, whatever happens on the server."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from mobilesam.errors import MobileSamError, PromptError
from mobilesam.web.server.request_log import logged_request

NOT_UNDERSTOOD = "The server does not understand the request."

Reply: TypeAlias = dict[str, Any]


class ExpiredError(MobileSamError):
    """The server no longer has what the request refers to; the page can send it again."""


class BusyError(MobileSamError):
    """The server cannot accept more work at the moment."""


def answering(method: Callable[[Any, Mapping[str, Any]], Reply]) -> Callable[[Any, Any], Reply]:
    """Decorates a method that answers queries; see `answered`."""

    @functools.wraps(method)
    def handle(self: Any, query: Any) -> Reply:
        return answered(method.__name__, query, lambda: method(self, query))

    return handle


def answered(name: str, query: Any, work: Callable[[], Reply]) -> Reply:
    """Turns what `work` returns or raises into a reply; the page would not see an exception.

    The query may be any JSON; it is refused unless it is an object. The name is for the log.

    Returns:
        `ok`, the query's `seq`, and either the fields or an `error` to show; `expired` is true if
        the page can send what is missing.
    """
    reply: Reply = {"ok": True, "seq": seq_of(query)}
    try:
        with logged_request(name, reassurance="Your clicks are kept. "):
            if not isinstance(query, Mapping):
                raise PromptError("The server does not understand the request. Reload the page.")
            return {**reply, **work()}
    except MobileSamError as error:
        reply.update(ok=False, error=str(error))
        if isinstance(error, ExpiredError):
            reply["expired"] = True
        return reply


def refusal(name: str, query: Any, error: Exception) -> Reply:
    """The reply to a query whose work has not begun."""

    def refuse() -> Reply:
        raise error

    return answered(name, query, refuse)


def seq_of(query: Any) -> int | None:
    """The query's `seq`, if JavaScript can represent it exactly."""
    seq = query.get("seq") if isinstance(query, Mapping) else None
    return seq if isinstance(seq, int) and abs(seq) < 2**53 else None
