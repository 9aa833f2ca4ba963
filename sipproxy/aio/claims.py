"""The nonce counts that this worker cannot grant by itself: another worker, or the store of the fleet, is asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry

from sipproxy.admission.nonces import Claim
from sipproxy.aio.claim_store import ClaimStore
from sipproxy.aio.handover import OnGranted
from sipproxy.core.events import ClaimWanted


class ClaimDesk:
    """The way of claims to who can grant them; `on_answer` gets each question's key with the answer, None where nobody could say."""

    def __init__(
        self,
        url: str,
        *,
        ask_worker: Callable[[Claim, OnGranted], None],
        on_mark: Callable[[bytes | None], None],
        on_answer: Callable[[str, bool | None], None],
        registry: CollectorRegistry,
    ) -> None:
        self._ask_worker = ask_worker
        self._on_answer = on_answer
        self._store = ClaimStore(url, on_mark=on_mark, registry=registry) if url else None

    async def start(self) -> None:
        """Connect to the store, if the fleet has one; it may come later."""
        if self._store:
            await self._store.start()

    async def stop(self) -> None:
        """Give up what waits."""
        if self._store:
            await self._store.stop()

    def ask(self, event: ClaimWanted) -> None:
        """Ask whoever can grant a claim."""
        on_granted = partial(self._on_answer, event.key)
        if event.claim.worker is not None:
            self._ask_worker(event.claim, on_granted)
        elif self._store:
            self._store.ask(event.claim, on_granted)
