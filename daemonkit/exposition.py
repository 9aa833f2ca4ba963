"""A daemon's page for its operator: `/metrics`, `/healthz` and `/ready`."""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from daemonkit.address import Address
from daemonkit.sockets import AddressUnavailable


class ExpositionPage:
    """An HTTP server with three paths: metrics, liveness, readiness (503 while draining). Metrics want the token if there is one."""

    def __init__(self, address: Address, registry: CollectorRegistry, ready: Callable[[], bool], *, token: str = "") -> None:
        self._address = address
        self._authorization = f"Bearer {token}".encode() if token else b""
        self._registry = registry
        self._ready = ready
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen; raises AddressUnavailable."""
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/ready", self._readiness)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, *self._address).start()
        except OSError as error:
            await self._runner.cleanup()
            raise AddressUnavailable("TCP", self._address, error) from error

    async def stop(self) -> None:
        """Close the listener and its connections."""
        if self._runner:
            await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        # A header's octets need not be UTF-8.
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if self._authorization and not compare_digest(given, self._authorization):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readiness(self, _request: web.Request) -> web.Response:
        if self._ready():
            return web.Response(text="ready\n")
        return web.Response(text="draining\n", status=503)
