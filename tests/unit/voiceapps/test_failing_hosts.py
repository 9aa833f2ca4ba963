"""An operator ends the rest of a host that does not take webhooks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.unit.voiceapps.builders import ACTOR
from tests.unit.voiceapps.test_deliveries import answer, claim, due_now, several, store
from voiceapps.models import AuditEntry, FailingHost, WebhookDelivery
from voiceapps.services.delivery import failing_hosts
from voiceapps.services.delivery.failing_hosts import NotRestingError
from voiceapps.services.delivery.pacing import REST_AFTER

pytestmark = pytest.mark.django_db


@pytest.fixture
def resting() -> FailingHost:
    """A host that rests, for which all deliveries wait."""
    several(REST_AFTER + 1)
    for one in claim()[:REST_AFTER]:
        store(one, answer(503))
    # The last one has not been tried: a worker has it.
    WebhookDelivery.objects.filter(attempts=None).update(next_attempt_at=timezone.now() + timedelta(seconds=3))
    return FailingHost.objects.get()


def test_its_rest_ends_and_one_request_is_sent(resting: FailingHost) -> None:
    assert claim() == []
    assert failing_hosts.ask_now(resting.pk, actor=ACTOR)
    [only] = claim()
    due_now(*WebhookDelivery.objects.exclude(pk=only.delivery_id)[:2])
    store(only, answer(503))
    resting.refresh_from_db()
    assert failing_hosts.rests(resting)
    assert claim() == []
    entry = AuditEntry.objects.get(action="failing_host.ask")
    assert (entry.subject, entry.chain) == (resting.host, "9900000")
    assert entry.before["rests_until"] > entry.changes["rests_until"]


def test_an_answer_makes_it_well(resting: FailingHost) -> None:
    failing_hosts.ask_now(resting.pk, actor=ACTOR)
    [only] = claim()
    store(only, answer(204))
    assert not FailingHost.objects.exists()


def test_where_nothing_waits_only_the_rest_ends(resting: FailingHost) -> None:
    WebhookDelivery.objects.update(state="failed", next_attempt_at=None)
    assert not failing_hosts.ask_now(resting.pk, actor=ACTOR)
    resting.refresh_from_db()
    assert not failing_hosts.rests(resting)
    assert resting.rests_until is not None


def test_a_host_that_does_not_rest_is_not_asked(resting: FailingHost) -> None:
    for rests_until in (None, timezone.now()):
        FailingHost.objects.update(rests_until=rests_until)
        with pytest.raises(NotRestingError, match="does not rest"):
            failing_hosts.ask_now(resting.pk, actor=ACTOR)
    assert not AuditEntry.objects.filter(action="failing_host.ask").exists()
