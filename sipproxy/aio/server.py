"""The shell around the proxy core: its listeners, one timer, and the services that the core asks for."""

from __future__ import annotations

import os
import secrets
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from daemonkit.address import Address
from daemonkit.alarm import Alarm
from daemonkit.presence import Presence, PresenceClock
from sipproxy.admission.bans import BanChange
from sipproxy.admission.nonces import Claim
from sipproxy.aio.claims import ClaimDesk
from sipproxy.aio.hep import HepExporter
from sipproxy.aio.intake import Intake
from sipproxy.aio.listeners import Listeners
from sipproxy.aio.metrics import ProxyMetrics
from sipproxy.aio.relay_client import RelayClient
from sipproxy.config import SipProxyConfig
from sipproxy.core.events import (
    BansChanged,
    ClaimWanted,
    DirectoryWanted,
    InviteChallenged,
    InviteRefused,
    MessageSeen,
    NodeChosen,
    OfferStands,
    ProxyEvent,
    RelayWanted,
    ReportMade,
    RequestSeen,
    ResponseSent,
)
from sipproxy.core.proxy import ProxyCore
from sipproxy.core.shared import CoreHooks
from sipproxy.transactions.listener import Listener, Side
from sipproxy.transactions.tables import T1
from voiceapps.rules.admission import AdmissionSnapshot
from voiceapps.rules.reports import CallAdmitted, CallEnded, Report, SourceBanned

