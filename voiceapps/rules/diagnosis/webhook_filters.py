"""What a list of webhook deliveries is narrowed by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from voiceapps.rules.diagnosis import filter_fields
from voiceapps.rules.diagnosis.filter_fields import Asked, Place, Reader, Values, given_of, read_fields

FIELDS = ("state", "event", "account", "app", "host", "call", "since", "until")
STATES = ("failed", "pending", "delivered")

_CALL = re.compile(r"c-[0-9a-f-]{45}")
_EVENT = re.compile(r"[A-Za-z]{1,32}")
_HOST = re.compile(r"[^\s/?#@]{1,261}")


@dataclass(frozen=True, slots=True)
class WebhookFilter:
    """What deliveries have to be like; what is empty is not asked."""

    state: str = ""
    event_type: str = ""
    account_id: str = ""
    application_id: UUID | None = None
    host: str = ""
    """A name, or a name and its port."""
    call_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


def read(query: Mapping[str, str], now: datetime) -> Asked[WebhookFilter]:
    """Return what a query asks for."""
    given = given_of(query, FIELDS, now)
    values, errors = read_fields(given, _READERS, _RULES, now)
    if errors:
        return Asked(given, None, errors)
    found = WebhookFilter(**values)  # type: ignore[arg-type]  # each reader gives the fields that it names
    if found.since and found.since >= (found.until or now):
        return Asked(given, None, {"since": "It must be before the end of the span."})
    return Asked(given, found)


def place(text: str) -> Place:
    """Return the place of a delivery that a link names; raises ValueError."""
    found = Place.parse(text)
    try:
        UUID(found.key)
    except ValueError:
        raise ValueError("Not a place in this list.") from None
    return found


def is_of_host(host: str, asked: str) -> bool:
    """Return whether `name:port` is the host that is asked for, by its name or by both."""
    return asked in (host, host.rpartition(":")[0])


def _state(text: str, _now: datetime) -> Values:
    if text not in STATES:
        raise ValueError
    return {"state": text}


def _event(text: str, _now: datetime) -> Values:
    if not _EVENT.fullmatch(text):
        raise ValueError
    return {"event_type": text}


def _host(text: str, _now: datetime) -> Values:
    if not _HOST.fullmatch(text):
        raise ValueError
    return {"host": text.lower()}


def _call(text: str, _now: datetime) -> Values:
    if not _CALL.fullmatch(text):
        raise ValueError
    return {"call_id": text}


_READERS: Mapping[str, Reader] = {
    "state": _state,
    "event": _event,
    "account": filter_fields.account,
    "app": filter_fields.application,
    "host": _host,
    "call": _call,
    "since": filter_fields.time("since"),
    "until": filter_fields.time("until"),
}
_RULES = {
    **filter_fields.RULES,
    "state": f"Choose one of {', '.join(STATES)}.",
    "event": "Write an event as webhooks name it, such as disconnect.",
    "host": "Write a host as in the URL, with or without its port, such as backend.example.com or backend.example.com:8443.",
    "call": "Write a call's id, as it stands on the call's page: c- and 45 further characters.",
}
