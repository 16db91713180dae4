"""A real Redis server for tests, and a proxy before it that breaks in chosen ways."""

import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress

import pytest
import redis

from tests.serving import free_port

START_S = 20
NEEDS_REDIS = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="needs redis-server (apt-get install redis-server)"
)


class RedisServer:
    """redis-server on a free port, without a file on the disk.

    Attributes:
        url: for MOBILESAM_CACHE_URL.
        client: for what a test wants to look at or to change.
    """

    def __init__(self):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis(port=self.port, protocol=2)
        self._process = None

    def start(self):
        options = ["--port", str(self.port), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", *options], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert time.monotonic() < deadline, "redis-server does not answer."
            time.sleep(0.02)

    def stop(self):
        if self._process:
            self.client.close()
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self):
        with suppress(redis.ConnectionError):
            return self.client.ping()
        return False


class TcpServer:
    """Serves each connection in a separate thread by `_serve(client)`, which a subclass defines."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()


class Proxy(TcpServer):
    """Passes TCP connections on to a server on this machine, with a fault.

    Attributes:
        fault: None; "slow": every reply comes 5 s late; "close": connections are closed when a
            command arrives; "trickle": replies come one byte at a time; "garbage": they are none.
    """

    def __init__(self, port):
        self.fault = None
        self._target = "127.0.0.1", port
        self._ended = threading.Event()
        super().__init__()

    def close(self):
        self._ended.set()
        super().close()

    def _serve(self, client):
        """Passes on in both directions, until either side ends."""
        with suppress(OSError), client, socket.create_connection(self._target) as server:
            threading.Thread(target=self._reply, args=(server, client), daemon=True).start()
            while data := client.recv(1 << 16):
                if self.fault == "close":
                    break
                server.sendall(data)
            # A blocked `recv` in the other thread only returns after a shutdown.
            for end in (client, server):
                end.shutdown(socket.SHUT_RDWR)

    def _reply(self, server, client):
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if self.fault == "slow":
                    self._ended.wait(5)
                elif self.fault == "garbage":
                    data = b"\x00 nonsense\r\n:not a number\r\n"
                elif self.fault == "trickle":
                    for byte in data:
                        client.sendall(bytes([byte]))
                        if self._ended.wait(0.1):
                            return
                    continue
                client.sendall(data)


@contextmanager
def running_redis():
    """A running server, stopped at the end."""
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def proxied(server):
    """A proxy before a server, closed at the end."""
    proxy = Proxy(server.port)
    try:
        yield proxy
    finally:
        proxy.close()


def until(condition, within_s=10):
    """Waits until a condition is true, and fails if it does not become so in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "This did not become true in time."
        time.sleep(0.01)
