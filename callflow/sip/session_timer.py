"""Session timers (RFC 4028): one end refreshes the session, the other ends it when the refreshes stop."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from sipproxy.sip import Message, Request, Response

MIN_SECONDS = 90
"""The RFC's minimum; shorter intervals are refused with 422."""
_VALUE = re.compile(r"(\d{1,9})\s*(?:;(.*))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class SessionTimer:
    """The interval that both ends agreed on, and who refreshes."""

    seconds: int
    we_refresh: bool
    require: bool
    """True if the peer supports session timers, so that our 2xx may require them."""
    minimum: int = MIN_SECONDS
    """The shortest interval that the path to the peer takes, which our refreshes name."""

    @property
    def due_after(self) -> float:
        """Seconds until we refresh, or until a session that the peer did not refresh is over (RFC 4028 section 10)."""
        return self.seconds / 2 if self.we_refresh else self.seconds - min(32.0, self.seconds / 3)

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers of a 2xx that state the agreement; `uas` is us, as the INVITE came from the peer."""
        refresher = "uas" if self.we_refresh else "uac"
        headers = [("Session-Expires", f"{self.seconds};refresher={refresher}")]
        return [*headers, ("Require", "timer")] if self.require else headers


def too_small(request: Request) -> bool:
    """Return whether an INVITE or UPDATE asks for an interval below the minimum."""
    asked = _read(request)
    return asked is not None and asked[0] < MIN_SECONDS


def agree(request: Request, ours: int) -> SessionTimer:
    """Return the timer for an INVITE or UPDATE that arrived: at most our interval, with the refresher that the caller wants."""
    asked = _read(request)
    supported = "timer" in {value.lower() for value in request.values("supported")}
    seconds, refresher = asked or (ours, "")
    seconds = min(seconds, max(ours, _minimum(request)))
    we_refresh = not (supported and refresher == "uac")
    return SessionTimer(seconds, we_refresh, supported)


def follow(timer: SessionTimer, response: Response) -> SessionTimer:
    """Return the timer after a response to our refresh (RFC 4028 sections 7.2 and 7.3).

    A 2xx may shorten the interval, and a 422 names a longer one. Who refreshes stays: we asked for it.
    """
    if response.status == 422:
        minimum = max(timer.minimum, _minimum(response))
        return replace(timer, seconds=max(timer.seconds, minimum), minimum=minimum)
    asked = _read(response)
    if asked is None or response.status >= 300:
        return timer
    return replace(timer, seconds=min(timer.seconds, max(asked[0], MIN_SECONDS)))


def _minimum(message: Message) -> int:
    match = _VALUE.fullmatch(message.header("min-se") or "")
    return int(match[1]) if match else MIN_SECONDS


def _read(message: Message) -> tuple[int, str] | None:
    match = _VALUE.fullmatch(message.header("session-expires") or "")
    if match is None:
        return None
    parameters = (match[2] or "").replace(" ", "").lower().split(";")
    return int(match[1]), "uac" if "refresher=uac" in parameters else ""
