"""Downloads photos from URLs that API clients send, from the public internet only.

Gradio's own download reads files of any size into memory, and sends host names that have no public
address to a public name server.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from pathlib import Path
from urllib.parse import unquote

import httpx

from mobilesam.errors import ImageError
from mobilesam.settings import MEGA
from mobilesam.web.server.storage import new_upload_path

_TIMEOUT_S = 20.0
_MAX_REDIRECTS = 5
_GLOBAL_UNICAST_IPV6 = ipaddress.ip_network("2000::/3")
"""Outside are, among others, prefixes that a gateway translates to any IPv4 address."""

_NOT_PUBLIC = "The photo's URL is not on the public internet. Upload the photo instead."
_NO_ANSWER = "The photo cannot be downloaded from its URL. Upload the photo instead."


async def fetch_photo(url: str, max_bytes: int) -> Path:
    """Downloads a file into the upload folder, under the file name in its URL.

    Raises:
        ImageError: the URL or a redirect is not public, the server does not answer in time, or
            the file is too large.
    """
    try:
        name, data = await asyncio.wait_for(_fetch(url, max_bytes), _TIMEOUT_S)
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        raise ImageError(_NO_ANSWER) from None
    path = new_upload_path(name)
    path.write_bytes(data)
    return path


def is_public(address: str) -> bool:
    """Whether an IP address can be reached from anywhere and does not stand for another one."""
    ip = ipaddress.ip_address(address)
    if ip.version == 6 and (ip not in _GLOBAL_UNICAST_IPV6 or ip.sixtofour or ip.teredo):
        return False
    return ip.is_global and not ip.is_multicast


async def _fetch(url: str, max_bytes: int) -> tuple[str, bytes]:
    """The file name in the URL, and the content."""
    current = httpx.URL(url)
    for _ in range(1 + _MAX_REDIRECTS):
        transport = _PinnedTransport(await _public_address(current))
        # With trust_env a proxy would be used, which would resolve the host name again.
        async with (
            httpx.AsyncClient(transport=transport, trust_env=False) as client,
            client.stream("GET", current, headers={"Accept-Encoding": "identity"}) as response,
        ):
            if response.has_redirect_location:
                current = current.join(response.headers["Location"])
                continue
            response.raise_for_status()
            data = bytearray()
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) > max_bytes:
                    raise ImageError(f"The file is larger than {max_bytes / MEGA:g} MB.")
        return unquote(current.path), bytes(data)
    raise ImageError(_NO_ANSWER)


async def _public_address(url: httpx.URL) -> str:
    if url.scheme not in ("http", "https") or not url.host:
        raise ImageError(_NOT_PUBLIC)
    found = await asyncio.get_running_loop().getaddrinfo(
        url.host, url.port or url.scheme, type=socket.SOCK_STREAM
    )
    for *_, address in found:
        if is_public(str(address[0])):
            return str(address[0])
    raise ImageError(_NOT_PUBLIC)


class _PinnedTransport(httpx.AsyncHTTPTransport):
    """Connects to the checked address: the host name could resolve to another one next time."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host=self._address)
        return await super().handle_async_request(request)
