"""HTTP requests to customers' backends: guarded, signed, bounded.

What is signed is what is sent: the URL leaves as it was written. Each webhook is signed as in Standard Webhooks (`webhook-id`,
`webhook-timestamp`, `webhook-signature: v1,…` over `id.timestamp.payload`). The payload of a GET is its URL as the server
sees it, since it has no body. Webhooks follow no redirects; downloads do, each through the guard.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import aiohttp
from yarl import URL

from voiceapps.daemon.outbound_failures import sentence
from voiceapps.daemon.outbound_guard import guarded_socket, plain_socket
from voiceapps.daemon.outbound_names import NameResolver
from voiceapps.rules.http.content_coding import decompressed
from voiceapps.rules.http.freshness import fresh_seconds
from voiceapps.rules.http.outbound import OutboundAnswer, OutboundRequest
from voiceapps.rules.http.target import Target, as_http

MAX_RESPONSE_BYTES = 64 * 1024
MAX_URL_LENGTH = 2048
MAX_CONNECTIONS = 500
MAX_DOWNLOADS_PER_HOST = 100
"""Downloads at once from one host; further ones wait, so that not all connections are one customer's."""
MAX_SOCKETS = 2_000
"""WebSockets at once."""
MAX_MESSAGE_BYTES = 1024 * 1024
"""Of a message that comes by a WebSocket; a longer one ends it."""
SOCKET_PING_SECONDS = 20.0
"""How often the far end of a WebSocket is asked whether it is there."""
MAX_REDIRECTS = 5
"""Redirects that a download follows."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
USER_AGENT = "sipuri/1"
_PIECE_BYTES = 64 * 1024
_READ_BYTES = 16 * 1024
"""What a connection may hold unread before it is read no further; besides, it holds what it got at once."""

Keep = Callable[[bytes], Awaitable[None]]
"""Takes the next octets of a download; until it returns, no more are read."""


class TooLargeError(Exception):
    """The answer is longer than allowed."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The answer is longer than {max_bytes} bytes.")


class SocketUnavailable(Exception):
    """A WebSocket that cannot be opened; the text says why in one sentence."""


class TooManyRedirectsError(Exception):
    """A download was sent on and on."""


@dataclass(frozen=True, slots=True)
class _Sending:
    """One request as it goes on the wire."""

    method: str
    target: Target
    headers: dict[str, str]
    data: bytes | None
    max_bytes: int = MAX_RESPONSE_BYTES
    keep: Keep | None = None
    """Where the body of a download goes; that of a redirect or an error is not read."""


@dataclass(slots=True)
class _Progress:
    """How far a request has come."""

    waits_for: str = "answer"
    """What is not there yet: the sentence of a time-out names it."""
    connects: str = ""
    """What is waited for while there is no connection."""
    reused: bool = False
    answered: bool = False

    def begin(self, target: Target) -> None:
        """Take up a request that has no connection yet."""
        secured = "connection with TLS" if target.scheme == "https" else "connection"
        self.connects = self.waits_for = f"{secured} to {target.authority}"
        self.reused = self.answered = False


