"""Fetches a photo whose address a client gave, from the public internet and nowhere else.

Gradio's own fetch reads a file of any size into memory, and asks a public name server about
names that have no public address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from pathlib import Path
from urllib.parse import unquote

import httpx
from gradio.utils import get_upload_folder
from gradio_client.utils import strip_invalid_filename_characters

from mobilesam.errors import ImageError
from mobilesam.settings import MEGA

_TIME_LIMIT_S = 20.0
_MAX_REDIRECTS = 5
_TAKEN_IPV6 = ipaddress.ip_network("2000::/3")
"""Outside it are, among others, prefixes that a gateway translates to any IPv4 address."""

_NOT_PUBLIC = "The photo's address is not on the public internet; upload the photo instead."
_NO_ANSWER = "The photo's address does not answer as it should; upload the photo instead."


async def fetch_photo(url: str, max_bytes: int) -> Path:
    """Downloads a file into the upload folder.

    Args:
        url: http or https.
        max_bytes: size of the file.

    Returns:
        Its path, under a name like that in the address.

    Raises:
        ImageError: the address, or one that it redirects to, is not public; nothing answers in
            time; or the file is too large.
    """
    try:
        name, data = await asyncio.wait_for(_fetch(url, max_bytes), _TIME_LIMIT_S)
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        raise ImageError(_NO_ANSWER) from None
    path = Path(get_upload_folder()) / secrets.token_hex(24) / name
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody could reach, and none that stands for another."""
    ip = ipaddress.ip_address(address)
    if ip.version == 6 and (ip not in _TAKEN_IPV6 or ip.sixtofour or ip.teredo):
        return False
    return ip.is_global and not ip.is_multicast


async def _fetch(url: str, max_bytes: int) -> tuple[str, bytes]:
    """The last part of the address and what lies there."""
    here = httpx.URL(url)
    for _ in range(1 + _MAX_REDIRECTS):
        transport = _Pinned(await _public_address(here))
        # Without trust_env a proxy would be asked, and would resolve the name once more.
        async with (
            httpx.AsyncClient(transport=transport, trust_env=False) as client,
            client.stream("GET", here, headers={"Accept-Encoding": "identity"}) as reply,
        ):
            if reply.has_redirect_location:
                here = here.join(reply.headers["Location"])
                continue
            reply.raise_for_status()
            data = bytearray()
            async for chunk in reply.aiter_raw():
                data += chunk
                if len(data) > max_bytes:
                    raise ImageError(f"The file is larger than {max_bytes / MEGA:g} MB.")
        last = strip_invalid_filename_characters(Path(unquote(here.path)).name)
        return last or "photo", bytes(data)
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


class _Pinned(httpx.AsyncHTTPTransport):
    """Connects to the address that was checked: the name could lead elsewhere when asked again."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host=self._address)
        return await super().handle_async_request(request)
