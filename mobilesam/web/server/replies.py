"""Replies of server functions: JSON for the page, whatever happens on the server."""

from __future__ import annotations

import errno
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar, cast

from mobilesam.errors import MobileSamError, PromptError
from mobilesam.web.server.request_log import RequestLog

Reply: TypeAlias = dict[str, Any]
Owner = TypeVar("Owner")
Returned = TypeVar("Returned", bound=Reply | Awaitable[Reply])


class ExpiredError(MobileSamError):
    """The server no longer has what the request refers to; the page can send it again."""


class BusyError(MobileSamError):
    """The server cannot accept more work at the moment."""


def answering(
    method: Callable[[Owner, Mapping[str, Any]], Returned],
) -> Callable[[Owner, Any], Returned]:
    """Turns the errors of a method into replies; an exception would reach the page as nothing.

    The method, which may be a coroutine, then accepts any JSON as its query. Its reply has `ok`,
    the query's `seq`, and either what the method returned or an `error` to show; `expired` is true
    if the page can send what is missing.
    """
    call: Callable[..., Any] = method

    @functools.wraps(method)
    def handle(self: Owner, query: Any) -> Reply:
        reply = _new_reply(query)
        with _errors_in(reply, method.__name__):
            reply.update(call(self, _checked(query)))
        return reply

    @functools.wraps(method)
    async def handle_async(self: Owner, query: Any) -> Reply:
        reply = _new_reply(query)
        with _errors_in(reply, method.__name__):
            reply.update(await call(self, _checked(query)))
        return reply

    handler = handle_async if inspect.iscoroutinefunction(method) else handle
    return cast(Callable[[Owner, Any], Returned], handler)


def refusal(name: str, query: Any, error: MobileSamError) -> Reply:
    """The reply to a query that is refused before its handler, by that name, is called."""
    reply = _new_reply(query)
    with _errors_in(reply, name):
        raise error
    return reply


def _new_reply(query: Any) -> Reply:
    seq = query.get("seq") if isinstance(query, Mapping) else None
    # Larger integers are not exact in JavaScript.
    return {"ok": True, "seq": seq if isinstance(seq, int) and abs(seq) < 2**53 else None}


def _checked(query: Any) -> Mapping[str, Any]:
    if not isinstance(query, Mapping):
        raise PromptError("The server does not understand the request. Reload the page.")
    return query


@contextmanager
def _errors_in(reply: Reply, name: str) -> Iterator[None]:
    """Logs the request and puts any error into the reply."""
    log = RequestLog(name)
    try:
        with log.logged():
            yield
    except MobileSamError as error:
        reply.update(ok=False, error=str(error))
        if isinstance(error, ExpiredError):
            reply["expired"] = True
    except Exception as error:
        is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "The server's disk is full" if is_full else "Something went wrong on the server"
        reply.update(
            ok=False,
            error=f"{what}. Your clicks are kept. Try again, or report the number {log.id}.",
        )