class WebhookClient:
    """The HTTP client with its pool of connections. Create it on the event loop that uses it."""

    def __init__(self, *, allow_private: bool, signing_key: bytes) -> None:
        self._signing_key = signing_key
        make_socket = plain_socket if allow_private else guarded_socket
        self._names = NameResolver()
        connector = partial(
            aiohttp.TCPConnector, limit=MAX_CONNECTIONS, use_dns_cache=False, socket_factory=make_socket, resolver=self._names
        )
        self._session = _session(connector(), _traced())
        self._downloads = _session(connector(limit_per_host=MAX_DOWNLOADS_PER_HOST), _traced())
        # Every request of this one opens a connection.
        self._fresh = _session(connector(force_close=True), _traced())
        self._sockets = _session(connector(limit=MAX_SOCKETS), _not_redirected())

    async def send(self, request: OutboundRequest) -> OutboundAnswer:
        """Send a webhook and return its answer; never raises."""
        progress = _Progress()
        return await _timed(self._send(request, progress), request.timeout_seconds, progress)

    async def fetch(self, url: str, *, username: str, password: str, timeout_seconds: float, max_bytes: int, keep: Keep) -> OutboundAnswer:
        """Download a file, such as the audio of `<PlayAudio>`, as it was coded; raises only what `keep` raises of its own.

        The answer has no body: `keep` gets it. Credentials stay within the URL's origin.
        """
        progress = _Progress()
        return await _timed(self._download(url, username, password, max_bytes, keep, progress), timeout_seconds, progress)

    async def open_socket(self, url: str, *, username: str, password: str, timeout_seconds: float) -> aiohttp.ClientWebSocketResponse:
        """Connect to a WebSocket and return it; raises SocketUnavailable."""
        progress = _Progress()
        try:
            target = _with_credentials(_parse(as_http(url)), username, password)
            progress.begin(target)
            async with asyncio.timeout(timeout_seconds):
                return await self._sockets.ws_connect(
                    URL.build(scheme=target.scheme, authority=target.authority, path=target.path, encoded=True),
                    headers={"Host": target.authority, **_authorization(target)},
                    heartbeat=SOCKET_PING_SECONDS,
                    autoping=False,
                    max_msg_size=MAX_MESSAGE_BYTES,
                )
        except TimeoutError:
            raise SocketUnavailable(f"No {progress.waits_for} within {timeout_seconds:g} s.") from None
        except aiohttp.WSServerHandshakeError as error:
            raise SocketUnavailable(f"It answered {error.status}.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SocketUnavailable(sentence(error)) from error

    async def close(self) -> None:
        """Close the connections."""
        for session in (self._session, self._downloads, self._fresh, self._sockets):
            await session.close()
        await self._names.close()

    async def _send(self, request: OutboundRequest, progress: _Progress) -> OutboundAnswer:
        target = _with_credentials(_parse(request.url), request.username, request.password)
        headers = {"Accept": "application/xml, */*"}
        if request.method == "POST":
            data = json.dumps(request.body, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        else:
            data, target = None, target.with_query(_flat(request))
        if request.simulated:
            headers["webhook-simulated"] = "true"
        headers |= self._signed(request, str(target).encode() if data is None else data)
        answer, _ = await self._exchange(_Sending(request.method, target, headers, data), progress)
        return answer

    async def _download(self, url: str, username: str, password: str, max_bytes: int, keep: Keep, progress: _Progress) -> OutboundAnswer:
        sending = _Sending("GET", _with_credentials(_parse(url), username, password), {}, None, max_bytes, keep)
        for _ in range(MAX_REDIRECTS + 1):
            answer, location = await self._exchange(sending, progress)
            if answer.status not in REDIRECTS or not location:
                return answer
            sending = replace(sending, target=sending.target.redirected(location))
        raise TooManyRedirectsError(f"It redirected more than {MAX_REDIRECTS} times.")

    async def _exchange(self, sending: _Sending, progress: _Progress) -> tuple[OutboundAnswer, str]:
        """Return the answer and its Location; what dies unanswered on a kept connection is sent once more (RFC 9112 section 9.3.1)."""
        progress.begin(sending.target)
        try:
            return await _ask(self._session if sending.keep is None else self._downloads, sending, progress)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientConnectionResetError) as error:
            if not progress.reused or progress.answered or _answer_began(error):
                raise
        return await _ask(self._fresh, sending, progress)

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


def _answer_began(error: Exception) -> bool:
    """Return whether a part of an answer came before the connection closed."""
    return isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)


async def _ask(session: aiohttp.ClientSession, sending: _Sending, progress: _Progress) -> tuple[OutboundAnswer, str]:
    target, headers = sending.target, {"Host": sending.target.authority, "Accept-Encoding": "identity", **sending.headers}
    headers |= _authorization(target)
    async with session.request(
        sending.method,
        # A URL that is parsed loses an empty query.
        URL.build(scheme=target.scheme, authority=target.authority, path=target.path, encoded=True),
        data=sending.data,
        headers=headers,
        allow_redirects=False,
        trace_request_ctx=progress,
    ) as response:
        progress.answered = True
        location = response.headers.get("Location", "")
        if sending.keep is None:
            body, coding, fresh = await _read(response, sending.max_bytes), "", 0.0
        else:
            body, coding, fresh = b"", response.headers.get("Content-Encoding", ""), _fresh_seconds(response)
            await _pour(response, sending.keep, sending.max_bytes)
        answer = OutboundAnswer(response.status, body, response.content_type, 0, None, response.charset or "", coding, fresh)
        return answer, location


