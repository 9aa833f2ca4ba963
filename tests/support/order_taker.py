"""A call-flow node that carries out orders while who gave them waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from voiceapps.rules.call_orders import CallOrder, Outcome
from voiceapps.services import call_orders

NODE = "callflow"


class OrderTaker:
    """Takes orders in the moments in which the service would sleep; time passes faster for who waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outcome = Outcome.DONE
        self.is_there = True
        self.taken: list[CallOrder] = []
        self.slept = 0.0
        self.when_slept: Callable[[], None] = lambda: None
        monkeypatch.setattr(call_orders, "time", SimpleNamespace(sleep=self._sleep, monotonic=lambda: time.monotonic() + self.slept))

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.when_slept()
        if self.is_there:
            orders = call_orders.take(NODE)
            self.taken += orders
            call_orders.settle([(order.number, self.outcome) for order in orders])
