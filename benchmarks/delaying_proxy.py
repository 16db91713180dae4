"""A network that takes its time: a proxy that hands every byte on after a delay."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class DelayingProxy:
    """Forwards connections to a port of this machine.

    Attributes:
        port: where it listens.
        round_trip_s: what it adds to each request and its answer together; it may be changed.
    """

    def __init__(self, target_port: int) -> None:
        self.round_trip_s = 0.0
        self.port = 0
        self._target_port = target_port

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self._target_port)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):  # the latter at the proxy's end
                await asyncio.gather(self._pump(reader, requests), self._pump(answers, writer))
        finally:
            requests.close()
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hands on what arrives, half of the round trip later, as fast as it arrives."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            data = b"more"
            while data:
                due, data = await pieces.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                writer.write(data)
                await writer.drain()
            writer.close()

        delivering = loop.create_task(deliver())
        data = b"more"
        while data:
            data = await reader.read(65536)
            pieces.put_nowait((loop.time() + self.round_trip_s / 2, data))
        await delivering


@contextmanager
def delaying_proxy(target_port: int) -> Iterator[DelayingProxy]:
    """A running proxy, in a separate thread, because Playwright runs an event loop in this one."""
    proxy, started = DelayingProxy(target_port), threading.Event()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with await proxy.start():
            started.set()
            await stop.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())  # and then cancels the connections that are open

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
