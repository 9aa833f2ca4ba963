"""Calls that our own phone places to an application: ordered in a table, placed by a worker, and kept for a day with what was heard.

They come in at the front door, with the application's own digest, from the worker's address: what the proxy says to them it says to
any caller there.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from celery import current_app
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from daemonkit.address import Address
from voiceapps.models import PlacedCall, SipCredential, VoiceApplication
from voiceapps.rules.trials.placed_call import MAX_SECONDS, Dialling, Outcome, SipLine
from voiceapps.selectors import NodeView, live_nodes
from voiceapps.services import audit
from voiceapps.services.announcements import Announcer
from voiceapps.services.audit import Actor
from voiceapps.services.call_rows import storable
from voiceapps.services.trials.trial_table import NO_WORKER, TrialTable

MAX_KEPT = 50
MAX_OPEN = 4
MAX_RUNNING = 2
MAX_PROXIES = 4
"""That are tried for one call."""
TABLE = TrialTable(PlacedCall, MAX_KEPT, MAX_OPEN, MAX_RUNNING, timedelta(seconds=MAX_SECONDS + 90))
UNREADABLE = "No key in SIPURI_FIELD_KEYS opens its digits or its application's SIP password."
DISABLED = "The application takes no calls: its SIP URI was disabled."


class NotCallableError(Exception):
    """The application has no SIP URI."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A call to be placed now."""

    placed_call_id: UUID
    sip_call_id: str
    uri: str
    username: str
    realm: str
    ha1: Mapping[str, str]
    """By algorithm; empty if the application knows no password."""
    proxies: tuple[Address, ...]
    """Those that the DNS names, and the one of this host."""
    dialling: Dialling


def order(application: VoiceApplication, dialling: Dialling, *, actor: Actor) -> PlacedCall:
    """Have a call to an application placed soon; raises NotCallableError, TooManyOpenError."""
    if application.sip_uri is None:
        raise NotCallableError
    with transaction.atomic():
        TABLE.make_room(application.account_id)
        row = PlacedCall.objects.create(
            account_id=application.account_id,
            application=application,
            dialling=json.dumps(dialling.as_form()),
            sip_call_id=f"{secrets.token_hex(12)}@sipuri-trial",
            created_at=timezone.now(),
        )
        changes: dict[str, object] = {"sip_call_id": row.sip_call_id}
        audit.record(actor, "application.place_call", str(application.pk), changes, account=application.account_id)
        transaction.on_commit(announcer.put)
    return row


def claim(places: int) -> list[Planned]:
    """Claim as many calls that wait as there are places, the oldest first, a few of each account."""
    return [planned for row in TABLE.claim(places) if (planned := _plan(row)) is not None]


def give_back(keys: Iterable[UUID]) -> None:
    """Have calls that were claimed placed by another process."""
    TABLE.give_back(keys)


def store(placed_call_id: UUID, outcome: Outcome) -> None:
    """Store what came of a call, unless it was given up meanwhile."""
    lines = tuple(SipLine(line.at, line.direction, storable(line.text)) for line in outcome.lines)
    outcome = replace(outcome, reason=storable(outcome.reason), lines=lines)
    TABLE.end(placed_call_id, outcome=outcome.dump(), heard=outcome.heard)


def sweep() -> None:
    """Give up the calls whose process has ended, and delete old ones."""
    TABLE.sweep(outcome=Outcome(problem=NO_WORKER).dump())


def _plan(row: PlacedCall) -> Planned | None:
    """Return what a claimed call needs; one that cannot be placed is ended."""
    try:
        row = PlacedCall.objects.select_related("application__credential").defer(*VoiceApplication.JOINED_SECRETS).get(pk=row.pk)
        uri = row.application.sip_uri
        if uri is None:
            store(row.pk, Outcome(problem=DISABLED))
            return None
        username, realm, ha1 = _credential(row.application)
        dialling = Dialling.parse(json.loads(row.dialling))
        return Planned(row.pk, row.sip_call_id, uri, username, realm, ha1, _proxies(), dialling)
    except PlacedCall.DoesNotExist:
        return None
    except InvalidToken:
        store(row.pk, Outcome(problem=UNREADABLE))
        return None


def _credential(application: VoiceApplication) -> tuple[str, str, Mapping[str, str]]:
    """Return the user name, the realm and the HA1 values by algorithm."""
    username = str(application.application_id)
    held = SipCredential.objects.filter(pk=application.pk).first() if application.password_auth_enabled else None
    if held is None:
        return username, settings.SIP_REALM, {}
    return username, held.realm, {algorithm: ha1 for user, algorithm, ha1 in json.loads(held.secrets) if user == username}


def _proxies() -> tuple[Address, ...]:
    """Return the proxies as the DNS names them, and that of this host: a router may not lead back to its own outer address."""
    live = (_address(node) for node in live_nodes("sipproxy") if node.state == "up")
    host, port = settings.SIP_BIND
    own = ("127.0.0.1" if host == "0.0.0.0" else host, port)  # noqa: S104  # it is called where it is bound, not bound
    return tuple(dict.fromkeys([*(address for address in live if address), own]))[:MAX_PROXIES]


def _address(node: NodeView) -> Address | None:
    port = dict(node.transports).get("udp")
    host = node.public_address.rpartition(":")[0]
    return (host, port) if host and port else None


def _send() -> None:
    current_app.send_task("voiceapps.tasks.run_placed_calls", retry=False)


announcer = Announcer(_send)
