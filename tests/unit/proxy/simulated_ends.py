"""The two ends of a simulated call: phones outside and robots inside, each of which follows a plan.

Both do what RFC 3261 asks of a user agent: a 2xx is repeated until its ACK comes, and its dialog is ended if none comes
(13.3.1.4); each 2xx is acknowledged (13.2.2.4); a call that is answered after its CANCEL is hung up (9.1, 15).
The caller's INVITE carries the plan's name to the robot in a header of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from daemonkit.address import Address
from sipproxy.sip import Challenge, NameAddr, Request, Response
from sipproxy.transactions.events import Key, NewRequest, RequestTimedOut, ResponseReceived
from sipproxy.transactions.tables import T1, T2, TIMEOUT
from tests.support.digest import answer_challenge
from tests.support.ua import PASSWORD, Agent, Leg, sdp
from tests.unit.proxy.harness import URI

GIVES_UP_SECONDS = 250.0  # longer than timer C: the proxy's 408 comes first
PLAN = "Plan"
_CALL_ID = re.compile(rb"\r\nCall-ID: ([^\r]+)")


class Plan(Enum):
    """What a call is to do."""

    CALLER_HANGS_UP = "caller hangs up"
    CALLEE_HANGS_UP = "callee hangs up"
    BOTH_HANG_UP = "both hang up at once"
    WRONG_PASSWORD = "wrong password"
    CANCELLED_AT_ONCE = "cancelled at once"
    CANCELLED_RINGING = "cancelled while it rings"
    BUSY = "busy"
    REDIRECTED = "redirected"
    SILENT_NODE = "first node silent"
    FULL_NODE = "first node full"
    EARLY_BYE = "BYE before the answer"
    CALLER_CHANGES = "caller's re-INVITE"
    CALLEE_CHANGES = "callee's re-INVITE"
    LATE_OFFER = "offer in the answer"
    NEVER_ANSWERED = "never answered"
    NEVER_RINGS = "taken by the node, and no more"
    CALLER_VANISHES = "caller vanishes"
    VANISHES_RINGING = "caller vanishes before it is refused"


FINAL = {Plan.BUSY: 486, Plan.REDIRECTED: 302, Plan.VANISHES_RINGING: 486}


class Ended(Enum):
    """How one end of a call saw it end; a refusal is named by its status instead."""

    NOT = "not at all"
    BY_US = "our BYE was answered"
    BY_PEER = "the peer's BYE"
    UNANSWERED = "nobody answered our BYE"
    TIMED_OUT = "nobody answered our INVITE"
    CANCELLED = "a CANCEL"
    VANISHED = "we went away"


@dataclass(slots=True)
class Talk:
    """One call as one end sees it."""

    call_id: str
    plan: Plan
    leg: Leg | None = None
    tag: str = ""
    """The robot's tag: the robot's own, or the one whose answer the phone took."""
    status: int = 0
    """The INVITE's final status."""
    ended: Ended = Ended.NOT
    rang: bool = False
    acked: bool = False
    unacknowledged: bool = False
    """No ACK came in 64*T1."""
    hanging_up: bool = False
    given_up: bool = False
    tries: int = 0
    key: Key | None = None
    request: Request | None = None
    strangers: set[str] = field(default_factory=set)
    """Tags of further answers, each hung up on."""


@dataclass(slots=True)
class _Answer:
    """A 2xx that waits for its ACK."""

    key: Key
    response: Response
    interval: float = T1


