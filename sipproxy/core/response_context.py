"""The response context of RFC 3261 section 16.6: one request that was let through, with everything that its responses need.

Its life is the table below. `MOVES[phase][input]` is the next phase; an input that a phase does not list changes nothing. Nothing
else in the code changes a phase.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import auto

from daemonkit.address import Address
from sipproxy.core.relay_broker import MediaTerms
from sipproxy.headers.record_route import InnerRoute, RouteToken
from sipproxy.sip import Request
from sipproxy.transactions.events import Key
from sipproxy.transactions.listener import Listener, Side
from sipproxy.transactions.tables import IdentityEnum

ContextId = tuple[Listener, Key]


class Phase(IdentityEnum):
    """How far a request has come."""

    CALLING = auto()  # its target has not answered yet
    PROCEEDING = auto()  # the target has answered, the sender has seen nothing but our 100: another target may be tried
    RINGING = auto()  # the sender has seen a provisional response: no failover after that
    CANCELLING = auto()  # the sender cancelled and the target, which has answered before, was told
    CANCELLED = auto()  # the sender cancelled before the target answered: the final response is ours
    FINISHED = auto()  # a final response went back


class Input(IdentityEnum):
    """What can happen to a request."""

    NEXT_TARGET = auto()
    TARGET_ANSWERED = auto()
    PROVISIONAL_SENT = auto()
    CANCEL = auto()
    FINAL_SENT = auto()


FIRST = Phase.CALLING
MOVES: dict[Phase, dict[Input, Phase]] = {
    Phase.CALLING: {
        Input.NEXT_TARGET: Phase.CALLING,
        Input.TARGET_ANSWERED: Phase.PROCEEDING,
        Input.CANCEL: Phase.CANCELLED,
        Input.FINAL_SENT: Phase.FINISHED,
    },
    Phase.PROCEEDING: {
        Input.NEXT_TARGET: Phase.CALLING,
        Input.PROVISIONAL_SENT: Phase.RINGING,
        Input.CANCEL: Phase.CANCELLING,
        Input.FINAL_SENT: Phase.FINISHED,
    },
    Phase.RINGING: {
        Input.CANCEL: Phase.CANCELLING,
        Input.FINAL_SENT: Phase.FINISHED,
    },
    Phase.CANCELLING: {Input.FINAL_SENT: Phase.FINISHED},
    Phase.CANCELLED: {Input.FINAL_SENT: Phase.FINISHED},
    Phase.FINISHED: {},
}
UNANSWERED = (Phase.CALLING, Phase.CANCELLED)
"""The phases in which the current target has not said anything."""
CANCELLED = (Phase.CANCELLING, Phase.CANCELLED)
"""The phases in which the sender has cancelled and has no final response yet."""


@dataclass(slots=True, eq=False)
class ResponseContext:
    """One request, from its arrival to the end of its server transaction."""

    listener: Listener
    """Where the request came in."""
    key: Key
    """Its server transaction there."""
    request: Request
    """As it came, private headers gone; its Vias are put back into every response."""
    source: Address
    """Where the datagram came from."""
    call_id: str
    """The internal call id."""
    relay: Address
    """The ng address of the call's relay."""
    initial: bool
    """Whether it is the INVITE that starts the call."""
    offered: bool
    """Whether it carries an offer; without one the 2xx does (a late offer)."""
    phase: Phase = FIRST
    """How far it has come; only `move` changes it."""
    outgoing: Request | None = None
    """The edited request without the headers of the hop: every target gets a copy."""
    token: RouteToken | None = None
    """The dialog's token; for the first INVITE the one of the current target."""
    signed: str = ""
    """That token's text, as the sender sees it."""
    recorded: str = ""
    """The text that the target got in Record-Route: another one, if the call has gone to another relay since."""
    signed_flow: str = ""
    """What the Request-URI carried of a caller that has moved; the answer's Contact gets it again."""
    inner: InnerRoute | None = None
    """The route behind a static target that a request of the caller followed."""
    terms: MediaTerms | None = None
    """The application's terms for the media, in the INVITE that starts a call."""
    passed_on: bool = False
    """Whether another proxy of the fleet sends the request: the relay has nothing to do here."""
    target: Address = ("", 0)
    """Where the request went last."""
    egress: Listener | None = None
    """The listener that it leaves by."""
    client: Key | None = None
    """The client transaction there, towards `target`."""
    tried: list[Address] = field(default_factory=list)
    """The targets so far."""
    abandoned: dict[Key, Address] = field(default_factory=dict)
    """Client transactions that were given up, and their targets; a late 2xx in one is hung up."""
    hung_up: set[Key] = field(default_factory=set)
    """Those of them where a 2xx was hung up."""
    counted: bool = False
    """Whether `target` still counts this INVITE as on its way."""
    rewritten: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    """Session descriptions that the relay has rewritten, by tag and body: repeated responses do not ask again."""

    def move(self, given: Input) -> None:
        """Change the phase by one input; an input that the phase does not list changes nothing."""
        self.phase = MOVES[self.phase].get(given, self.phase)

    @property
    def id(self) -> ContextId:
        """The key of this context in timers and tables."""
        return self.listener, self.key

    @property
    def side(self) -> Side:
        """The side that the request came from."""
        return self.listener.side
