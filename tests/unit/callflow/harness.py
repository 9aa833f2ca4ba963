"""A call flow on the loopback with all it needs: a stand-in for the proxy, a customer's backend and a phone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from prometheus_client import CollectorRegistry

from callflow.aio.phone import Phone, PhoneCall
from callflow.aio.server import CallflowServer
from callflow.bxml import Webhook
from callflow.config import Application, CallflowConfig
from daemonkit.address import Address
from daemonkit.udp import UdpEndpoint
from tests.unit.user_agent.link import KEY, sealed
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.rules.reports import Report

T = TypeVar("T")
URI = "sip:app-1@sip.example.com"


class Shim:
    """A stand-in for the proxy: adds the private headers to INVITEs and carries datagrams both ways."""

    def __init__(self, callflow: Address) -> None:
        self._callflow = callflow
        self._phone: Address | None = None
        self._endpoint = UdpEndpoint(("127.0.0.1", 0), self._on_datagram)
        self._endpoint.open()
        self.local = self._endpoint.local
        self.silent = False
        self.lost_acks = 0
        """How many of the next ACKs are lost."""
        self.acknowledged_at = 0.0

    def close(self) -> None:
        self._endpoint.close()

    def _on_datagram(self, data: bytes, source: Address) -> None:
        if source == self._callflow:
            if self._phone and not self.silent:
                self._endpoint.send(data, self._phone)
            return
        self._phone = source
        if data.startswith(b"ACK"):
            self.acknowledged_at = time.time()
            self.lost_acks -= 1
            if self.lost_acks >= 0:
                return
        if data.startswith(b"INVITE"):
            data = sealed(data, node=self._callflow, wall=time.time())
        self._endpoint.send(data, self._callflow)


class Backend:
    """A customer's HTTP server: answers webhooks with documents, and serves `tone.wav`."""

    def __init__(self, folder: Path) -> None:
        self.documents: dict[str, str] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._folder = folder

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Run the server and yield the base of its URLs."""
        application = web.Application()
        application.router.add_get("/tone.wav", self._serve_tone)
        application.router.add_get("/{name}", self._answer_webhook)
        application.router.add_post("/{name}", self._answer_webhook)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _answer_webhook(self, request: web.Request) -> web.Response:
        self.requests.append((request.path, await request.json() if request.method == "POST" else dict(request.query)))
        text = self.documents.get(request.path)
        return web.Response(status=404) if text is None else web.Response(text=text, content_type="application/xml")

    async def _serve_tone(self, _: web.Request) -> web.Response:
        return web.Response(body=(self._folder / "tone.wav").read_bytes(), content_type="audio/wav")


@dataclass
class CallflowHarness:
    """Everything that one test's calls need."""

    server: CallflowServer
    phone: Phone
    shim: Shim
    config: CallflowConfig
    backend: Backend
    registry: CollectorRegistry
    base: str
    """Of the backend's URLs."""
    records: list[Report] = field(default_factory=list)

    @property
    def documents(self) -> dict[str, str]:
        """What the backend answers, by path."""
        return self.backend.documents

    async def call(self) -> PhoneCall:
        return await self.phone.call(URI, username="", password="", timeout=10)

    async def idle(self) -> None:
        async with asyncio.timeout(10):
            while not self.server.idle():
                await asyncio.sleep(0.01)

    def record(self, kind: type[T]) -> T:
        (found,) = [record for record in self.records if isinstance(record, kind)]
        return found

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"sipuri_callflow_{name}")

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for seen, body in self.backend.requests if seen == path]


def config_in(folder: Path) -> CallflowConfig:
    return CallflowConfig(
        name="callflow-1",
        bind=("127.0.0.1", 0),
        media_address="127.0.0.1",
        public_url="https://voice.example.com",
        recordings_dir=str(folder / "recordings"),
        prompts_dir=str(folder / "prompts"),
        invite_keys=(KEY,),
        spool_dir=str(folder),
    )


@asynccontextmanager
async def running_callflow(
    folder: Path, *, media_timeout: float = 30.0, mask_digits: bool = False, **options: Any
) -> AsyncIterator[CallflowHarness]:
    """Run a call flow whose one application is `app-1`; `options` change its configuration."""
    backend, records, registry = Backend(folder), list[Report](), CollectorRegistry()
    config = replace(config_in(folder), **options)
    async with backend.serve() as base:
        application = Application(Webhook(f"{base}/start"), 5.0, media_timeout, 25.0, mask_digits)
        server = new_server(config, application, records, registry)
        await server.start()
        shim = Shim(server.address)
        phone = Phone(proxy=shim.local)
        await phone.open()
        try:
            yield CallflowHarness(server, phone, shim, config, backend, registry, base, records)
        finally:
            await phone.close()
            await server.stop()
            shim.close()


def new_server(config: CallflowConfig, application: Application, records: list[Report], registry: CollectorRegistry) -> CallflowServer:
    async def find(application_id: str) -> Application | None:
        return application if application_id == "app-1" else None

    return CallflowServer(
        config,
        find_application=find,
        new_client=lambda: WebhookClient(allow_private=True, signing_key=b"k" * 32),
        put_record=records.append,
        registry=registry,
    )