class End(Agent):
    """What both ends of a call do."""

    def __init__(self, prefix: str, local: Address, dice: Random, *, via: Address | None = None, transport: str = "UDP") -> None:
        super().__init__(prefix, local, via=via, transport=transport)
        self.dice = dice
        self.talks: dict[str, Talk] = {}
        self._answers: dict[tuple[str, int], _Answer] = {}
        self.work: dict[str, Callable[[Talk, float], None]] = {"bye": self.hang_up, "change": self.change}

    def forget(self) -> None:
        """Forget the calls that have ended."""
        self.talks.clear()
        self.requests.clear()
        self.responses.clear()

    def later(self, what: str, talk: Talk, when: float) -> None:
        self.timers.set(f"{what} {talk.call_id}", when)

    def on_timer(self, name: str, now: float) -> None:
        what, _, rest = name.partition(" ")
        if what in {"again", "lost"}:
            number, _, call_id = rest.partition(" ")
            self.on_answer_timer(what, self.talks[call_id], int(number), now)
        else:
            self.work[what](self.talks[rest], now)

    # Answers to INVITEs.

    def accept(self, key: Key, request: Request, response: Response, talk: Talk, now: float) -> None:
        """Send a 2xx, and again until its ACK comes."""
        number = request.cseq.number
        self._answers[talk.call_id, number] = _Answer(key, response)
        self.layer.respond(key, response, now)
        self.later(f"again {number}", talk, now + T1)
        self.later(f"lost {number}", talk, now + TIMEOUT)

    def on_answer_timer(self, what: str, talk: Talk, number: int, now: float) -> None:
        answer = self._answers.get((talk.call_id, number))
        if answer is None:
            return
        if what == "lost":
            del self._answers[talk.call_id, number]
            talk.unacknowledged = talk.ended is Ended.NOT
            self.hang_up(talk, now)
        else:
            self.layer.respond(answer.key, answer.response, now)
            answer.interval = min(2 * answer.interval, T2)
            self.later(f"again {number}", talk, now + answer.interval)

    def on_ack(self, request: Request, now: float) -> None:
        talk = self.talks.get(request.call_id)
        held = self._answers.pop((request.call_id, request.cseq.number), None)
        if talk is not None and held is not None and not talk.acked:
            talk.acked = True
            self.on_up(talk, now)

    def on_up(self, talk: Talk, now: float) -> None:
        """Do what the plan says for this end of an established call."""

    # Inside a dialog.

    def hang_up(self, talk: Talk, now: float) -> None:
        if talk.leg is not None and talk.ended is Ended.NOT and not talk.hanging_up:
            talk.hanging_up = True
            self.send_inside(talk.leg, "BYE", now)

    def change(self, talk: Talk, now: float) -> None:
        if talk.leg is not None and talk.ended is Ended.NOT and not talk.hanging_up:
            self.send_inside(talk.leg, "INVITE", now, body=sdp(self.via[0], 4010))
            self.later("bye", talk, now + 40)

    def on_request(self, event: NewRequest, now: float) -> None:
        request = event.request
        talk = self.talks.get(request.call_id)
        if talk is None or not self.knows(talk, request):
            self.layer.respond(event.key, request.make_response(481), now)
        elif request.method == "BYE":
            self.on_bye(event, talk, now)
        elif request.method == "INVITE":
            response = request.make_response(200)
            response.append("Contact", self.contact(request))
            response.set_body(sdp(self.via[0], 4012), "application/sdp")
            self.accept(event.key, request, response, talk, now)
        else:
            self.layer.respond(event.key, request.make_response(200), now)

    def knows(self, talk: Talk, request: Request) -> bool:
        tags = (NameAddr.parse(talk.leg.remote).tag, NameAddr.parse(talk.leg.local).tag) if talk.leg is not None else ()
        return talk.ended is Ended.NOT and tags == (request.from_.tag, request.to.tag)

    def on_bye(self, event: NewRequest, talk: Talk, now: float) -> None:
        self.layer.respond(event.key, event.request.make_response(200), now)
        talk.ended = Ended.BY_PEER

    def contact(self, request: Request) -> str:
        return f"<{request.uri_text}>"

    def on_response(self, event: ResponseReceived, now: float) -> None:
        talk, response = self.talks.get(event.response.call_id), event.response
        if talk is None or response.status < 200:
            return
        if response.cseq.method == "BYE" and response.to.tag not in talk.strangers and talk.ended is Ended.NOT:
            talk.ended = Ended.BY_US
        elif response.cseq.method == "INVITE":
            self.on_changed(talk, response, now)

    def on_changed(self, talk: Talk, response: Response, now: float) -> None:
        """Acknowledge the answer to our re-INVITE; a dialog that the peer does not know is over (RFC 3261 14.1)."""
        if response.status < 300 and talk.leg is not None:
            self.acknowledge(talk.leg, response)
        if talk.ended is Ended.NOT and not talk.hanging_up:
            self.later("bye", talk, now + (0.0 if response.status in (408, 481) else self.dice.uniform(0.2, 2)))

    def acknowledge(self, leg: Leg, response: Response, body: bytes = b"") -> None:
        self.layer.send_stateless(bytes(self.inside(leg, "ACK", number=response.cseq.number, body=body)), leg.peer)

    def on_time_out(self, event: RequestTimedOut, now: float) -> None:
        talk = self.talks.get(event.request.call_id)
        if talk is None or talk.ended is not Ended.NOT:
            return
        if event.request.method == "BYE" and event.request.to.tag not in talk.strangers:
            talk.ended = Ended.UNANSWERED
        elif event.request.method == "INVITE" and event.request.to.tag:
            self.hang_up(talk, now)


