"""One request on its way through the proxy, with everything that its responses need."""

from __future__ import annotations

from dataclasses import dataclass, field

from daemonkit.address import Address
from sipproxy.core.token import RouteToken
from sipproxy.sip import Request
from sipproxy.transactions.events import Key
from sipproxy.transactions.listener import Listener, Side

ContextId = tuple[Listener, Key]


@dataclass(slots=True, eq=False)
class ResponseContext:
    """Hold a request that was let through, from its arrival to the end of its server transaction."""

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
    """Whether it carries an offer; a late offer comes in the 2xx."""
    outgoing: Request | None = None
    """The edited request without its hop: what a next target gets too."""
    token: RouteToken | None = None
    """The dialog's token; for the first INVITE the one of the current target."""
    signed: str = ""
    """That token's text."""
    target: Address = ("", 0)
    """Where the request went last."""
    egress: Listener | None = None
    """Where it leaves."""
    client: Key | None = None
    """The client transaction there, towards `target`."""
    tried: list[Address] = field(default_factory=list)
    """Targets that had their chance."""
    abandoned: dict[Key, Address] = field(default_factory=dict)
    """Client transactions that were given up, and where they went; a late 2xx in one is hung up."""
    hung_up: set[Key] = field(default_factory=set)
    """Those where that happened."""
    counted: bool = False
    """Whether `target` still counts this INVITE as on its way."""
    heard: bool = False
    """Whether the current target said anything."""
    ringing: bool = False
    """Whether a provisional response went back: no failover after that."""
    finished: bool = False
    """Whether a final response went back."""
    cancelled: bool = False
    """Whether the caller cancelled."""
    rewritten: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    """Session descriptions that the relay rewrote already, by tag and body: repeated responses do not ask again."""

    @property
    def id(self) -> ContextId:
        """Return what timers and tables know it by."""
        return self.listener, self.key

    @property
    def side(self) -> Side:
        """Return the side the request came from."""
        return self.listener.side