Snapshots = Mapping[str, AdmissionSnapshot]
LOGGED_OCTETS = 2_048
AskDirectory = Callable[[Sequence[str], Callable[[Snapshots | None], None]], None]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the proxy asks of others, and whom it tells what it has done."""

    ask_directory: AskDirectory
    """Has a function called with the applications of users, or with None."""
    country_of: Callable[[str], str | None]
    is_trusted: Callable[[str], bool]
    """Whether a source address is neither limited nor banned."""
    on_record: Callable[[Report], None]
    on_refusal: Callable[[InviteRefused], None]
    on_node: Callable[[NodeChosen], None]
    on_bans: Callable[[BanChange], None]


class ProxyServer:
    """The core with its sockets: it is fed, its messages and events are taken, its timer is armed."""

    def __init__(self, config: SipProxyConfig, around: Surroundings, *, registry: CollectorRegistry) -> None:
        self._around = around
        self._epoch = time.time() - time.monotonic()
        self._relays = RelayClient(config.media_relays, bind_host=config.internal.bind[0], registry=registry)
        self._exporter = HepExporter(config.hep, registry) if config.hep else None
        self._listeners = Listeners(
            config,
            on_message=self._on_message,
            on_lost=self._on_lost,
            is_trusted=around.is_trusted,
            is_banned=self._is_banned,
            on_claim=self._on_claim,
        )
        self._presence = PresenceClock()
        hooks = _hooks(around, self._relays, self._listeners, self._presence, wall=lambda at: at + self._epoch)
        self._core = ProxyCore(config, hooks)
        self._claims = ClaimDesk(
            config.claims_url,
            ask_worker=self._listeners.ask_worker,
            on_mark=self._core.share_nonces,
            on_answer=self._on_granted,
            registry=registry,
        )
        self._intake = Intake(handle=self._take, is_known=self._is_known, on_full=self._on_crowded)
        self._alarm = Alarm(self._on_alarm)
        self._draining = False
        self._has_nodes = bool(config.callflow_targets)
        self._metrics = ProxyMetrics(self._core, self._listeners, registry)
        # Bound once: if debug lines are off, each costs one call that does nothing.
        self._debug = log.bind().debug
        self._handlers = self._event_handlers()

    async def start(self, sockets: Mapping[str, socket.socket]) -> None:
        """Open the listeners, or take their sockets by name; raises AddressUnavailable."""
        if self._exporter:
            await self._exporter.start()
        await self._claims.start()
        self._presence.start()
        self._listeners.start(sockets)
        self._relays.start()

    async def stop(self) -> None:
        """Close everything."""
        self._core.settle()
        self._pump()
        await self._claims.stop()
        self._alarm.stop()
        self._presence.stop()
        self._relays.stop()
        self._listeners.stop()
        if self._exporter:
            self._exporter.stop()

    def reload(self) -> None:
        """Read the certificate again."""
        self._listeners.reload()

    def ready(self) -> bool:
        """Return whether new calls can be served: a relay and a call-flow node live, and the proxy does not drain."""
        return not self._draining and self._has_nodes and self._relays.ready()

    def drain(self) -> None:
        """Refuse new calls."""
        self._draining = True
        self._core.set_draining(True)

    def resume(self) -> None:
        """Take new calls again."""
        self._draining = False
        self._core.set_draining(False)

    def idle(self) -> bool:
        """Return whether no call is left."""
        return self._core.load.calls == 0

    @property
    def call_count(self) -> int:
        """The calls that are up or on their way."""
        return self._core.load.calls

    def replace_nodes(self, up: tuple[Address, ...], known: tuple[Address, ...]) -> None:
        """Take the call-flow nodes: those that take calls, and all that live."""
        self._has_nodes = bool(up)
        self._core.replace_nodes(up, known)

    def replace_proxies(self, _up: tuple[Address, ...], known: tuple[Address, ...]) -> None:
        """Take the proxies of the fleet that live."""
        self._core.replace_proxies(known)

    def settled_calls(self) -> tuple[str, ...]:
        """Return the calls whose end the database would know."""
        return self._core.settled_calls(self._now())

    def forget_calls(self, call_ids: Iterable[str]) -> None:
        """Forget calls that ended elsewhere."""
        self._core.forget_calls(call_ids)
        self._pump()

    def replace_bans(self, bans: Sequence[SourceBanned]) -> None:
        """Take the bans of the whole fleet."""
        self._feed("bans", lambda now: self._core.replace_bans(bans, now))

    def _is_banned(self, source_ip: str) -> bool:
        return self._core.is_banned(source_ip, time.monotonic())

    def _on_message(self, listener: Listener, data: bytes, address: Address) -> None:
        # A response that another worker handed over has our own address as its source.
        if listener.side is Side.INTERNAL or listener.transport.is_stream or address == listener.address:
            self._take(listener, data, address)
        elif not self._core.drops_unread(data, address, time.monotonic()):
            self._intake.put(listener, data, address, self._core.gate_revision)
        elif self._core.has_events:
            self._pump()

    def _on_crowded(self, source_ip: str) -> None:
        self._core.count_crowded(source_ip, time.monotonic())

    def _is_known(self, source_ip: str) -> bool:
        return self._core.is_known(source_ip, time.monotonic())

    def _take(self, listener: Listener, data: bytes, address: Address, passed_at: int | None = None) -> None:
        if not self._feed("message", lambda now: self._core.receive_datagram(listener, data, address, now, passed_at=passed_at)):
            log.error("message_answered_with_500", listener=listener.name, source=address, data=data[:LOGGED_OCTETS])
            self._core.answer_failure(listener, data, address)
            self._pump()

    def _on_lost(self, listener: Listener, address: Address) -> None:
        self._feed("connection", lambda now: self._core.connection_failed(listener, address, now))

    def _on_alarm(self, now: float) -> None:
        # The loop may fire a little early: the core must not see a time before its own deadline.
        self._feed("timer", lambda at: self._core.handle_timer(max(at, now)))

    def _feed(self, what: str, step: Callable[[float], None]) -> bool:
        """Give the core one input; False if it failed on it: a fault of ours must not cost other calls."""
        try:
            step(self._now())
        except Exception:
            self._metrics.failed(what)
            log.exception("input_failed", input=what)
            return False
        finally:
            self._pump()
        return True

    def _now(self) -> float:
        # All records of one input have the same clock, and a change of the wall clock is followed.
        now = time.monotonic()
        self._epoch = time.time() - now
        return now

    def _pump(self) -> None:
        while (event := self._core.next_event()) is not None:
            self._handlers[type(event)](event)
        for datagram in self._core.datagrams_to_send():
            self._listeners.send(datagram.listener, datagram.data, datagram.address)
        self._arm()

    def _arm(self) -> None:
        due = self._alarm.when
        # Nearly all timers are set for T1 or later. If the alarm comes sooner, it asks the core again, so this message need not.
        if due is None or due > time.monotonic() + T1:
            self._alarm.set_no_later(self._core.get_timer())

    # Events of the core.

    def _event_handlers(self) -> Mapping[type[ProxyEvent], Callable[[Any], None]]:
        return {
            BansChanged: self._on_bans_changed,
            ClaimWanted: self._claims.ask,
            DirectoryWanted: self._on_directory_wanted,
            InviteChallenged: self._on_challenged,
            InviteRefused: self._on_refused,
            MessageSeen: self._on_message_seen,
            NodeChosen: self._on_node_chosen,
            OfferStands: self._on_offer_stands,
            RelayWanted: self._on_relay_wanted,
            ReportMade: self._on_report,
            RequestSeen: self._metrics.count,
            ResponseSent: self._metrics.count,
        }

    def _on_report(self, event: ReportMade) -> None:
        record = event.record
        if isinstance(record, CallAdmitted):
            call = record.call
            self._listeners.welcome((call.source_ip, call.source_port))
            self._debug("call_admitted", call_id=call.call_id, application_id=call.application_id, source=call.source_ip)
        elif isinstance(record, CallEnded):
            self._debug("call_ended", call_id=record.call.call_id, reason=record.reason.value, status=record.sip_status)
        self._around.on_record(record)

    def _on_message_seen(self, event: MessageSeen) -> None:
        if self._exporter:
            self._exporter.send(event)

    def _on_directory_wanted(self, event: DirectoryWanted) -> None:
        self._around.ask_directory(event.users, partial(self._on_directory, event.key))

    def _on_relay_wanted(self, event: RelayWanted) -> None:
        self._debug("relay_asked", call_id=event.command["call-id"], relay=event.relay, command=event.command["command"])
        # Without a key nobody waits for the answer, as for the statistics in the answer to a delete.
        self._relays.send(event.relay, event.command, partial(self._on_relay, event.key) if event.key else None)

    def _on_challenged(self, event: InviteChallenged) -> None:
        self._debug("invite_challenged", source=event.source_ip, sip_call_id=event.sip_call_id)

    def _on_refused(self, event: InviteRefused) -> None:
        self._debug("invite_refused", reason=event.reason.value, status=event.status, source=event.source_ip, sip_call_id=event.sip_call_id)
        self._metrics.refused(event)
        self._around.on_refusal(event)

    def _on_node_chosen(self, event: NodeChosen) -> None:
        self._debug("node_chosen", call_id=event.call_id, node=event.node)
        self._around.on_node(event)

    def _on_offer_stands(self, event: OfferStands) -> None:
        self._debug("offer_not_taken_back", call_id=event.call_id)
        self._metrics.offer_stands()

    def _on_bans_changed(self, event: BansChanged) -> None:
        for ban in event.change.banned:
            self._debug("source_banned", source=ban.source_ip, reason=ban.reason.value)
        self._around.on_bans(event.change)

    # Answers of others, and what they ask.

    def _on_claim(self, claim: Claim) -> bool:
        return self._core.grant(claim, time.monotonic())

    def _on_granted(self, key: str, granted: bool | None) -> None:
        self._feed("claim", lambda now: self._core.claim_answered(key, granted, now))

    def _on_directory(self, key: str, snapshots: Snapshots | None) -> None:
        self._feed("directory", lambda now: self._core.directory_answered(key, snapshots, now))

    def _on_relay(self, key: str, reply: Mapping[bytes, object] | None) -> None:
        self._feed("relay", lambda now: self._core.relay_answered(key, reply, now))


def _hooks(
    around: Surroundings, relays: RelayClient, listeners: Listeners, presence: Presence, wall: Callable[[float], float]
) -> CoreHooks:
    return CoreHooks(
        new_token=lambda: os.urandom(10).hex(),
        new_call_id=lambda: f"c-{secrets.token_hex(4)}-{uuid.uuid4()}",
        wall=wall,
        country_of=around.country_of,
        is_trusted=around.is_trusted,
        choose_relay=relays.choose,
        is_late=presence.is_late,
        is_connected=listeners.is_connected,
    )
