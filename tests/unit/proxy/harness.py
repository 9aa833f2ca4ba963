"""A proxy core among simulated peers: callers outside, call-flow nodes inside, a directory and a relay."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import count
from typing import Any

from daemonkit.address import Address
from daemonkit.presence import Presence
from mediarelay.ng import bencode
from sipproxy.admission.source_limits import TrustedSources
from sipproxy.config import Relay, SipProxyConfig
from sipproxy.core.events import ClaimWanted, DirectoryWanted, InviteRefused, OfferStands, ProxyEvent, RelayWanted, ReportMade
from sipproxy.core.proxy import ProxyCore
from sipproxy.core.shared import CoreHooks
from sipproxy.sip.digest import ALGORITHMS, make_ha1
from sipproxy.transactions.listener import Listener, Side, Transport
from tests.support.sip import Network
from tests.support.ua import Caller, Service
from voiceapps.rules.admission import AdmissionSnapshot, CallCount, Limits
from voiceapps.rules.reports import CallAdmitted, CallAnswered, CallEnded, CallHungUp, LadderMessage

DOMAIN = "sip.example"
APP = "11111111-2222-4333-8444-555555555555"
ALIAS = "99999999-2222-4333-8444-555555555555"
URI = f"sip:{ALIAS}@{DOMAIN}"
OUTSIDE: Address = ("203.0.113.5", 6160)
INSIDE: Address = ("10.0.0.1", 6162)
NODE_A: Address = ("10.0.0.2", 6161)
NODE_B: Address = ("10.0.0.3", 6161)
CALLER: Address = ("198.51.100.7", 5080)
RELAY: Address = ("10.0.0.9", 22222)
SPARE_RELAY: Address = ("10.0.0.10", 22222)

# Another port than UDP's: on the simulated network an address belongs to one listener.
STREAM: Address = ("203.0.113.5", 6163)
SECURE: Address = ("203.0.113.5", 5061)
UDP = Listener(Side.EXTERNAL, Transport.UDP, OUTSIDE, OUTSIDE)
TCP = Listener(Side.EXTERNAL, Transport.TCP, STREAM, STREAM)
TLS = Listener(Side.EXTERNAL, Transport.TLS, SECURE, SECURE)
INTERNAL = Listener(Side.INTERNAL, Transport.UDP, INSIDE, INSIDE)

CONFIG = SipProxyConfig(
    name="sipproxy-test",
    domain=DOMAIN,
    realm=DOMAIN,
    hosts=frozenset({DOMAIN, OUTSIDE[0]}),
    external=(UDP, TCP, TLS),
    internal=INTERNAL,
    callflow_targets=(),
    media_relays=(Relay(RELAY),),
    worker=0,
    nonce_key=b"nonce key",
    route_keys=(b"route key",),
    invite_keys=(b"invite key",),
)


def application(**changes: object) -> AdmissionSnapshot:
    ha1 = tuple((user, algorithm, make_ha1(user, DOMAIN, "secret", algorithm)) for user in (APP, ALIAS) for algorithm in ALGORITHMS)
    plain = AdmissionSnapshot(APP, "9900000", True, frozenset({APP, ALIAS}), True, (), (), ("MD5",), ha1, Limits(), Limits(), CallCount())
    return replace(plain, **changes)  # type: ignore[arg-type]  # each test names real fields


class ProxyHarness:
    """One proxy core among its peers; its events are kept by kind."""

    def __init__(
        self,
        config: SipProxyConfig = CONFIG,
        *,
        max_calls: int = 1000,
        nodes: tuple[Address, ...] = (NODE_A,),
        network: Network | None = None,
    ) -> None:
        numbers = count(1)
        self.seed = count(1)
        self.presence = Presence()
        self.trusted = TrustedSources(config.trusted)
        self.sources = CoreHooks(
            new_token=lambda: hashlib.sha256(str(next(self.seed)).encode()).hexdigest()[:32],
            new_call_id=lambda: f"c-95ac8d6e-1a31c52e-b38f-4198-93c1-{next(numbers):012x}",
            wall=lambda now: 1_700_000_000 + now,
            country_of=lambda address: "US" if address.startswith("198.") else None,
            is_trusted=self.trusted,
            choose_relay=lambda tried: next((relay for relay in self.relays if relay not in tried), None) if self.relay_lives else None,
            is_late=self.presence.is_late,
            is_connected=lambda listener, address: (listener, address) in self.connected,
        )
        self.config = config
        self.nodes = nodes
        self.max_calls = max_calls
        self.restart()
        self.network = network or Network()
        self.listeners = {listener.address: listener for listener in (*config.external, config.internal)}
        self.network.add(self, *self.listeners)
        self.prepare_services()

    def prepare_services(self) -> None:
        """Let the directory and the relay answer, and nothing have happened yet."""
        self.applications = [application()]
        self.directory_lives = True
        self.relay_lives = True
        self.relays = [RELAY]
        self.relay_refuses: set[str] = set()
        self.relay_reason = b"Ran out of ports."
        self.relay_answers = True
        self.hold_relay = False
        self.held: list[tuple[str, dict[bytes, object]]] = []
        self.connected: set[tuple[Listener, Address]] = set()
        self.sessions: set[bytes] = set()
        self.agreed: set[bytes] = set()
        self.relay_is_ours = True
        self.commands: list[dict[bytes, object]] = []
        self.asked: list[tuple[Address, str]] = []
        self.wanted: list[tuple[str, tuple[str, ...]]] = []
        self.refusals: list[InviteRefused] = []
        self.claims: list[ClaimWanted] = []
        self.standing: list[OfferStands] = []
        self.admitted: list[CallAdmitted] = []
        self.answered: list[CallAnswered] = []
        self.ended: list[CallEnded] = []
        self.hung_up: list[CallHungUp] = []
        self.ladder: list[LadderMessage] = []
        self.lookups = 0
        self.answer_lookups = True

    def restart(self) -> None:
        """Start a new core with nothing in memory, as after `kill -9`; the sockets stay."""
        self.start_unaware()
        if not self.config.callflow_targets:
            self.core.replace_nodes(self.nodes, self.nodes)

    def start_unaware(self) -> None:
        """Start a new core that has not read yet which nodes live."""
        self.core = ProxyCore(self.config, self.sources, max_calls=self.max_calls)

    # The node face.

    def receive(self, data: bytes, source: Address, local: Address, now: float) -> None:
        self.core.receive_datagram(self.listeners[local], data, source, now)
        self.drain(now)

    def take(self) -> list[tuple[Address, bytes, Address]]:
        return [(item.listener.address, item.data, item.address) for item in self.core.datagrams_to_send()]

    def timer(self) -> float | None:
        return self.core.get_timer()

    def ring(self, now: float) -> None:
        self.core.handle_timer(now)
        self.drain(now)

    def drain(self, now: float) -> None:
        while (event := self.core.next_event()) is not None:
            self.on_event(event, now)

    def on_event(self, event: ProxyEvent, now: float) -> None:
        if isinstance(event, DirectoryWanted):
            self.lookups += 1
            self.wanted.append((event.key, event.users))
            if self.answer_lookups:
                self.answer_lookup(now)
        elif isinstance(event, RelayWanted):
            self.on_relay(event, now)
        elif isinstance(event, ClaimWanted):
            self.claims.append(event)
        elif isinstance(event, InviteRefused):
            self.refusals.append(event)
        elif isinstance(event, OfferStands):
            self.standing.append(event)
        elif isinstance(event, ReportMade):
            kept: dict[type, list[Any]] = {
                CallAdmitted: self.admitted,
                CallAnswered: self.answered,
                CallEnded: self.ended,
                CallHungUp: self.hung_up,
            }
            kept.get(type(event.record), self.ladder).append(event.record)

    def answer_lookup(self, now: float) -> None:
        key, users = self.wanted.pop(0)
        found = {user: held for held in self.applications for user in users if user in held.users}
        self.core.directory_answered(key, found if self.directory_lives else None, now)

    def on_relay(self, event: RelayWanted, now: float) -> None:
        """Do what a relay does as far as signalling sees it: sessions begin and end, addresses become the relay's."""
        assert event.relay in self.relays
        # What is set for the relay is the first one's trouble.
        is_first = event.relay == self.relays[0]
        command = bencode.decode(bencode.encode(event.command))
        assert isinstance(command, dict)
        self.commands.append(command)
        call_id = command[b"call-id"]
        name = command[b"command"].decode()
        self.asked.append((event.relay, name))
        if is_first and name in self.relay_refuses:
            self.core.relay_answered(event.key, {b"result": b"error", b"error-reason": self.relay_reason}, now)
        elif name == "delete":
            self.sessions.discard(call_id)
            self.core.relay_answered(event.key, {b"result": b"ok"}, now)
        elif name == "sipuri-withdraw":
            self.core.relay_answered(event.key, {b"result": b"ok" if self.relay_is_ours else b"error"}, now)
        elif self.relay_answers or not is_first:
            self.sessions.add(call_id)
            provisional = {b"sipuri-provisional": 1} if self.relay_is_ours and name == "offer" and call_id in self.agreed else {}
            if name == "answer":
                self.agreed.add(call_id)
            side = command[b"direction"][1].decode()
            self.held.append((event.key, {b"result": b"ok", b"sdp": b"v=0 relayed to " + side.encode() + b"\r\n", **provisional}))
            if not self.hold_relay:
                self.release_relay(now)
        else:
            self.core.relay_answered(event.key, None, now)

    def release_relay(self, now: float) -> None:
        """Deliver the relay's answers so far."""
        answers, self.held = self.held, []
        for key, reply in answers:
            self.core.relay_answered(key, reply, now)
        self.drain(now)

    # Its peers.

    def caller(self, local: Address = CALLER, *, to: Listener = UDP, **options: object) -> Caller:
        made = Caller(local, to.address, transport=to.transport.value, **options)  # type: ignore[arg-type]  # options of Caller
        self.network.add(made, local)
        return made

    def service(self, local: Address = NODE_A, **options: object) -> Service:
        made = Service(local, **options)  # type: ignore[arg-type]  # options of Service
        self.network.add(made, local)
        return made

    def run(self, seconds: float) -> None:
        self.network.run(self.network.now + seconds)

    @property
    def now(self) -> float:
        return self.network.now

    def is_empty(self) -> bool:
        load = self.core.load
        return (load.calls, load.contexts, load.transactions, load.lookups, load.relay_waits) == (0, 0, 0, 0, 0) and not self.sessions
