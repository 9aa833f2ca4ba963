"""The store in which all proxies of a fleet claim nonce counts: Redis.

A claim is a key that is set only where it is not there, and is kept until no proxy would take its nonce for fresh. The store has a
mark, which stands in each nonce that is claimed here. It is lost together with the claims, so what was issued before is then stale,
and a captured request cannot be used again. Redis must not evict keys (`maxmemory-policy noeviction`, its default).
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable

import structlog
from prometheus_client import CollectorRegistry, Gauge
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from daemonkit.rounds import Rounds
from sipproxy.admission.limits import CLAIM_KEPT_SECONDS
from sipproxy.admission.nonces import MARK_BYTES, Claim
from sipproxy.aio.limits import MAX_CLAIMS_ASKED

MARK_KEY = "sipuri:nonces:mark"
CLAIM_KEY = "sipuri:nonces:{}:{}"
REFRESH_SECONDS = 1.0
TIMEOUT_SECONDS = 0.5

OnGranted = Callable[[bool | None], None]

log = structlog.get_logger(__name__)


class ClaimStore:
    """The claims of the fleet; `on_mark` gets the store's mark whenever it changes, None when the store is away."""

    def __init__(self, url: str, *, on_mark: Callable[[bytes | None], None], registry: CollectorRegistry) -> None:
        self._redis = Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0)
        )
        self._on_mark = on_mark
        self._mark: bytes | None = None
        self._claims: set[asyncio.Task[None]] = set()
        self._rounds = Rounds("nonce_mark", self._refresh, lambda: REFRESH_SECONDS)
        shared = Gauge("sipuri_sip_nonces_shared", "Whether nonces are good at every proxy of the fleet", registry=registry)
        shared.set_function(lambda: self._mark is not None)

    async def start(self) -> None:
        """Read the mark once, then start the task that reads it again and again."""
        await self._refresh()
        self._rounds.start(with_pause=True)

    async def stop(self) -> None:
        """Give up what waits and close the connections."""
        self._rounds.stop()
        for task in self._claims:
            task.cancel()
        await self._redis.aclose()

    def ask(self, claim: Claim, on_granted: OnGranted) -> None:
        """Claim a count in the store; None where the store does not answer."""
        if len(self._claims) >= MAX_CLAIMS_ASKED:
            on_granted(None)
            return
        task = asyncio.create_task(self._claim(claim, on_granted))
        self._claims.add(task)
        task.add_done_callback(self._claims.discard)

    async def _claim(self, claim: Claim, on_granted: OnGranted) -> None:
        key = CLAIM_KEY.format(claim.nonce, claim.count)
        use = hashlib.blake2s("\n".join(claim.use).encode("utf-8", "surrogateescape")).hexdigest().encode()
        mark = self._mark
        try:
            pipe = self._redis.pipeline(transaction=True)
            pipe.set(key, use, nx=True, ex=int(CLAIM_KEPT_SECONDS))
            pipe.get(key)
            pipe.get(MARK_KEY)
            _, holder, found = await pipe.execute()
        except (RedisError, OSError) as error:
            self._lose(error)
            on_granted(None)
            return
        on_granted(holder == use and mark is not None and found == mark.hex().encode())

    async def _refresh(self) -> None:
        try:
            pipe = self._redis.pipeline(transaction=True)
            pipe.set(MARK_KEY, secrets.token_hex(MARK_BYTES), nx=True)
            pipe.get(MARK_KEY)
            _, found = await pipe.execute()
            self._take(bytes.fromhex(found.decode()))
        except (RedisError, OSError, ValueError) as error:
            self._lose(error)

    def _take(self, mark: bytes) -> None:
        if len(mark) != MARK_BYTES:
            raise ValueError("The mark of the nonces in Redis is not ours.")
        if mark != self._mark:
            log.info("nonces_shared")
            self._mark = mark
            self._on_mark(mark)

    def _lose(self, error: Exception) -> None:
        if self._mark is not None or not self._rounds.is_running:
            log.warning("nonces_not_shared", error=type(error).__name__)
        if self._mark is not None:
            self._mark = None
            self._on_mark(None)
