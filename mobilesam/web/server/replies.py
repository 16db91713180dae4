"""Replies of server functions: JSON for the page, whatever happens on the server."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from mobilesam.errors import MobileSamError, NotEncodedError, PromptError
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
        `ok`, and either the fields or an `error` to show; `expired` is true if the page can send
        what is missing, and `crops` are those that it can have encoded.
    """
    try:
        with logged_request(name, reassurance="Your clicks are kept. "):
            if not isinstance(query, Mapping):
                raise PromptError("The server does not understand the request. Reload the page.")
            return {"ok": True, **work()}
    except ExpiredError as error:
        return {"ok": False, "error": str(error), "expired": True}
    except NotEncodedError as error:
        return {"ok": False, "error": str(error), "crops": [list(crop) for crop in error.crops]}
    except MobileSamError as error:
        return {"ok": False, "error": str(error)}


def refusal(name: str, query: Any, error: Exception) -> Reply:
    """The reply to a query whose work has not begun."""

    def refuse() -> Reply:
        raise error

    return answered(name, query, refuse)
