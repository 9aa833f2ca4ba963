"""Session descriptions on their way through the media relay, in rtpengine's ng protocol.

Who offers and who answers follows RFC 3264 and RFC 6337: a request's description is an offer, except in an ACK and in a
PRACK after a late offer; a response's is the answer to its request's offer, and an offer where the request had none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import Self

from daemonkit.address import Address
from sipproxy.core.agreements import Agreements, Command, NgReply
from sipproxy.core.events import OfferStands, ProxyEvent, RelayWanted
from sipproxy.core.limits import MAX_MEDIA_SOURCES, MAX_RELAY_WAITS, MAX_TURNS
from sipproxy.sip import Request, Response
from sipproxy.sip.body import find_description
from sipproxy.transactions.listener import Side
from voiceapps.rules.admission import AdmissionSnapshot


class Refusal(Enum):
    """Why a relay did not rewrite a description; the value is the status that answers it."""

    UNUSABLE = 488
    """The relay cannot read it, or it asks for something that no relay does: the peer's fault."""
    UNAVAILABLE = 503
    """The relay is silent or full: our fault."""


ANYWHERE = "0.0.0.0/0"  # a range that names no address
OnReply = Callable[[NgReply | None, float], None]
"""Called with a relay's dictionary, None where it was silent, and the time."""
OnRewritten = Callable[[bytes | Refusal, float], None]
"""Called with the body that holds the rewritten description, or why there is none, and the time."""
_FULL = (b"ran out of ports", b"too many sessions", b"draining", b"limit")
Continuation = Callable[[float], None]
"""What is to be done with one message; gets the time."""


@dataclass(frozen=True, slots=True)
class MediaTerms:
    """What an application says of its callers' media; the relay is told with the exchange that opens the session."""

    learns_nat: bool = False
    """Whether audio may come from another public address than the description's."""
    sources: tuple[str, ...] = ()
    """CIDR ranges to whose public addresses the relay may send first."""

    @classmethod
    def of(cls, application: AdmissionSnapshot) -> Self:
        """Return the terms of an application."""
        ranges = (*application.allowed_source_ips, *application.media_source_ips)
        narrow = tuple(text for text in ranges if text != ANYWHERE)
        return cls(application.media_learning == "nat", narrow[:MAX_MEDIA_SOURCES])

    def write(self, command: dict[str, object]) -> None:
        """Add the terms to an ng command; other relays than ours ignore them."""
        if self.learns_nat:
            command["flags"] = ["sipuri-learn-nat"]
        if self.sources:
            command["sipuri-media-sources"] = list(self.sources)


@dataclass(frozen=True, slots=True)
class SdpTransit:
    """One session description on its way through the relay: whose it is, and which way it goes."""

    call_id: str
    """The internal call id: the relay's session."""
    relay: Address
    """The relay's ng address."""
    sender: Side
    """The side that wrote the description."""
    source: Address
    """Where its message came from."""
    is_offer: bool
    """Whether it offers or answers."""
    terms: MediaTerms | None = None
    """Given for the exchange of the INVITE that opens the session."""


