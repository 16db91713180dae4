"""What the web server lets through, and what browsers are told that pages may do.

Gradio has more routes than the page, its clients and assistants use: among them are a fetch of any
public address, links that store a session's state, a queue without the queue, a code editor. Only
the doors named here are open.
"""

from __future__ import annotations

import re

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobilesam.web.server.request_limits import Bodies

_DOORS = re.compile(
    r"""/ | /healthz | /config/? | /(assets|static)/.* | /(favicon\.ico|theme\.css)
    | /(manifest\.json|robots\.txt)
    | /gradio_api/ (
        info/? | app_id/? | startup-events | theme\.css | upload | upload_progress
        | queue/(join|data) | call/.* | cancel | reset/? | component_server/? | heartbeat/[^/]{1,64}
        | mcp(/.*)?
        | file=(?!https?://).*      # else the server would fetch for anybody
    )""",
    re.VERBOSE | re.DOTALL,
)
_FILES = "/gradio_api/file="

# Gradio's page has scripts and styles within it, and makes functions of the canvas's script.
_PAGE_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "frame-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self' https://huggingface.co https://*.hf.space",
    )
)
# A visitor's file is nothing but a picture or a download, whatever is in it.
_FILE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(self), clipboard-read=(self), clipboard-write=(self), geolocation=(), "
        "microphone=(), display-capture=(), payment=(), usb=(), serial=(), hid=(), midi=()"
    ),
}


class SecurityMiddleware:
    """ASGI middleware: closes the doors that nobody needs, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        """Stands before an application.

        Args:
            app: the application.
            max_body_bytes: of one request.
        """
        self._app = app
        self._bodies = Bodies(max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        of_visitor = path.startswith(_FILES)
        if of_visitor:  # to a question for a part Gradio sends the question's own headers back
            asked = [(name, value) for name, value in scope["headers"] if name != b"range"]
            scope = {**scope, "headers": asked}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers["Content-Security-Policy"] = _FILE_POLICY if of_visitor else _PAGE_POLICY
                if of_visitor:
                    headers["Cache-Control"] = "private"
            await send(message)

        if not _DOORS.fullmatch(path):
            await _CLOSED(scope, receive, send_with_headers)
            return
        try:
            async with self._bodies.bounded(scope, receive) as receive_within_bounds:
                await self._app(scope, receive_within_bounds, send_with_headers)
        except HTTPException as refusal:  # of one that did not reach the application
            answer = PlainTextResponse(refusal.detail, refusal.status_code)
            await answer(scope, receive, send_with_headers)


_CLOSED = PlainTextResponse("Not found", status_code=404)
