"""What the page gets back: a reply, whatever happens on the server."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from mobilesam.errors import MobileSamError, PromptError
from mobilesam.web.server.request_log import Request

Reply: TypeAlias = dict[str, Any]
Owner = TypeVar("Owner")


class ExpiredError(MobileSamError):
    """The server has forgotten what the page asks about; the page brings it back by itself."""


class BusyError(MobileSamError):
    """There is no place for one more piece of heavy work just now."""


def answering(
    method: Callable[[Owner, Mapping[str, Any]], Reply],
) -> Callable[[Owner, Any], Reply]:
    """Turns errors into replies: what a server function raises would reach the page as nothing.

    A query is whatever JSON came. A reply has `ok`, the query's `seq`, and either what the method
    returned or an `error` to show; `expired` is true where the page can bring back what is missing.
    """

    @functools.wraps(method)
    def reply(self: Owner, query: Any) -> Reply:
        seq = _sequence_number(query.get("seq")) if isinstance(query, Mapping) else None
        request = Request(method.__name__)
        try:
            with request.logged():
                if not isinstance(query, Mapping):
                    raise PromptError("The request is not understood; reload the page.")
                return {"ok": True, "seq": seq, **method(self, query)}
        except ExpiredError as error:
            return {"ok": False, "seq": seq, "expired": True, "error": str(error)}
        except MobileSamError as error:
            return {"ok": False, "seq": seq, "error": str(error)}
        except Exception as error:
            is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            what = "The server's disk is full" if is_full else "Something went wrong on the server"
            return {
                "ok": False,
                "seq": seq,
                "error": f"{what}; your clicks are kept. Try again, "
                f"or report it with the number {request.id}.",
            }

    return reply


def _sequence_number(seq: object) -> int | None:
    """The number that the page counts its queries by; what JSON could not carry back is dropped."""
    return seq if isinstance(seq, int) and abs(seq) < 2**53 else None
