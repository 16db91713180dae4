"""Adds elements to the head of the page's HTML.

Those of `gr.Blocks.launch(head=...)` are added by Gradio's scripts once they run, too late for a
browser to load modules and style sheets meanwhile.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobilesam.web.server.request_limits import route_path


class PageHead:
    """ASGI middleware that appends elements to the head of `/`, inside Gradio's compression."""

    def __init__(self, app: ASGIApp, elements: str) -> None:
        self._app = app
        self._elements = elements.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        start: Message = {}

        async def send_with_elements(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start:
                head, end, rest = message.get("body", b"").partition(b"</head>")
                if end:
                    message["body"] = head + self._elements + end + rest
                    headers = MutableHeaders(scope=start)
                    headers["Content-Length"] = str(len(message["body"]))
                    headers["Cache-Control"] = "private, no-cache"  # it has URLs with the Host
                await send(start)
                start = {}
            await send(message)

        is_page = scope["type"] == "http" and route_path(scope) in ("", "/")
        await self._app(scope, receive, send_with_elements if is_page else send)
