"""A request to a customer's backend, and its answer, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from voiceapps.rules.http.charsets import decoded


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """One webhook to send; `body` is sent as JSON or, with GET, as query parameters."""

    url: str
    method: str
    body: Mapping[str, object]
    username: str = ""
    password: str = field(default="", repr=False)
    timeout_seconds: float = 15.0
    account_id: str = ""
    message_id: str = ""
    simulated: bool = False
    """True for a call that nobody places; the backend is told so by the header `webhook-simulated`."""


@dataclass(frozen=True, slots=True)
class OutboundAnswer:
    """The answer to a request; `error` is one sentence, None after any HTTP answer."""

    status: int | None
    body: bytes
    content_type: str
    latency_ms: int
    error: str | None
    charset: str = ""
    """The `charset` of the Content-Type as it was sent, empty without one."""
    coding: str = ""
    """The Content-Encoding of a download, which is handed on as it came."""
    fresh_seconds: float = 0.0
    """How long a download may be used again without asking."""

    def problem(self) -> str | None:
        """Return in one sentence why the answer cannot be used, or None. Redirects are not followed."""
        if self.status is None:
            return self.error or "It could not be reached."
        return None if 200 <= self.status < 300 else f"It answered {self.status}."

    def text(self) -> str:
        """Return the body for people to read, whatever it is; wrong bytes are shown as U+FFFD."""
        try:
            return decoded(self.body, self.charset, errors="replace")
        except ValueError:
            return self.body.decode("utf-8", "replace")
