"""Downloads photos from URLs that API clients send, from the public internet only.

Gradio's own download reads files of any size into memory, and sends host names that have no public
address to a public name server.
"""

import asyncio
import ipaddress
import socket
from pathlib import Path
from urllib.parse import unquote

import httpx

from mobilesam.errors import ImageError
from mobilesam.export.names import photo_file_name, safe_file_name
from mobilesam.settings import MEGA
from mobilesam.web.server.storage import new_file, upload_folder

_TIMEOUT_S = 20.0
_GLOBAL_UNICAST_IPV6 = ipaddress.ip_network("2000::/3")
"""Outside are, among others, prefixes that a gateway translates to any IPv4 address."""

_NOT_PUBLIC = "The photo's URL is not on the public internet. Upload the photo instead."
_NO_ANSWER = "The photo cannot be downloaded from its URL. Upload the photo instead."


def fetch_photo(url: str, max_bytes: int) -> Path:
    """Downloads a file into the upload folder, under the file name in its URL.

    Raises:
        ImageError: the URL or a redirect is not public, the server does not answer in time, or
            the file is too large.
    """
    try:  # asyncio limits the total time, which httpx does not
        name, data = asyncio.run(asyncio.wait_for(_fetch(url, max_bytes), _TIMEOUT_S))
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        raise ImageError(_NO_ANSWER) from None
    return new_file(upload_folder(), safe_file_name(photo_file_name(name or "photo"), ""), data)


def is_public(address: str) -> bool:
    """Whether an IP address can be reached from anywhere and does not stand for another one."""
    ip = ipaddress.ip_address(address)
    if ip.version == 6 and (ip not in _GLOBAL_UNICAST_IPV6 or ip.sixtofour or ip.teredo):
        return False
    return ip.is_global and not ip.is_multicast


async def _fetch(url: str, max_bytes: int) -> tuple[str, bytes]:
    """The file name in the URL, and the content."""
    async with (
        # With trust_env a proxy would be used, which would resolve the host name again.
        httpx.AsyncClient(
            transport=_PublicTransport(), trust_env=False, follow_redirects=True, max_redirects=5
        ) as client,
        client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response,
    ):
        response.raise_for_status()
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > max_bytes:
                raise ImageError(f"The file is larger than {max_bytes / MEGA:g} MB.")
        return Path(unquote(response.url.path)).name, bytes(data)


class _PublicTransport(httpx.AsyncHTTPTransport):
    """Checks the address of every request, redirected ones too, and connects to just that address.

    The host name could resolve to another address the next time.
    """

    def __init__(self) -> None:
        # A kept connection could be used for another host with the same address.
        super().__init__(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if url.scheme not in ("http", "https") or not url.host:
            raise ImageError(_NOT_PUBLIC)
        found = await asyncio.get_running_loop().getaddrinfo(
            url.host, url.port or url.scheme, type=socket.SOCK_STREAM
        )
        addresses = [str(address[0]) for *_, address in found if is_public(str(address[0]))]
        if not addresses:
            raise ImageError(_NOT_PUBLIC)
        pinned = httpx.Request(
            request.method,
            url.copy_with(host=addresses[0]),
            headers=request.headers,
            extensions={**request.extensions, "sni_hostname": url.host},
        )
        return await super().handle_async_request(pinned)
