"""Take the API's orders for the calls of this node, soon after they are given.

The bell says that there is one. Where it cannot be heard, and where there is none, the database is asked often; otherwise rarely, in
case a ring was lost. A node without calls asks nothing.
"""

from __future__ import annotations

from typing import Protocol

import structlog
from django.db import DatabaseError

from callflow.adapters.order_bell import OrderBell
from callflow.bxml import Webhook, parse_document
from callflow.engine.orders import Completion, NewDocument, Order, Redirection
from daemonkit.rounds import Rounds, surviving
from voiceapps.daemon.database import DatabaseBusyError, DatabaseExecutor
from voiceapps.rules.call_orders import CallOrder, OrderKind, Outcome
from voiceapps.services import call_orders

DEAF_SECONDS, HEARING_SECONDS = 0.1, 1.0
"""How often the database is asked without a bell, and with one."""

log = structlog.get_logger(__name__)


class Calls(Protocol):
    """The calls of a node, and what can be done to each by its id."""

    @property
    def load(self) -> int:
        """The number of calls in progress."""

    def obey(self, call_id: str, order: Order) -> Outcome:
        """Have a call leave its document, or end."""

    def set_recording(self, call_id: str, *, on: bool) -> Outcome:
        """Pause or resume what is being recorded."""


class OrderReader:
    """The orders of one node."""

    def __init__(self, database: DatabaseExecutor, name: str, bell: OrderBell, calls: Calls) -> None:
        self._bell = bell
        self._calls = calls
        self._database = database
        self._is_away = False
        """True if the database did not answer the last time."""
        self._name = name
        self._rounds = Rounds("call_orders", self._once, lambda: 0.0)

    def start(self) -> None:
        """Start to listen."""
        self._bell.start()
        self._rounds.start()

    async def stop(self) -> None:
        """Take no more orders."""
        self._rounds.stop()
        await self._bell.close()

    async def _once(self) -> None:
        """Wait for the bell, for a while, and carry out what there is."""
        await self._bell.wait(HEARING_SECONDS if self._bell.is_heard or self._is_away else DEAF_SECONDS)
        if not self._calls.load:
            return
        self._is_away = True
        try:
            orders = await self._database.write(call_orders.take, self._name)
            outcomes = []
            for order in orders:
                with surviving("call_order"):
                    outcomes.append((order.number, self._carry_out(order)))
            if outcomes:
                await self._database.write(call_orders.settle, outcomes)
            self._is_away = False
        except (DatabaseError, DatabaseBusyError) as error:
            log.warning("orders_unreadable", error=str(error))

    def _carry_out(self, order: CallOrder) -> Outcome:
        log.info("call_ordered", call_id=order.call_id, kind=order.kind.value)
        match order.kind:
            case OrderKind.COMPLETE:
                return self._calls.obey(order.call_id, Completion())
            case OrderKind.RECORDING:
                return self._calls.set_recording(order.call_id, on=order.details["state"] == "recording")
            case OrderKind.REDIRECT:
                return self._calls.obey(order.call_id, _redirection(order))
            case OrderKind.DOCUMENT:
                details = order.details
                document = parse_document(str(details["bxml"]).encode("latin-1"), str(details["charset"]))
                return self._calls.obey(order.call_id, NewDocument(document))


def _redirection(order: CallOrder) -> Redirection:
    given = {name: str(value) for name, value in order.details.items()}
    fallback = None
    if given.get("redirectFallbackUrl"):
        fallback = Webhook(
            given["redirectFallbackUrl"],
            given["redirectFallbackMethod"],
            given.get("fallbackUsername", ""),
            given.get("fallbackPassword", ""),
        )
    webhook = Webhook(given["redirectUrl"], given["redirectMethod"], given.get("username", ""), given.get("password", ""), fallback)
    return Redirection(webhook, given.get("tag"))