def _fresh_seconds(response: aiohttp.ClientResponse) -> float:
    control, expires, age = (", ".join(response.headers.getall(name, ())) for name in ("Cache-Control", "Expires", "Age"))
    return fresh_seconds(control, expires, age, time.time())


def _traced() -> aiohttp.TraceConfig:
    """Return what keeps a request's progress."""

    async def looks_up(_session: object, context: Any, parameters: aiohttp.TraceDnsResolveHostStartParams) -> None:
        context.trace_request_ctx.waits_for = f"address of {parameters.host}"

    async def connects(_session: object, context: Any, _parameters: object) -> None:
        context.trace_request_ctx.waits_for = context.trace_request_ctx.connects

    async def asks(_session: object, context: Any, _parameters: object) -> None:
        context.trace_request_ctx.waits_for = "answer"

    async def asks_again(_session: object, context: Any, _parameters: object) -> None:
        context.trace_request_ctx.waits_for = "answer"
        context.trace_request_ctx.reused = True

    tracing = aiohttp.TraceConfig()
    tracing.on_dns_resolvehost_start.append(looks_up)
    tracing.on_dns_resolvehost_end.append(connects)
    tracing.on_connection_create_end.append(asks)
    tracing.on_connection_reuseconn.append(asks_again)
    return tracing


def _not_redirected() -> aiohttp.TraceConfig:
    """Return what refuses redirects of handshakes, which aiohttp would follow, with the Host header of the first URL."""

    async def refuses(_session: object, _context: object, parameters: aiohttp.TraceRequestRedirectParams) -> None:
        raise SocketUnavailable(f"It answered {parameters.response.status}.")

    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(refuses)
    return tracing


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    coding = response.headers.get("Content-Encoding", "")
    body = await _read_raw(response, max_bytes)
    if coding:
        body = decompressed(body, coding, max_bytes)
    if len(body) > max_bytes:
        raise TooLargeError(max_bytes)
    return body


async def _read_raw(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            response.close()
            break
    return bytes(body)


async def _pour(response: aiohttp.ClientResponse, keep: Keep, max_bytes: int) -> None:
    """Hand a good answer's body on as it comes."""
    if not 200 <= response.status < 300:
        return
    left = max_bytes
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        left -= len(piece)
        if left < 0:
            response.close()
            raise TooLargeError(max_bytes)
        await keep(piece)


async def _timed(work: Coroutine[Any, Any, OutboundAnswer], timeout_seconds: float, progress: _Progress) -> OutboundAnswer:
    """Return the answer, or the sentence that says why there is none."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(timeout_seconds):
            return replace(await work, latency_ms=_since(began))
    except TimeoutError:
        return OutboundAnswer(None, b"", "", _since(began), f"No {progress.waits_for} within {timeout_seconds:g} s.")
    except (aiohttp.ClientError, OSError, ValueError, TooLargeError, TooManyRedirectsError) as error:
        return OutboundAnswer(None, b"", "", _since(began), sentence(error))


def _session(connector: aiohttp.BaseConnector, tracing: aiohttp.TraceConfig) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=connector,
        read_bufsize=_READ_BYTES,
        trust_env=False,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
        timeout=aiohttp.ClientTimeout(total=None),
        trace_configs=[tracing],
    )
    # aiohttp would repeat a GET also where the connection was new.
    session._retry_connection = False  # noqa: SLF001  # there is no public switch
    return session


def _authorization(target: Target) -> dict[str, str]:
    if not target.username and not target.password:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{target.username}:{target.password}".encode()).decode()}


def _flat(request: OutboundRequest) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in request.body.items()}


def _parse(url: str) -> Target:
    if len(url) > MAX_URL_LENGTH + MAX_RESPONSE_BYTES:
        raise ValueError("The URL is too long.")
    return Target.parse(url)


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _with_credentials(target: Target, username: str, password: str) -> Target:
    """Return the target with the credentials that were given beside its URL, if any."""
    return replace(target, username=username, password=password) if username or password else target
