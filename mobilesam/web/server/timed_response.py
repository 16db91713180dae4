"""A response that a client must read in time."""

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

# What the server holds of each response that is being read, besides the content.
CHUNK_BYTES = 64_000
IDLE_TIMEOUT_S = 5.0  # for one chunk
TOTAL_TIMEOUT_S = 60.0


class TimedResponse(Response):
    """Sends its content in chunks; a client that reads too slowly is disconnected.

    Starlette's response hands all of its content to the server, which holds it until the client
    has read it, forever.
    """

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Sends the response; returns early, without the rest, if it takes too long."""
        headers = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **headers})
        content = bytes(self.body)
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                for start in range(0, len(content), CHUNK_BYTES):
                    chunk = content[start : start + CHUNK_BYTES]
                    async with asyncio.timeout(IDLE_TIMEOUT_S):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            return  # the server closes the connection, as the response is not complete
        await send({"type": "http.response.body", "body": b""})