class RelayBroker:
    """The questions to media relays that wait for an answer, and the messages of the same calls that wait behind them."""

    def __init__(self, tell: Callable[[ProxyEvent], None]) -> None:
        self._tell = tell
        self._serial = count()
        self._agreements = Agreements()
        self._waits: dict[str, tuple[str, OnReply]] = {}
        self._turns: dict[str, deque[Continuation]] = {}

    def __len__(self) -> int:
        return len(self._waits) + sum(map(len, self._turns.values()))

    def rewrite(self, message: Request | Response, transit: SdpTransit, then: OnRewritten, now: float) -> None:
        """Send a message's description through the relay, then call `then` with the body that goes on."""
        found = find_description(message)
        if found is None or len(self._waits) >= MAX_RELAY_WAITS:
            then(Refusal.UNAVAILABLE, now)
            return
        body, command = message.body, _command(message, found.of(message.body), transit)

        def on_reply(reply: NgReply | None, at: float) -> None:
            sdp = _outcome(reply)
            if isinstance(sdp, bytes) and reply is not None:
                self._agreements.note(transit.relay, command, reply, first=transit.terms is not None)
            then(found.replaced(body, sdp) if isinstance(sdp, bytes) else sdp, at)

        self._ask(transit.call_id, transit.relay, command, on_reply)

    def take_back(self, call_id: str, relay: Address, offerer_tag: str, now: float) -> None:
        """Take back the open offer of a party, if it has one: it was refused, or got no answer."""

        def step(at: float) -> None:
            commands = self._agreements.take_back(call_id, relay, _tag(offerer_tag))
            if commands is None or len(self._waits) >= MAX_RELAY_WAITS:
                self._tell(OfferStands(call_id))
            else:
                self._send_in_order(call_id, relay, commands)

        self.take_turn(call_id, step, now)

    def take_turn(self, call_id: str, step: Continuation, now: float) -> None:
        """Do a step of a call as soon as no earlier message of the call waits at the relay: peers on streams rely on the order.

        Behind a full queue it is done at once: over UDP no peer could rely on the order anyway.
        """
        waiting = self._turns.get(call_id)
        if waiting is None or len(waiting) >= MAX_TURNS:
            step(now)
        else:
            waiting.append(step)

    def delete(self, call_id: str, relay: Address, from_tag: str) -> None:
        """End the relay's session. Nobody waits for the answer: if the command is lost, the relay's own time-out ends the session."""
        self._agreements.forget(call_id)
        self._tell(RelayWanted("", relay, {"command": "delete", "call-id": call_id, "from-tag": _tag(from_tag)}))

    def receive(self, key: str, reply: NgReply | None, now: float) -> None:
        """Take a relay's answer; an unknown key is ignored."""
        held = self._waits.pop(key, None)
        if held is None:
            return
        call_id, then = held
        waiting = self._turns.pop(call_id, deque())
        then(reply, now)
        while waiting and call_id not in self._turns:
            waiting.popleft()(now)
        if waiting:
            self._turns[call_id].extend(waiting)

    def _ask(self, call_id: str, relay: Address, command: Command, then: OnReply) -> None:
        key = str(next(self._serial))
        self._waits[key] = call_id, then
        self._turns.setdefault(call_id, deque())
        self._tell(RelayWanted(key, relay, command))

    def _send_in_order(self, call_id: str, relay: Address, commands: tuple[Command, ...]) -> None:
        """Send commands whose answers change nothing here, each after the answer to the one before."""
        if commands:
            first, *rest = commands
            self._ask(call_id, relay, first, lambda _reply, _at: self._send_in_order(call_id, relay, tuple(rest)))


def _outcome(reply: NgReply | None) -> bytes | Refusal:
    """Return the description in a relay's answer. Only the words of an error tell that a relay is full: the protocol has no code for it."""
    sdp = reply.get(b"sdp") if reply is not None else None
    if reply is None or reply.get(b"result") not in (b"ok", b"error"):
        return Refusal.UNAVAILABLE
    if reply[b"result"] == b"ok":
        return sdp if isinstance(sdp, bytes) else Refusal.UNAVAILABLE
    reason = reply.get(b"error-reason")
    full = isinstance(reason, bytes) and any(word in reason.lower() for word in _FULL)
    return Refusal.UNAVAILABLE if full else Refusal.UNUSABLE


def has_description(message: Request | Response) -> bool:
    """Return whether a message carries a session description; PeerError where one may hide in a body that cannot be read."""
    return find_description(message) is not None


def _command(message: Request | Response, description: bytes, transit: SdpTransit) -> dict[str, object]:
    sent, answered = message.from_.tag, message.to.tag
    by_requester = isinstance(message, Request) is transit.is_offer
    offerer, answerer = (sent, answered) if by_requester else (answered, sent)
    command: dict[str, object] = {
        "command": "offer" if transit.is_offer else "answer",
        "call-id": transit.call_id,
        "from-tag": _tag(offerer),
        "sdp": description,
        "direction": [transit.sender.value, transit.sender.other.value],
        "replace": ["origin", "session connection"],
        "ICE": "remove",
    }
    if answerer:
        command["to-tag"] = _tag(answerer)
    if transit.sender is Side.EXTERNAL:
        command["received-from"] = ["IP4", transit.source[0]]
    if transit.terms is not None:
        transit.terms.write(command)
    return command


def _tag(text: str) -> bytes:
    # RFC 2543 callers have no tag; the relay needs one.
    return (text or "none").encode("utf-8", "surrogateescape")
