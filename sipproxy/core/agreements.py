"""What the parties of a call have agreed on at the relay, and the offers that still wait for an answer.

An offer acts when it is accepted; one that is refused, cancelled or left without an answer changes nothing (RFC 3261 14.1, RFC 6337 4.2).
ng has no word for that. Our own relay holds such an offer provisionally and takes it back by a command of ours. Another relay has
acted on it at once, so what was agreed before is kept here and sent once more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from daemonkit.address import Address
from sipproxy.core.limits import MAX_AGREEMENTS, MAX_OPEN_OFFERS

Command = Mapping[str, object]
NgReply = Mapping[bytes, object]
_PROVISIONAL = b"sipuri-provisional"


@dataclass(frozen=True, slots=True)
class _Offer:
    """An offer that waits for its answer."""

    command: Command
    first: bool
    """Whether it opens the session: then there is nothing to go back to."""


@dataclass(slots=True)
class _Talk:
    """The offers and answers of one call."""

    offers: dict[object, _Offer] = field(default_factory=dict)
    """By the tag of who offered."""
    agreed: tuple[Command, Command] | None = None
    """The last offer that was answered, and its answer."""


class Agreements:
    """The offers and answers of the latest calls, at most `max_calls` of them; the one that was quiet longest makes room."""

    def __init__(self, *, max_calls: int = MAX_AGREEMENTS) -> None:
        self._max = max_calls
        self._talks: OrderedDict[object, _Talk] = OrderedDict()
        self._own_relays: set[Address] = set()

    def __len__(self) -> int:
        return len(self._talks)

    def note(self, relay: Address, command: Command, reply: NgReply, *, first: bool) -> None:
        """Note an offer or an answer that a relay has taken."""
        if _PROVISIONAL in reply:
            # One of a few: callers choose no relays.
            self._own_relays.add(relay)
        talk, tag = self._talk(command["call-id"]), command["from-tag"]
        if command["command"] == "offer":
            if tag in talk.offers or len(talk.offers) < MAX_OPEN_OFFERS:
                talk.offers[tag] = _Offer(command, first)
            return
        offer = talk.offers.pop(tag, None)
        if relay in self._own_relays:
            talk.agreed = None
        elif offer is not None:
            talk.agreed = offer.command, command
        elif talk.agreed is not None and talk.agreed[0]["from-tag"] == tag:
            # The answer of an 18x comes again in the 2xx, and may differ there.
            talk.agreed = talk.agreed[0], command

    def take_back(self, call_id: str, relay: Address, tag: bytes) -> tuple[Command, ...] | None:
        """Return the commands that undo the open offer of a party, none where it has none; None where what was agreed is not known here."""
        talk = self._talks.get(call_id)
        offer = talk.offers.pop(tag, None) if talk is not None else None
        if talk is None or offer is None or offer.first:
            return ()
        if relay in self._own_relays:
            return ({"command": "sipuri-withdraw", "call-id": call_id, "from-tag": tag},)
        return talk.agreed

    def forget(self, call_id: str) -> None:
        """Forget a call that has ended."""
        self._talks.pop(call_id, None)

    def _talk(self, call_id: object) -> _Talk:
        talk = self._talks.get(call_id)
        if talk is None:
            talk = self._talks[call_id] = _Talk()
            if len(self._talks) > self._max:
                self._talks.popitem(last=False)
        self._talks.move_to_end(call_id)
        return talk
