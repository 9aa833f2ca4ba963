"""The call flow's server: one SIP socket, and a shell for each call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine

import structlog
from prometheus_client import CollectorRegistry

from callflow.aio.call import CallShell
from callflow.aio.media_clock import MediaClock
from callflow.aio.metrics import CallflowMetrics
from callflow.aio.recognition.recogniser import find_recogniser
from callflow.aio.recordings.recorder import RecorderPool
from callflow.aio.services import FindApplication, Services, SipSide
from callflow.aio.sip_endpoint import SipEndpoint
from callflow.aio.sounds.espeak import Espeak
from callflow.aio.sounds.fetcher import SoundFetcher
from callflow.aio.sounds.piper import find_piper
from callflow.aio.sounds.speech import Speaker
from callflow.aio.sounds.spool import Spool
from callflow.config import CallflowConfig
from callflow.engine.orders import Order
from callflow.sip.events import AgentEvent, CallArrived, StrangerRefused
from daemonkit.address import Address
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.rules.call_orders import Outcome
from voiceapps.rules.reports import Report

log = structlog.get_logger(__name__)

STOP_SECONDS = 2.0
"""How long the tasks of calls may still run when the daemon stops."""


class CallflowServer:
    """The calls of one daemon."""

    def __init__(
        self,
        config: CallflowConfig,
        *,
        find_application: FindApplication,
        new_client: Callable[[], WebhookClient],
        put_record: Callable[[Report], None],
        registry: CollectorRegistry,
    ) -> None:
        self._config = config
        self._draining = False
        self._find_application = find_application
        self._metrics = CallflowMetrics(registry)
        self._new_client = new_client
        self._put_record = put_record
        self._services: Services | None = None
        self._shells: dict[int, CallShell] = {}
        self._sip_endpoint = SipEndpoint(config.bind, self._on_event)
        self._tasks: set[asyncio.Task[None]] = set()
        self._metrics.observe("calls", "Calls in progress", lambda: len(self._shells))

    @property
    def address(self) -> Address:
        """Where the proxy reaches us."""
        return self._sip_endpoint.local

    @property
    def load(self) -> int:
        """The number of calls in progress."""
        return len(self._shells)

    async def start(self) -> None:
        """Open the socket; raises AddressUnavailable."""
        self._sip_endpoint.open(
            session_expires=self._config.session_expires,
            max_calls=self._config.max_calls,
            invite_keys=self._config.invite_keys,
        )
        agent = self._sip_endpoint.agent
        self._metrics.observe("dialogs", "SIP calls that the user agent holds", lambda: len(agent))
        self._metrics.observe("transactions", "SIP transactions that are open", lambda: len(agent.layer))
        self._metrics.count_refused(agent.gate.refused)
        self._services = self._make_services(self._new_client())
        self._spawn(self._services.speaker.warm())
        if self._services.recogniser is not None:
            self._services.recogniser.keep_warm()

    def ready(self) -> bool:
        """Return whether new calls are accepted."""
        return self._services is not None and not self._draining

    def drain(self) -> None:
        """Refuse new calls."""
        self._draining = True
        self._sip_endpoint.agent.accepting = False

    def resume(self) -> None:
        """Accept new calls again."""
        self._draining = False
        self._sip_endpoint.agent.accepting = True

    def idle(self) -> bool:
        """Return whether no call and no task is left."""
        return not self._shells and not self._tasks and len(self._sip_endpoint.agent) == 0

    # What the API orders of one call.

    def obey(self, call_id: str, order: Order) -> Outcome:
        """Have a call leave its document, or end."""
        return self._order(call_id, lambda shell: shell.obey(order))

    def set_recording(self, call_id: str, *, on: bool) -> Outcome:
        """Pause or resume what is being recorded."""
        return self._order(call_id, lambda shell: shell.set_recording(on=on))

    def _order(self, call_id: str, carry_out: Callable[[CallShell], Outcome]) -> Outcome:
        shell = next((shell for shell in self._shells.values() if shell.call_id == call_id), None)
        return Outcome.OVER if shell is None else carry_out(shell)

    async def stop(self) -> None:
        """Hang up all calls, give their tasks time to end, and close everything."""
        if self._services is None:
            return
        self.drain()
        for shell in list(self._shells.values()):
            shell.shut_down()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._services.sounds.close()
        await self._services.speaker.close()
        if self._services.recogniser is not None:
            await self._services.recogniser.close()
        await self._services.recorders.close()
        await self._services.client.close()
        self._sip_endpoint.close()

    def _make_services(self, client: WebhookClient) -> Services:
        spool = Spool(self._config.spool_dir)
        self._metrics.observe("sound_memory_octets", "Octets of sounds in memory", lambda: spool.memory.held)
        self._metrics.observe("sound_disk_octets", "Octets of sounds on the disk", lambda: spool.disk.held)
        recogniser = find_recogniser() if self._config.recognition else None
        self._metrics.observe("listening", "Callers that the recogniser listens to", lambda: 0 if recogniser is None else len(recogniser))
        return Services(
            config=self._config,
            clock=MediaClock(),
            client=client,
            find_application=self._find_application,
            metrics=self._metrics,
            put_record=self._put_record,
            recogniser=recogniser,
            recorders=RecorderPool(),
            sounds=SoundFetcher(client, spool),
            speaker=Speaker(self._config.prompts_dir, Espeak(spool), find_piper(spool) if self._config.natural_voices else None),
            spawn=self._spawn,
        )

    def _on_arrival(self, event: CallArrived, services: Services) -> None:
        shell = CallShell(event, services, self._sip_side(event.call), lambda: self._forget(event.call))
        self._shells[event.call] = shell
        shell.handle(event)

    def _on_event(self, event: AgentEvent) -> None:
        if isinstance(event, StrangerRefused):
            log.warning("invite_refused", source=event.source[0], reason=event.fault.value, refused=event.count)
            return
        if isinstance(event, CallArrived) and self._services:
            self._on_arrival(event, self._services)
            return
        shell = self._shells.get(event.call)
        if shell:
            shell.handle(event)

    def _forget(self, call: int) -> None:
        self._shells.pop(call, None)

    def _sip_side(self, call: int) -> SipSide:
        agent, pump = self._sip_endpoint.agent, self._sip_endpoint.pump

        def ring(address: Address) -> None:
            agent.ring(call, address, time.monotonic())
            pump()

        def progress(address: Address) -> None:
            agent.progress(call, address, time.monotonic())
            pump()

        def answer(address: Address, keepalive: float) -> None:
            agent.answer(call, address, time.monotonic(), keepalive)
            pump()

        def probe() -> None:
            agent.probe(call, time.monotonic())
            pump()

        def refer(number: int, target: str) -> None:
            agent.refer(call, number, target, time.monotonic())
            pump()

        def hang_up(status: int) -> None:
            agent.hang_up(call, time.monotonic(), status)
            pump()

        return SipSide(ring, progress, answer, probe, refer, hang_up)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
