"""Allowed routes, security headers and request limits, as one ASGI middleware.

Gradio serves more routes than its page, its clients and MCP need, among them a proxy to any public
URL, links that store a session's state, calls that bypass the queue, and a code editor.
"""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobilesam.settings import FRAME_ANCESTORS
from mobilesam.web.server.replies import NOT_UNDERSTOOD
from mobilesam.web.server.request_limits import RequestLimits, route_path
from mobilesam.web.server.request_log import log_failure
from mobilesam.web.server.static_files import static_base

_ALLOWED = re.compile(
    rf"""/? | /healthz | /metrics | /config/? | /(assets|static|{re.escape(static_base())})/.*
    | /(favicon\.ico|theme\.css|manifest\.json|robots\.txt)
    | /decoder/ (embedding | weights/[0-9a-f]{{64}})
    | /gradio_api/ (
        info/? | app_id/? | startup-events | theme\.css | upload
        | queue/(join|data) | call/.* | cancel | reset/? | component_server/?
        | heartbeat/[^/]{{1,64}} | mcp(/.*)?
        | file=(?!https?://).*      # else the server would download any URL for anyone
    )""",
    re.VERBOSE | re.DOTALL,
)

# Gradio's page has inline scripts and styles, and compiles the component's script at run time.
_PAGE_POLICY = (
    "default-src 'self'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; "
    "font-src 'self' data:; "
    "connect-src 'self' data: blob:; "
    "media-src 'self' data: blob:; "
    "worker-src 'self' blob:; "
    "object-src 'none'; "
    "frame-src 'none'; "
    "base-uri 'self'; "
    "form-action 'self'; "
    "frame-ancestors 'self' "
)
# A user's file is only ever a picture or a download, whatever it contains.
_FILE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(self), clipboard-read=(self), clipboard-write=(self), geolocation=(), "
        "microphone=(), display-capture=(), payment=(), usb=(), serial=(), hid=(), midi=()"
    ),
}
# Of X-Forwarded-Prefix, as Traefik and others send it with the prefix that they remove.
_PREFIX = re.compile(r"(/[\w.~-]+)+", re.ASCII)


class SecurityMiddleware:
    """Allowed routes: all others return 404. Every response has the security headers.

    The pages of `frame_ancestors` may embed the page. An unexpected error, whether a bug or the
    request's fault, is a sentence with status 500.
    """

    def __init__(
        self, app: ASGIApp, max_body_bytes: int, frame_ancestors: str = FRAME_ANCESTORS
    ) -> None:
        self._app = app
        self._page_policy = _PAGE_POLICY + frame_ancestors
        self._limited = RequestLimits(app, max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # GRADIO_ROOT_PATH goes before the header, which any client can send.
        scope["root_path"] = scope.get("root_path") or _forwarded_prefix(scope)
        path = route_path(scope)
        is_file = path.startswith("/gradio_api/file=")
        if is_file:  # Gradio answers a Range request with the request's own headers
            del MutableHeaders(scope=scope)["range"]

        is_answered = False

        async def send_with_headers(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                policy = _FILE_POLICY if is_file else self._page_policy
                headers["Content-Security-Policy"] = policy
                if is_file:
                    headers["Cache-Control"] = "private"
            await send(message)

        allowed = _ALLOWED.fullmatch(path)
        app = self._limited if allowed else PlainTextResponse("Not found", status_code=404)
        try:
            await app(scope, receive, send_with_headers)
        except Exception as error:
            log_failure("Request", error)
            if not is_answered:
                reply = PlainTextResponse(NOT_UNDERSTOOD, status_code=500)
                await reply(scope, receive, send_with_headers)


def _forwarded_prefix(scope: Scope) -> str:
    """The prefix that a proxy has removed from the path, or left there; empty if none is named."""
    prefix = Headers(scope=scope).get("x-forwarded-prefix", "").rstrip("/")
    return prefix if _PREFIX.fullmatch(prefix) else ""
