"""HTTP requests to customers' backends: guarded, signed, bounded.

The guard checks the address at the moment of connecting, after DNS, so DNS rebinding, decimal hosts and mapped IPv6 addresses do not
get around it. Redirects are not followed. Each webhook is signed as in Standard Webhooks (`webhook-id`, `webhook-timestamp`,
`webhook-signature: v1,…` over `id.timestamp.payload`). The payload of a GET is its
URL, since it has no body.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import json
import os
import socket
import time
import uuid
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import aiohttp

from voiceapps.rules.outbound import OutboundAnswer, OutboundRequest

MAX_RESPONSE_BYTES = 64 * 1024
MAX_URL_LENGTH = 2048
MAX_CONNECTIONS = 500
USER_AGENT = "sipuri/1"

# IPv6 prefixes that carry an IPv4 address inside: NAT64, 6to4, Teredo.
_TUNNELS = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("2002::/16"), IPv6Network("2001::/32"))


class TooLargeError(Exception):
    """The answer is longer than allowed."""


class WebhookClient:
    """The HTTP client with its pool of connections. Create it on the event loop that uses it."""

    def __init__(self, *, allow_private: bool, signing_key: bytes) -> None:
        self._signing_key = signing_key
        connector = aiohttp.TCPConnector(
            limit=MAX_CONNECTIONS, use_dns_cache=False, socket_factory=_plain_socket if allow_private else _guarded_socket
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
        )

    async def send(self, request: OutboundRequest) -> OutboundAnswer:
        """Send a webhook and return its answer; never raises."""
        url, payload = _encode(request)
        headers = self._signed(request, payload if request.method == "POST" else url.encode()) | {"Accept": "application/xml, */*"}
        if request.method == "POST":
            headers["Content-Type"] = "application/json"
        data = payload if request.method == "POST" else None
        return await self._exchange(request.method, url, headers, data, request, MAX_RESPONSE_BYTES)

    async def fetch(self, url: str, *, username: str, password: str, timeout_seconds: float, max_bytes: int) -> OutboundAnswer:
        """Download a file, such as the audio of `<PlayAudio>`; never raises."""
        request = OutboundRequest(url, "GET", {}, username, password, timeout_seconds)
        return await self._exchange("GET", url, {}, None, request, max_bytes)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _exchange(  # noqa: PLR0913  # one request, all of it
        self, method: str, url: str, headers: dict[str, str], data: bytes | None, request: OutboundRequest, max_bytes: int
    ) -> OutboundAnswer:
        began = time.monotonic()
        headers["Accept-Encoding"] = "identity"
        if request.username or request.password:
            headers["Authorization"] = _basic(request.username, request.password)
        timeout = aiohttp.ClientTimeout(total=request.timeout_seconds)
        try:
            _check_url(url)
            async with self._session.request(method, url, data=data, headers=headers, timeout=timeout, allow_redirects=False) as response:
                body = await _read(response, max_bytes)
                return OutboundAnswer(response.status, body, response.content_type, _since(began), None)
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError, TooLargeError) as error:
            return OutboundAnswer(None, b"", "", _since(began), _sentence(error, request.timeout_seconds))

    def _signed(self, request: OutboundRequest, payload: bytes) -> dict[str, str]:
        message_id = request.message_id or f"msg_{uuid.uuid4().hex}"
        timestamp = str(int(time.time()))
        key = signing_secret(self._signing_key, request.account_id)
        digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + payload, hashlib.sha256).digest()
        signature = base64.b64encode(digest).decode()
        return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}


def signing_secret(installation_key: bytes, account_id: str) -> bytes:
    """Return the account's secret for verifying signatures, which customers see as `whsec_` and base64."""
    return hmac.new(installation_key, f"webhook:{account_id}".encode(), hashlib.sha256).digest()


def is_public(address: str) -> bool:
    """Return whether an IP address is a public unicast address."""
    ip = ip_address(address.split("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if isinstance(ip, IPv4Address):
        return ip.is_global and not ip.is_multicast
    return ip.is_global and not ip.is_multicast and not any(ip in tunnel for tunnel in _TUNNELS)


def _guarded_socket(address_info: tuple[Any, ...]) -> socket.socket:
    address = address_info[4][0]
    if not is_public(address):
        raise OSError(errno.EACCES, f"{address} is not a public address")
    return _plain_socket(address_info)


def _plain_socket(address_info: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, _ = address_info
    return socket.socket(family=family, type=kind, proto=protocol)


def _check_url(url: str) -> None:
    if len(url) > MAX_URL_LENGTH + MAX_RESPONSE_BYTES:
        raise ValueError("The URL is too long.")
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError("Only http and https URLs are allowed.")


def _encode(request: OutboundRequest) -> tuple[str, bytes]:
    if request.method == "POST":
        return request.url, json.dumps(request.body, separators=(",", ":")).encode()
    parts = urlsplit(request.url)
    flat = {name: value if isinstance(value, str) else json.dumps(value) for name, value in request.body.items()}
    query = "&".join(part for part in (parts.query, urlencode(flat)) if part)
    return urlunsplit(parts._replace(query=query)), b""


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            response.close()
            raise TooLargeError(f"The answer is longer than {max_bytes} bytes.")
    return bytes(body)


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _sentence(error: Exception, timeout_seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"No answer within {timeout_seconds:g} s."
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"Cannot connect to {error.host}:{error.port}: {_system_reason(error.os_error)}."
    return str(error) or type(error).__name__


def _system_reason(error: OSError) -> str:
    """Return the system's error text. asyncio adds the address to it; the guard puts its own text into `strerror`."""
    if error.errno is None or error.errno == errno.EACCES:
        return error.strerror or str(error)
    return os.strerror(error.errno)