class Phone(End):
    """Place calls from outside."""

    def __init__(self, prefix: str, local: Address, proxy: Address, dice: Random, *, via: Address | None, transport: str) -> None:
        super().__init__(prefix, local, dice, via=via, transport=transport)
        self.proxy = proxy
        self.gone: set[bytes] = set()
        self.work |= {"call": self.call, "cancel": self.cancel, "early": self.leave_early}

    def receive(self, data: bytes, source: Address, local: Address, now: float) -> None:
        if not self.gone or call_id_of(data) not in self.gone:
            super().receive(data, source, local, now)

    def forget(self) -> None:
        super().forget()
        self.gone.clear()

    def plan(self, call_id: str, plan: Plan, when: float) -> None:
        """Place a call at a moment."""
        talk = self.talks[call_id] = Talk(call_id, plan)
        self.later("call", talk, when)

    def call(self, talk: Talk, now: float) -> None:
        offer = b"" if talk.plan is Plan.LATE_OFFER else sdp(self.via[0])
        headers = [
            self.via_header(),
            ("Max-Forwards", "70"),
            ("From", f"<sip:desk@pbx.example>;tag=f-{talk.call_id}"),
            ("To", f"<{URI}>"),
            ("Call-ID", talk.call_id),
            ("CSeq", "1 INVITE"),
            ("Contact", f"<sip:desk@{self.via[0]}:{self.via[1]}>"),
            (PLAN, talk.plan.name),
        ]
        if offer:
            headers.append(("Content-Type", "application/sdp"))
        self._send_invite(talk, Request.build("INVITE", URI, headers, offer), now)

    def _send_invite(self, talk: Talk, request: Request, now: float) -> None:
        talk.request = request
        talk.key = self.layer.send_request(request, self.proxy, now)

    def answer_challenge(self, talk: Talk, response: Response, now: float) -> None:
        talk.tries += 1
        challenge = Challenge.parse(response.header("proxy-authenticate") or "")
        password = "wrong" if talk.plan is Plan.WRONG_PASSWORD else PASSWORD
        assert talk.request is not None
        again = talk.request.copy()
        user = again.uri.user or ""
        credentials = answer_challenge(challenge, username=user, password=password, method="INVITE", uri=URI, cnonce="cn")
        again.replace("Via", self.via_header()[1])
        again.replace("CSeq", f"{again.cseq.number + 1} INVITE")
        again.remove("Proxy-Authorization")
        again.append("Proxy-Authorization", str(credentials))
        self._send_invite(talk, again, now)
        self.later("cancel", talk, now + (self.dice.uniform(0, 0.5) if talk.plan is Plan.CANCELLED_AT_ONCE else GIVES_UP_SECONDS))

    def cancel(self, talk: Talk, now: float) -> None:
        if talk.key is not None and not talk.status and talk.ended is Ended.NOT:
            talk.given_up = True
            self.layer.cancel(talk.key, now)

    def leave_early(self, talk: Talk, now: float) -> None:
        if not talk.status:
            talk.given_up = True
            self.hang_up(talk, now)

    def on_response(self, event: ResponseReceived, now: float) -> None:
        talk, response = self.talks[event.response.call_id], event.response
        if event.request.method != "INVITE" or event.request.to.tag:
            super().on_response(event, now)
        elif response.status < 200:
            self.on_ringing(talk, response, now)
        elif response.status < 300:
            self.on_answer(talk, response, now)
        elif response.status == 407 and talk.tries < 3:
            self.answer_challenge(talk, response, now)
        elif not talk.status:
            talk.status = response.status

    def on_ringing(self, talk: Talk, response: Response, now: float) -> None:
        if response.status == 100 or talk.rang or talk.status:
            return
        talk.rang = True
        talk.leg = self.make_leg(talk, response)
        if talk.plan is Plan.CANCELLED_RINGING:
            self.later("cancel", talk, now + self.dice.uniform(0, 1.5))
        elif talk.plan is Plan.EARLY_BYE:
            self.later("early", talk, now + self.dice.uniform(0, 1.5))
        elif talk.plan is Plan.VANISHES_RINGING:
            self.vanish(talk)

    def vanish(self, talk: Talk) -> None:
        """Ignore a call from now on, and send nothing more for it."""
        self.gone.add(talk.call_id.encode())
        talk.ended = Ended.VANISHED

    def make_leg(self, talk: Talk, response: Response) -> Leg:
        routes, contact = list(reversed(response.values("record-route"))), response.contact
        assert talk.request is not None
        assert contact is not None
        number = max(talk.request.cseq.number, talk.leg.number if talk.leg is not None else 0)
        local, remote = talk.request.header("from") or "", response.header("to") or ""
        return Leg(talk.call_id, local, remote, contact.uri, routes, self.proxy, number)

    def on_answer(self, talk: Talk, response: Response, now: float) -> None:
        assert talk.request is not None
        if talk.plan is Plan.CALLER_VANISHES:
            talk.tag = response.to.tag
            self.vanish(talk)
            return
        first = not talk.status
        if first:
            talk.status, talk.tag = response.status, response.to.tag
            talk.leg = self.make_leg(talk, response)
        leg = talk.leg if response.to.tag == talk.tag else self.make_leg(talk, response)
        assert leg is not None
        self.acknowledge(leg, response, b"" if talk.request.body else sdp(self.via[0], 4002))
        if response.to.tag != talk.tag and response.to.tag not in talk.strangers:
            talk.strangers.add(response.to.tag)
            self.send_inside(leg, "BYE", now)
        elif first:
            self.on_up(talk, now)

    def on_up(self, talk: Talk, now: float) -> None:
        if talk.given_up:
            self.hang_up(talk, now)
        elif talk.plan is Plan.CALLER_CHANGES:
            self.later("change", talk, now + self.dice.uniform(0.05, 1))
        elif talk.plan is Plan.BOTH_HANG_UP:
            self.later("bye", talk, now + 1)
        elif talk.plan not in (Plan.CALLEE_HANGS_UP, Plan.CALLEE_CHANGES):
            self.later("bye", talk, now + self.dice.uniform(0.2, 6))

    def on_bye(self, event: NewRequest, talk: Talk, now: float) -> None:
        super().on_bye(event, talk, now)
        if not talk.status and talk.key is not None:
            self.layer.cancel(talk.key, now)

    def on_time_out(self, event: RequestTimedOut, now: float) -> None:
        talk = self.talks[event.request.call_id]
        if event.request.method == "INVITE" and not event.request.to.tag:
            talk.ended = Ended.TIMED_OUT
        else:
            super().on_time_out(event, now)


