"""Session descriptions on their way through the media relay, in rtpengine's ng protocol (D6).

Who offers and who answers follows RFC 3264 and RFC 6337: a request's description is an offer, except in an ACK and in a
PRACK after a late offer; a response's is the answer to its request's offer, and an offer where the request had none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sipproxy.core.config import Address
from sipproxy.core.events import RelayWanted, Side
from sipproxy.core.limits import MAX_RELAY_WAITS
from sipproxy.core.state import State
from sipproxy.sip import Request, Response

Reply = Mapping[bytes, object]
Then = Callable[[bytes | None, float], None]
"Called with the rewritten description, None where the relay refused or was silent, and the time."


@dataclass(frozen=True, slots=True)
class Passage:
    """Say whose description passes which way."""

    call_id: str
    "The internal call id: the relay's session."
    relay: Address
    "The relay's ng address."
    sender: Side
    "The side that wrote the description."
    source: Address
    "Where its message came from."
    is_offer: bool
    "Whether it offers or answers."


class Media:
    """Ask relays and bring their answers back to who waits."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._waits: dict[str, Then] = {}

    def __len__(self) -> int:
        return len(self._waits)

    def rewrite(self, message: Request | Response, passage: Passage, then: Then, now: float) -> None:
        """Send a message's description through the relay, then call `then`."""
        if len(self._waits) >= MAX_RELAY_WAITS:
            then(None, now)
            return
        key = self._state.new_key()
        self._waits[key] = then
        self._state.tell(RelayWanted(key, passage.relay, _command(message, passage)))

    def delete(self, call_id: str, relay: Address, from_tag: str) -> None:
        """End the relay's session; nobody waits for the answer, and the relay's own time-out stands behind it."""
        self._state.tell(RelayWanted("", relay, {"command": "delete", "call-id": call_id, "from-tag": _tag(from_tag)}))

    def receive(self, key: str, reply: Reply | None, now: float) -> None:
        """Take a relay's answer; an unknown key is fine."""
        then = self._waits.pop(key, None)
        if then is None:
            return
        sdp = reply.get(b"sdp") if reply is not None and reply.get(b"result") == b"ok" else None
        then(sdp if isinstance(sdp, bytes) else None, now)


def has_description(message: Request | Response) -> bool:
    """Tell whether a message carries a session description that the relay can read."""
    kind = (message.header("content-type") or "").partition(";")[0].strip().lower()
    return bool(message.body) and kind == "application/sdp"


def is_multipart(message: Request | Response) -> bool:
    """Tell whether a session description may hide in the body where the relay does not see it."""
    return bool(message.body) and (message.header("content-type") or "").lower().startswith("multipart/")


def _command(message: Request | Response, passage: Passage) -> dict[str, object]:
    sent, answered = message.from_.tag, message.to.tag
    by_requester = isinstance(message, Request) is passage.is_offer
    offerer, answerer = (sent, answered) if by_requester else (answered, sent)
    command: dict[str, object] = {
        "command": "offer" if passage.is_offer else "answer",
        "call-id": passage.call_id,
        "from-tag": _tag(offerer),
        "sdp": message.body,
        "direction": [passage.sender.value, passage.sender.other.value],
        "replace": ["origin", "session connection"],
        "ICE": "remove",
    }
    if answerer:
        command["to-tag"] = _tag(answerer)
    if passage.sender is Side.EXTERNAL:
        command["received-from"] = ["IP4", passage.source[0]]
    return command


def _tag(text: str) -> bytes:
    # RFC 2543 callers have no tag, the relay needs one.
    return (text or "none").encode("utf-8", "surrogateescape")
