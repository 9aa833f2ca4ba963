"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client
from hypothesis import settings

from sipuri_project.logging import flush
from tests.support.api import ApiCustomer
from tests.support.order_taker import OrderTaker
from voiceapps.services import accounts, clients
from voiceapps.services.audit import Actor

# A machine that does other work at the same time is no fault of what is tested.
settings.register_profile("sipuri", deadline=None)
settings.load_profile("sipuri")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Have a test's log written while its output is captured."""
    try:
        yield
    finally:
        flush()


ACTOR = Actor("test")
SECRET = "a-client-secret-of-enough-length"


def _customer(account_id: str, client_id: str) -> ApiCustomer:
    account = accounts.ensure_account(account_id, actor=ACTOR)
    clients.ensure_client(client_id, SECRET, account, actor=ACTOR)
    return ApiCustomer(Client(), account_id, client_id, SECRET)


@pytest.fixture(autouse=True)
def fresh_counters() -> None:
    """Forget what rates and failures earlier tests have counted."""
    cache.clear()


@pytest.fixture
def customer(db: None) -> ApiCustomer:
    return _customer("9900000", "client-one")


@pytest.fixture
def stranger(db: None) -> ApiCustomer:
    return _customer("9911111", "client-two")


@pytest.fixture
def order_taker(monkeypatch: pytest.MonkeyPatch) -> OrderTaker:
    return OrderTaker(monkeypatch)
