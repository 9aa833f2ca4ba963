"""Two small user agents on the transaction layer: a caller with a digest, and a call flow that answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from daemonkit.address import Address
from sipproxy.sip import Challenge, Request, Response
from sipproxy.transactions.events import AckReceived, Cancelled, Key, NewRequest, RequestTimedOut, ResponseReceived
from sipproxy.transactions.tables import T1, T2, TIMEOUT
from sipproxy.transactions.timers import Timers
from tests.support.digest import answer_challenge
from tests.support.sip import make_layer

PASSWORD = "secret"  # noqa: S105  # of no value
SDP = "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 0\r\n"


def sdp(host: str, port: int = 4000) -> bytes:
    return SDP.format(host, port).encode()


@dataclass(slots=True)
class Leg:
    """One dialog as one end knows it."""

    call_id: str
    local: str
    remote: str
    target: str
    routes: list[str]
    peer: Address
    number: int = 1


@dataclass(slots=True)
class Attempt:
    """One call of the caller, from its first INVITE to its end."""

    call_id: str
    uri: str
    statuses: list[int] = field(default_factory=list)
    leg: Leg | None = None
    answer: bytes = b""
    ended: str = ""
    key: Key | None = None
    tries: int = 0
    request: Request | None = None


class Agent:
    """What both ends share: a transaction layer, an address, timers of their own, and everything that came in."""

    def __init__(self, prefix: str, local: Address, *, via: Address | None = None, transport: str = "UDP") -> None:
        self.layer = make_layer(prefix, reliable=transport != "UDP")
        self.transport = transport
        self.local = local
        self.via = via or local
        self.timers: Timers[str] = Timers()
        self.requests: list[Request] = []
        self.responses: list[Response] = []

    def receive(self, data: bytes, source: Address, local: Address, now: float) -> None:
        self.layer.receive_datagram(data, source, now)
        self.drain(now)

    def take(self) -> list[tuple[Address, bytes, Address]]:
        return [(self.local, data, target) for data, target in self.layer.datagrams_to_send()]

    def timer(self) -> float | None:
        return min((when for when in (self.layer.get_timer(), self.timers.next()) if when is not None), default=None)

    def ring(self, now: float) -> None:
        self.layer.handle_timer(now)
        while (name := self.timers.pop_due(now)) is not None:
            self.on_timer(name, now)
        self.drain(now)

    def drain(self, now: float) -> None:
        while (event := self.layer.next_event()) is not None:
            if isinstance(event, NewRequest):
                self.requests.append(event.request)
                self.on_request(event, now)
            elif isinstance(event, ResponseReceived):
                self.responses.append(event.response)
                self.on_response(event, now)
            elif isinstance(event, AckReceived):
                self.requests.append(event.request)
                self.on_ack(event.request, now)
            elif isinstance(event, Cancelled):
                self.on_cancelled(event.key, now)
            elif isinstance(event, RequestTimedOut):
                self.on_time_out(event, now)

    def via_header(self) -> tuple[str, str]:
        return "Via", f"SIP/2.0/{self.transport} {self.via[0]}:{self.via[1]};branch={self.layer.new_branch()};rport"

    def inside(
        self, leg: Leg, method: str, *, body: bytes = b"", number: int | None = None, extra: list[tuple[str, str]] | None = None
    ) -> Request:
        """Make a request inside a dialog."""
        if number is None:
            leg.number += 1
            number = leg.number
        headers = [
            self.via_header(),
            ("Max-Forwards", "70"),
            ("From", leg.local),
            ("To", leg.remote),
            ("Call-ID", leg.call_id),
            ("CSeq", f"{number} {method}"),
            *(("Route", route) for route in leg.routes),
            *(extra or []),
        ]
        if body:
            headers.append(("Content-Type", "application/sdp"))
        return Request.build(method, leg.target, headers, body)

    def send_inside(self, leg: Leg, method: str, now: float, **options: bytes) -> Key:
        return self.layer.send_request(self.inside(leg, method, **options), leg.peer, now)  # type: ignore[arg-type]  # options are `body` alone

    def on_timer(self, name: str, now: float) -> None: ...
    def on_request(self, event: NewRequest, now: float) -> None: ...
    def on_response(self, event: ResponseReceived, now: float) -> None: ...
    def on_ack(self, request: Request, now: float) -> None: ...
    def on_cancelled(self, key: Key, now: float) -> None: ...
    def on_time_out(self, event: RequestTimedOut, now: float) -> None: ...


class Caller(Agent):
    """Places calls, answers one challenge each, talks, hangs up or is hung up on."""

    def __init__(
        self, local: Address, proxy: Address, *, password: str = PASSWORD, via: Address | None = None, transport: str = "UDP"
    ) -> None:
        super().__init__("a", local, via=via, transport=transport)
        self.proxy = proxy
        self.password = password
        self.attempts: dict[str, Attempt] = {}
        self.talk_seconds: float | None = 1.0

    def call(
        self, uri: str, now: float, *, to: str | None = None, body: bytes | None = None, extra: list[tuple[str, str]] | None = None
    ) -> Attempt:
        """Send an INVITE; `body` empty makes a late offer."""
        call_id = f"call-{len(self.attempts) + 1}@{self.local[0]}"
        attempt = self.attempts[call_id] = Attempt(call_id, uri)
        offer = sdp(self.via[0]) if body is None else body
        headers = [
            self.via_header(),
            ("Max-Forwards", "70"),
            ("From", f"<sip:desk@pbx.example>;tag=f-{len(self.attempts)}"),
            ("To", f"<{to or uri}>"),
            ("Call-ID", call_id),
            ("CSeq", "1 INVITE"),
            ("Contact", f"<sip:desk@{self.via[0]}:{self.via[1]}>"),
            *(extra or []),
        ]
        if offer:
            headers.append(("Content-Type", "application/sdp"))
        attempt.request = Request.build("INVITE", uri, headers, offer)
        attempt.key = self.layer.send_request(attempt.request, self.proxy, now)
        return attempt

    def answer_challenge(self, attempt: Attempt, response: Response, now: float) -> None:
        """Send the INVITE again with credentials."""
        request = attempt.request
        assert request is not None
        challenge = Challenge.parse(response.header("proxy-authenticate") or "")
        user = request.uri.user or ""
        credentials = answer_challenge(challenge, username=user, password=self.password, method="INVITE", uri=attempt.uri, cnonce="cn")
        again = request.copy()
        again.replace("Via", self.via_header()[1])
        again.replace("CSeq", f"{request.cseq.number + 1} INVITE")
        again.replace("Proxy-Authorization", str(credentials))
        attempt.request = again
        attempt.tries += 1
        attempt.key = self.layer.send_request(again, self.proxy, now)

    def on_response(self, event: ResponseReceived, now: float) -> None:
        attempt, response = self.attempts[event.response.call_id], event.response
        method = response.cseq.method
        if method == "BYE":
            attempt.ended = "local"
        if method != "INVITE":
            return
        attempt.statuses.append(response.status)
        if response.status == 407 and attempt.tries < 2:
            self.answer_challenge(attempt, response, now)
        elif 200 <= response.status < 300:
            self.on_answer(attempt, response, now)

    def on_answer(self, attempt: Attempt, response: Response, now: float) -> None:
        request, first = attempt.request, attempt.leg is None
        assert request is not None
        contact = response.contact
        if first:
            routes = list(reversed(response.values("record-route")))
            target = contact.uri if contact else attempt.uri
            attempt.leg = Leg(
                attempt.call_id, request.header("from") or "", response.header("to") or "", target, routes, self.proxy, request.cseq.number
            )
            attempt.answer = response.body
        leg = attempt.leg
        assert leg is not None
        body = b"" if request.body else sdp(self.via[0], 4002)
        ack = self.inside(leg, "ACK", number=response.cseq.number, body=body)
        self.layer.send_stateless(bytes(ack), leg.peer)
        if first and self.talk_seconds is not None:
            self.timers.set(attempt.call_id, now + self.talk_seconds)

    def on_timer(self, name: str, now: float) -> None:
        attempt = self.attempts[name]
        if not attempt.ended and attempt.leg is not None:
            self.send_inside(attempt.leg, "BYE", now)

    def on_request(self, event: NewRequest, now: float) -> None:
        request = event.request
        attempt = self.attempts.get(request.call_id)
        known = attempt is not None and attempt.leg is not None and attempt.leg.remote.endswith(request.from_.tag)
        body = sdp(self.via[0], 4004) if request.body else b""
        response = request.make_response(200 if known else 481)
        response.set_body(body, "application/sdp" if body else None)
        self.layer.respond(event.key, response, now)
        if known and attempt is not None and request.method == "BYE":
            attempt.ended = "remote"


class Service(Agent):
    """Answers calls: 180, 200 repeated until its ACK, BYE after a while if asked to."""

    def __init__(self, local: Address, *, prefix: str = "b", foreign: bool = False) -> None:
        super().__init__(prefix, local)
        self.foreign = foreign
        self.status = 200
        self.ring_body = b""
        self.answer_delay = 0.05
        self.silent = False
        self.talk_seconds: float | None = None
        self.legs: dict[str, Leg] = {}
        self.acked: set[str] = set()
        self.ended: dict[str, str] = {}
        self._invites: dict[str, tuple[Key, Request, Response]] = {}
        self._intervals: dict[str, float] = {}

    def receive(self, data: bytes, source: Address, local: Address, now: float) -> None:
        if not self.silent:
            super().receive(data, source, local, now)

    def on_request(self, event: NewRequest, now: float) -> None:
        request = event.request
        if request.method == "INVITE" and not request.to.tag:
            self.on_invite(event.key, request, now)
            return
        known = request.call_id in self.legs
        response = request.make_response(200 if known else 481)
        if known and request.body:
            response.set_body(sdp(self.local[0], 6002), "application/sdp")
        if request.method == "INVITE":
            response.append("Contact", self.contact(request))
        if request.method == "BYE":
            self.ended[request.call_id] = "remote"
        self.layer.respond(event.key, response, now)

    def contact(self, request: Request) -> str:
        return f"<sip:robot@{self.local[0]}:{self.local[1]}>" if self.foreign else f"<{request.uri_text}>"

    def on_invite(self, key: Key, request: Request, now: float) -> None:
        tag = f"t-{request.call_id}"
        ringing = request.make_response(180, to_tag=tag)
        final = request.make_response(self.status, to_tag=tag)
        for response in (ringing, final):
            response.append("Contact", self.contact(request))
            for value in request.headers("record-route"):
                response.append("Record-Route", value)
            response.append("X-Inside", "kept")
            response.append("P-Sipuri-Secret", "hidden")
            response.append("Warning", f'399 {self.local[0]} "inside"')
        if self.ring_body:
            ringing.set_body(self.ring_body, "application/sdp")
        if self.status == 200:
            final.set_body(sdp(self.local[0], 6000), "application/sdp")
        self._invites[request.call_id] = (key, request, final)
        self.layer.respond(key, ringing, now)
        self.timers.set(f"answer {request.call_id}", now + self.answer_delay)

    def on_timer(self, name: str, now: float) -> None:
        what, _, call_id = name.partition(" ")
        if what == "bye":
            if call_id not in self.ended:
                self.send_inside(self.legs[call_id], "BYE", now)
            return
        key, request, final = self._invites[call_id]
        if what == "answer" and call_id not in self.ended:
            self.layer.respond(key, final, now)
            if final.status == 200:
                source = request.top_via.reply_address()
                routes = request.values("record-route")
                contact = request.contact
                assert contact is not None
                self.legs[call_id] = Leg(call_id, final.header("to") or "", request.header("from") or "", contact.uri, routes, source)
                self._intervals[call_id] = T1
                self.timers.set(f"again {call_id}", now + T1)
                self.timers.set(f"lost {call_id}", now + TIMEOUT)
        elif what == "again" and call_id not in self.acked and call_id not in self.ended:
            self.layer.respond(key, final, now)
            self._intervals[call_id] = min(2 * self._intervals[call_id], T2)
            self.timers.set(f"again {call_id}", now + self._intervals[call_id])
        elif what == "lost" and call_id not in self.acked and call_id not in self.ended:
            self.send_inside(self.legs[call_id], "BYE", now)

    def on_ack(self, request: Request, now: float) -> None:
        call_id = request.call_id
        if call_id in self.legs and call_id not in self.acked:
            self.acked.add(call_id)
            self.timers.cancel(f"again {call_id}")
            self.timers.cancel(f"lost {call_id}")
            if self.talk_seconds is not None:
                self.timers.set(f"bye {call_id}", now + self.talk_seconds)

    def on_cancelled(self, key: Key, now: float) -> None:
        for call_id, (held, request, final) in self._invites.items():
            if held == key:
                self.ended[call_id] = "cancelled"
                self.layer.respond(key, request.make_response(487, to_tag=final.to.tag), now)

    def on_response(self, event: ResponseReceived, now: float) -> None:
        if event.response.cseq.method == "BYE":
            self.ended.setdefault(event.response.call_id, "local")
        elif event.response.cseq.method == "INVITE" and event.response.status == 200:
            leg = self.legs[event.response.call_id]
            ack = self.inside(leg, "ACK", number=event.response.cseq.number)
            self.layer.send_stateless(bytes(ack), leg.peer)

    def on_time_out(self, event: RequestTimedOut, now: float) -> None:
        self.ended.setdefault(event.request.call_id, "timeout")
