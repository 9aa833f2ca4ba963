"""The life of one daemon, from its start to its drained end.

The first SIGTERM or SIGINT drains: new work is refused, `/ready` answers 503, work in progress goes on until none is left or the
deadline has come. The second signal stops at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry

from daemonkit.address import Address
from daemonkit.exposition import ExpositionPage
from daemonkit.rounds import FAILED_ROUNDS

IDLE_POLL_SECONDS = 0.05
# Reference counting frees nearly all objects of a message before the collector runs: it need not run every 700 objects.
YOUNG_OBJECTS = 20_000
_NUMBERS = signal.SIGTERM, signal.SIGINT

log = structlog.get_logger(__name__)


class Service(Protocol):
    """What a daemon offers to its runner."""

    async def start(self) -> None:
        """Open the sockets and start the tasks; raises CannotStart."""

    def ready(self) -> bool:
        """Return whether new work is welcome."""

    def drain(self) -> None:
        """Refuse new work; work in progress goes on."""

    def idle(self) -> bool:
        """Return whether nothing is in progress any more."""

    async def stop(self) -> None:
        """Close everything."""


def run(
    service: Service, *, metrics: Address | None, registry: CollectorRegistry, metrics_token: str = "", drain_seconds: float = 30.0
) -> int:
    """Serve until a signal ends it. Returns the exit code of the process; raises CannotStart."""
    _use_all_descriptors()
    registry.register(FAILED_ROUNDS)
    page = ExpositionPage(metrics, registry, service.ready, token=metrics_token) if metrics else None
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(service, page, drain_seconds))


async def _serve(service: Service, page: ExpositionPage | None, drain_seconds: float) -> int:
    signals = _Signals()
    await service.start()
    # The objects that exist now live to the end: the collector need not traverse Django's again and again.
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    try:
        if page:
            await page.start()
        log.info("ready", service=type(service).__name__)
        await signals.first.wait()
        log.info("draining", seconds=drain_seconds)
        service.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_seconds):
                await _idle_or_second_signal(service, signals)
    finally:
        await service.stop()
        if page:
            await page.stop()
    log.info("stopped")
    signals.ignore()
    return 0


async def _idle_or_second_signal(service: Service, signals: _Signals) -> None:
    while not service.idle() and not signals.second.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(signals.second.wait(), IDLE_POLL_SECONDS)


def _use_all_descriptors() -> None:
    """Raise the limit of open files to the hard limit: each media port and each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Signals:
    """SIGTERM and SIGINT as two events: the first drains, the second stops."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        for number in _NUMBERS:
            self._loop.add_signal_handler(number, self._on_signal)

    def ignore(self) -> None:
        """Let no further signal change the exit code: there is nothing left to stop, and a closed loop would leave signals to Python."""
        for number in _NUMBERS:
            self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)

    def _on_signal(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  # the extra `fast` is optional
    except ImportError:
        return None
    loop: type[asyncio.AbstractEventLoop] = uvloop.Loop
    return loop
