"""Orders for calls that go on: a row for the node that holds the call, and a ring of the bell that tells it.

The ring only makes it quicker: a node that does not hear it finds the row by itself. Who orders waits for the outcome; what no
node has taken by then is taken back.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from threading import BoundedSemaphore

import structlog
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import connection
from django.utils import timezone
from redis import Redis
from redis.exceptions import RedisError

from voiceapps import fields
from voiceapps.choices import OrderState
from voiceapps.models import Call, OpenCall
from voiceapps.models import CallOrder as Row
from voiceapps.rules.call_orders import CallOrder, OrderKind, Outcome
from voiceapps.services import audit
from voiceapps.services.audit import Actor

BELL = "sipuri_call_orders"
"""The channel on which the name of a node rings its bell, in Redis or in PostgreSQL."""
NEW_SECONDS = 0.5
HOLDER_SECONDS = 1.0
"""How long a new call may take to be known, and to be known with its node: records are written some times a second."""
MAX_WAITERS = 4
"""Requests of one process that wait for calls which may be new: who asks for calls that never were gets no further threads."""
OUTCOME_SECONDS = 3.0
LOOK_SECONDS = 0.02
REDIS_SECONDS = 0.25
MAX_AT_ONCE = 100
MAX_AGE = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class OrderError(Exception):
    """An order that is not carried out."""


class CallOverError(OrderError):
    """The call has ended."""


class NotRecordingError(OrderError):
    """Nothing of the call is being recorded."""


class NodeSilentError(OrderError):
    """The node that holds the call did not answer in time."""


_ERRORS: dict[str, type[OrderError]] = {Outcome.OVER: CallOverError, Outcome.IDLE: NotRecordingError}


_waiters = BoundedSemaphore(MAX_WAITERS)


def find(account_id: str, call_id: str) -> Call | None:
    """Return an account's call, which its backend may know a moment before the database does."""
    call = _call(account_id, call_id)
    if call is not None or not _waiters.acquire(blocking=False):
        return call
    try:
        until = time.monotonic() + NEW_SECONDS
        while call is None and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            call = _call(account_id, call_id)
        return call
    finally:
        _waiters.release()


def _call(account_id: str, call_id: str) -> Call | None:
    return Call.objects.filter(pk=call_id, account_id=account_id).only("state").first()


def give(call_id: str, kind: OrderKind, details: Mapping[str, object] | None = None) -> None:
    """Have the node of a call do something, and return when it has.

    Raises CallOverError, NotRecordingError and NodeSilentError: nothing was done, unless the node died while it did it.
    """
    row = Row.objects.create(
        call_id=call_id, node=_holder(call_id), kind=kind, details=json.dumps(details or {}), created_at=timezone.now()
    )
    _ring(row.node)
    outcome = _outcome(row)
    row.delete()
    if outcome in _ERRORS:
        raise _ERRORS[outcome](call_id)


def end(call_id: str, *, account_id: str, actor: Actor) -> None:
    """Have the node of an account's call hang up, and return when it has; that it was ordered is on record whatever comes of it.

    Raises CallOverError, NodeSilentError.
    """
    audit.record(actor, "call.end", call_id, {}, account=account_id)
    give(call_id, OrderKind.COMPLETE)


def take(node: str) -> list[CallOrder]:
    """Return the orders that wait for a node, which are its own from now on."""
    waiting = Row.objects.filter(node=node, state=OrderState.WAITING)
    numbers = list(waiting.order_by("pk").values_list("pk", flat=True)[:MAX_AT_ONCE])
    waiting.filter(pk__in=numbers).update(state=OrderState.TAKEN)
    # Those that were taken back meanwhile are gone.
    rows = Row.objects.filter(pk__in=numbers).order_by("pk").values_list("pk", "call_id", "kind", fields.stored("details"))
    return [order for row in rows if (order := _read(*row)) is not None]


def settle(outcomes: Iterable[tuple[int, Outcome]]) -> None:
    """Store what came of orders."""
    numbers: defaultdict[Outcome, list[int]] = defaultdict(list)
    for number, outcome in outcomes:
        numbers[outcome].append(number)
    for outcome, alike in numbers.items():
        Row.objects.filter(pk__in=alike).update(state=outcome.value)


def sweep() -> None:
    """Delete the orders that nobody waits for any more."""
    Row.objects.filter(created_at__lt=timezone.now() - MAX_AGE).delete()


def _read(number: int, call_id: str, kind: str, details: str) -> CallOrder | None:
    """Return an order; None if no key opens it, for which nobody shall wait."""
    try:
        return CallOrder(number, call_id, OrderKind(kind), json.loads(fields.decrypted(details)))
    except InvalidToken:
        log.warning("order_unreadable", number=number)
        settle([(number, Outcome.OVER)])
        return None


def _outcome(row: Row) -> str:
    """Wait for the node, and return what came of the order; raises NodeSilentError."""
    until = time.monotonic() + OUTCOME_SECONDS
    while True:
        state = _state(row)
        if state not in (OrderState.WAITING, OrderState.TAKEN):
            return state
        late = time.monotonic() - until
        if late >= OUTCOME_SECONDS or (late >= 0 and _take_back(row)):
            raise NodeSilentError(row.node)
        time.sleep(LOOK_SECONDS)


def _holder(call_id: str) -> str:
    """Return the node that holds a call; raises CallOverError, NodeSilentError."""
    until = time.monotonic() + HOLDER_SECONDS
    while True:
        held = OpenCall.objects.filter(pk=call_id).first()
        if held is None:
            raise CallOverError(call_id)
        if held.callflow_node:
            return held.callflow_node
        if time.monotonic() >= until:
            raise NodeSilentError(held.proxy_node)
        time.sleep(LOOK_SECONDS)


def _state(row: Row) -> str:
    """Return the present state; a row that is gone was swept, so nobody took it."""
    return Row.objects.filter(pk=row.pk).values_list("state", flat=True).first() or Outcome.OVER


def _take_back(row: Row) -> bool:
    """Take an order back, unless its node has it: that one is about to say what came of it."""
    return bool(Row.objects.filter(pk=row.pk, state=OrderState.WAITING).delete()[0])


def _ring(node: str) -> None:
    if settings.REDIS_URL:
        with suppress(RedisError):
            _redis().publish(BELL, node)
    elif connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [BELL, node])


@lru_cache(maxsize=1)
def _redis() -> Redis:
    return Redis.from_url(settings.REDIS_URL, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)
