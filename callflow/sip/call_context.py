"""What all calls of one user agent share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from callflow.sip.dialogs import Dialog
from callflow.sip.events import AgentEvent
from callflow.sip.session_timer import MIN_SECONDS
from daemonkit.address import Address
from sipproxy.mac import Keys
from sipproxy.sip import Request, Response
from sipproxy.sip.methods import ALLOW
from sipproxy.transactions.events import Key
from sipproxy.transactions.layer import TransactionLayer
from sipproxy.transactions.timers import Timers

SDP_TYPE = "application/sdp"
FRAGMENT_TYPE = "message/sipfrag"
REFER_EVENT = "refer"
"""The one event that we take NOTIFYs of (RFC 3515 section 3)."""
USER_AGENT = "sipuri"
ACCEPT = f"{SDP_TYPE}, application/dtmf-relay, application/dtmf, {FRAGMENT_TYPE}"
"""The bodies that a dialog takes."""
CAPABILITIES = (("Allow", ALLOW), ("Accept", ACCEPT), ("Supported", "timer, 100rel"))
"""The headers by which we say what we can (RFC 3261 section 11.2)."""
REFUSAL_HEADERS = {
    405: ("Allow", ALLOW),
    415: ("Accept", ACCEPT),
    422: ("Min-SE", str(MIN_SECONDS)),
    489: ("Allow-Events", REFER_EVENT),
    500: ("Retry-After", "1"),
}
"""What a refusal inside a dialog says beside its status."""


@dataclass(frozen=True, slots=True)
class UserAgentConfig:
    """A user agent's settings; times are in seconds."""

    local: Address
    """The address of our socket, which our Via shows."""
    session_expires: int | None = None
    """Longest session interval that we agree to; None uses no session timers (RFC 4028)."""
    max_calls: int = 500
    invite_keys: Keys = field(default=(), repr=False)
    """Open the seals of our proxies' INVITEs; an agent without any takes no calls."""


class CallTimer(Enum):
    """The timers of a call."""

    ACK_MISSING = auto()
    EXPIRE = auto()
    KEEPALIVE = auto()
    OUTCOME_MISSING = auto()
    PRACK_MISSING = auto()
    REFRESH = auto()
    REPEAT_ANSWER = auto()
    REPEAT_RINGING = auto()
    STILL_RINGING = auto()


@dataclass(slots=True)
class CallContext:
    """The transaction layer, the timers and the event queue of a user agent's calls."""

    config: UserAgentConfig
    layer: TransactionLayer
    new_token: Callable[[], str]
    new_key: Callable[[int], bytes]
    """Returns as many random octets."""
    events: deque[AgentEvent] = field(default_factory=deque)
    owners: dict[Key, int] = field(default_factory=dict)
    """Calls by the transactions that belong to them."""
    timers: Timers[tuple[int, CallTimer]] = field(default_factory=Timers)
    came_at: float = 0.0
    """When the datagram at hand came."""

    def cancel_timers(self, call: int) -> None:
        """Stop every timer of a call."""
        for timer in CallTimer:
            self.timers.cancel((call, timer))

    def answer_request(self, key: Key, request: Request, status: int, now: float, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Answer a request without a body; `headers` are added to the response."""
        response = request.make_response(status, to_tag=self.new_token())
        for name, value in headers:
            response.append(name, value)
        self.respond(key, response, now)

    def refuse(self, key: Key, request: Request, status: int, now: float) -> None:
        """Refuse a request, with the header that goes with the status."""
        header = REFUSAL_HEADERS.get(status)
        self.answer_request(key, request, status, now, [header] if header else [])

    def respond(self, key: Key, response: Response, now: float) -> None:
        """Send a response in its server transaction."""
        self.layer.respond(key, response, now)

    def send(self, call: int, request: Request, target: Address, now: float) -> Key:
        """Send a request; its responses go to this call."""
        key = self.layer.send_request(request, target, now)
        self.owners[key] = call
        return key

    def send_in_dialog(
        self, call: int, dialog: Dialog, method: str, now: float, *, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> Key:
        """Send the dialog's next request; its responses go to this call."""
        return self.send(call, dialog.make_request(method, self.via(), [*headers], body), dialog.next_hop(), now)

    def tell(self, event: AgentEvent) -> None:
        """Queue an event for the shell."""
        self.events.append(event)

    def via(self) -> str:
        """Return a Via with a fresh branch."""
        host, port = self.config.local
        return f"SIP/2.0/UDP {host}:{port};branch={self.layer.new_branch()};rport"