class Robot(End):
    """Robots that take calls as their plans say; `first` holds the first robot that a call came to."""

    def __init__(self, prefix: str, local: Address, dice: Random, first: dict[str, Address]) -> None:
        super().__init__(prefix, local, dice)
        self.first = first
        self.by_key: dict[Key, Talk] = {}
        self.work |= {"answer": self.answer, "tire": self.tire}

    def forget(self) -> None:
        super().forget()
        self.by_key.clear()

    def on_request(self, event: NewRequest, now: float) -> None:
        request = event.request
        if request.method == "INVITE" and not request.to.tag:
            self.on_call(event.key, request, now)
        else:
            super().on_request(event, now)

    def on_call(self, key: Key, request: Request, now: float) -> None:
        plan = Plan[request.header(PLAN) or ""]
        is_first = self.first.setdefault(request.call_id, self.local) == self.local
        if plan is Plan.SILENT_NODE and is_first:
            self.layer.forget(key)
            return
        if plan is Plan.FULL_NODE and is_first:
            self.layer.respond(key, request.make_response(503, to_tag=f"full-{request.call_id}"), now)
            return
        talk = self.talks[request.call_id] = Talk(request.call_id, plan, tag=f"{self.local[0]}-{request.call_id}", key=key, request=request)
        self.by_key[key] = talk
        ringing = self._response(talk, 100 if plan is Plan.NEVER_RINGS else 180)
        contact = request.contact
        assert contact is not None
        source, routes = request.top_via.reply_address(), request.values("record-route")
        talk.leg = Leg(talk.call_id, ringing.header("to") or "", request.header("from") or "", contact.uri, routes, source)
        self.layer.respond(key, ringing, now)
        if plan not in (Plan.NEVER_ANSWERED, Plan.NEVER_RINGS):
            slow = plan in (Plan.CANCELLED_RINGING, Plan.EARLY_BYE, Plan.VANISHES_RINGING)
            self.later("answer", talk, now + self.dice.choice((1, 3, 9) if slow else (0.05, 0.5, 3)) * self.dice.random())
        else:
            self.later("tire", talk, now + GIVES_UP_SECONDS)

    def _response(self, talk: Talk, status: int) -> Response:
        assert talk.request is not None
        response = talk.request.make_response(status, to_tag=talk.tag)
        response.append("Contact", f"<sip:robot@{self.local[0]}:{self.local[1]}>")
        for value in talk.request.headers("record-route"):
            response.append("Record-Route", value)
        return response

    def answer(self, talk: Talk, now: float) -> None:
        if talk.status or talk.ended is not Ended.NOT or talk.key is None or talk.request is None:
            return
        talk.status = FINAL.get(talk.plan, 200)
        response = self._response(talk, talk.status)
        if talk.status == 200:
            response.set_body(sdp(self.local[0], 6000), "application/sdp")
            self.accept(talk.key, talk.request, response, talk, now)
        else:
            self.layer.respond(talk.key, response, now)

    def tire(self, talk: Talk, now: float) -> None:
        """Stop ringing: where no response came through, nobody may CANCEL (RFC 3261 9.1)."""
        if not talk.status and talk.key is not None:
            talk.given_up, talk.status = True, 480
            self.layer.respond(talk.key, self._response(talk, 480), now)

    def on_up(self, talk: Talk, now: float) -> None:
        if talk.plan is Plan.CALLEE_CHANGES:
            self.later("change", talk, now + self.dice.uniform(0.05, 1))
        elif talk.plan is Plan.BOTH_HANG_UP:
            self.later("bye", talk, now + 1)
        elif talk.plan is Plan.CALLEE_HANGS_UP:
            self.later("bye", talk, now + self.dice.uniform(0.2, 6))

    def on_bye(self, event: NewRequest, talk: Talk, now: float) -> None:
        super().on_bye(event, talk, now)
        self._give_up(talk, now)

    def on_cancelled(self, key: Key, now: float) -> None:
        talk = self.by_key.get(key)
        if talk is not None and not talk.status:
            self._give_up(talk, now)
            talk.ended = Ended.CANCELLED

    def _give_up(self, talk: Talk, now: float) -> None:
        if not talk.status and talk.key is not None:
            talk.status = 487
            self.layer.respond(talk.key, self._response(talk, 487), now)


def outcome_of(talk: Talk) -> str:
    """Return how a phone's call ended: the status that refused it, or who hung up; OPEN where its INVITE has no end."""
    if talk.ended in (Ended.TIMED_OUT, Ended.VANISHED) or 200 <= talk.status < 300:
        return talk.ended.name
    return str(talk.status) if talk.status else "OPEN"


def call_id_of(data: bytes) -> bytes:
    found = _CALL_ID.search(data)
    return found[1] if found else b""
