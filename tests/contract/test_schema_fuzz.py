"""Random requests, which schemathesis generates from openapi.json: no 5xx, and no status or shape that it does not describe.

`make test` takes a sample; `make fuzz-api` sends thousands (SIPURI_FUZZ_EXAMPLES names how many each operation gets).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation

from sipuri_project.http_request import Utf8Handler
from tests.support.api import ApiCustomer
from tests.support.objects import one_of_each
from voiceapps.models import VoiceApplication

SAMPLE = 3
EXAMPLES = int(os.environ.get("SIPURI_FUZZ_EXAMPLES", str(SAMPLE)))
WHOLE = EXAMPLES > SAMPLE
# JSON Schema cannot express rules between fields, or which ranges are public: a request that conforms to it may get a 400.
ACCEPTED = ["2xx", 400, 401, 403, 404, 409, 412, 429]
CONFIG = SchemathesisConfig.from_dict(
    {"checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}}, "phases": {"coverage": {"enabled": WHOLE}}}
)

# Not the entry point itself: it compares keys with a database, which tests have only within themselves.
schema = schemathesis.openapi.from_wsgi("/openapi.json", Utf8Handler(), config=CONFIG)
some = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not WHOLE,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("order_taker")]
sent: Counter[tuple[str, int]] = Counter()


@pytest.fixture(scope="module", autouse=True)
def report() -> Iterator[None]:
    """Add the requests to the file that `make fuzz-api` summarises."""
    yield
    if "SIPURI_FUZZ_REPORT" in os.environ:
        with Path(os.environ["SIPURI_FUZZ_REPORT"]).open("a", encoding="utf-8") as file:
            file.writelines(f"{count} {status} {operation}\n" for (operation, status), count in sorted(sent.items()))


@contextmanager
def one_connection() -> Iterator[None]:
    """Keep the test's database connection open, which the end of a request would close, as Django's own test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def objects(customer: ApiCustomer) -> dict[str, str]:
    made = one_of_each(customer)
    # The guard refuses this address at once, so that no test sends a DNS query.
    VoiceApplication.objects.update(initiated_url="http://127.0.0.1:9/")
    return made


@schema.parametrize()
@some
def test_with_a_token(case: Any, customer: ApiCustomer, objects: dict[str, str]) -> None:
    path = case.meta.components.get(ParameterLocation.PATH)
    if path is None or path.mode.is_positive:
        case.path_parameters |= {name: objects[name] for name in case.path_parameters}
    exchange(case, {"Authorization": f"Bearer {customer.token}"})


@schema.parametrize()
@settings(some, max_examples=max(1, EXAMPLES // 5))
def test_without_a_token(case: Any, customer: ApiCustomer) -> None:
    exchange(case, {})


def exchange(case: Any, headers: dict[str, str]) -> None:
    """Send a request, check its answer, and roll back what it did."""
    with one_connection(), transaction.atomic():
        answer = case.call(headers=headers)
        transaction.set_rollback(True)
    sent[case.operation.label, answer.status_code] += 1
    case.validate_response(answer, headers=headers)
