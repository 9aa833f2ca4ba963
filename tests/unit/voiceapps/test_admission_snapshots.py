"""What the proxy reads for one INVITE: few queries, with the calls of other proxies counted once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from tests.support.plans import query_plans
from tests.unit.voiceapps.builders import ACTOR, STARTED, ended, facts
from tests.unit.voiceapps.builders import application as make
from voiceapps.daemon.admission_reads import ProxyRun, admission_snapshots
from voiceapps.models import Account, Call, VoiceApplication
from voiceapps.rules.admission import CallCount, Limits
from voiceapps.rules.media_settings import SecureMedia
from voiceapps.rules.reports import CallAdmitted, CallAnswered
from voiceapps.selectors import MAX_PER_QUERY, ended_calls
from voiceapps.services import accounts
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

HERE = ProxyRun("proxy-here", datetime.fromtimestamp(STARTED, UTC) - timedelta(hours=1))


def limit_account(**limits: int | None) -> None:
    account = Account.objects.get(pk="9900000")
    all_limits: dict[str, Any] = {"max_calls": None, "max_calls_per_second": None, "max_applications": None} | limits
    accounts.set_limits(account, actor=ACTOR, **all_limits)


@pytest.fixture(autouse=True)
def account_without_limits() -> None:
    accounts.ensure_account("9900000", actor=ACTOR)
    limit_account()


def admit(row: VoiceApplication, *numbers: int, node: str = "proxy-there") -> None:
    write_reports([CallAdmitted(facts(row, number), node) for number in numbers])


def elsewhere(row: VoiceApplication, asking: ProxyRun | None = HERE) -> CallCount:
    return admission_snapshots([str(row.pk)], asking=asking)[str(row.pk)].calls_elsewhere


def test_without_limits_one_query_is_enough(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    rows = [make(), make()]
    admit(rows[0], 1)
    with django_assert_num_queries(1):
        found = admission_snapshots([str(row.pk) for row in rows], asking=HERE)
    assert [found[str(row.pk)].calls_elsewhere for row in rows] == [CallCount()] * 2
    assert found[str(rows[0].pk)].account_limits == Limits()


def test_no_users_cost_no_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert admission_snapshots([], asking=HERE) == {}


def test_a_rate_limit_alone_reads_no_calls(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    row = make(max_calls_per_second=7)
    limit_account(max_calls_per_second=9)
    with django_assert_num_queries(1):
        snapshot = admission_snapshots([str(row.pk)], asking=HERE)[str(row.pk)]
    assert (snapshot.application_limits, snapshot.account_limits) == (Limits(None, 7), Limits(None, 9))


def test_a_snapshot_says_from_where_media_may_come() -> None:
    row = make(media_learning="nat", media_source_ips=["198.51.100.0/24"], sip_headers=True, mask_digits=True, secure_media="required")
    snapshot = admission_snapshots([str(row.pk)], asking=HERE)[str(row.pk)]
    assert (snapshot.media_learning, snapshot.media_source_ips) == ("nat", ("198.51.100.0/24",))
    assert (snapshot.sip_headers, snapshot.mask_digits, snapshot.secure_media) == (True, True, SecureMedia.REQUIRED)
    other = admission_snapshots([str(make(sip_headers=True).pk)], asking=HERE)
    assert [(held.sip_headers, held.mask_digits) for held in other.values()] == [(True, False)]


def test_limits_of_many_applications_cost_one_more_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    limited, free = make(max_calls=5), make()
    admit(limited, 1, 2)
    admit(free, 3)
    with django_assert_num_queries(2):
        found = admission_snapshots([str(limited.pk), str(free.pk)], asking=HERE)
    assert found[str(limited.pk)].calls_elsewhere == CallCount(2, 0)
    assert found[str(free.pk)].calls_elsewhere == CallCount()


def test_an_accounts_calls_are_those_of_all_its_applications() -> None:
    first, second = make(), make(max_calls=1)
    limit_account(max_calls=10)
    admit(first, 1, 2)
    admit(second, 3)
    gone = make()
    admit(gone, 4)
    VoiceApplication.objects.filter(pk=gone.pk).delete()
    assert elsewhere(first) == CallCount(0, 4)
    assert elsewhere(second) == CallCount(1, 4)


def test_ended_calls_and_the_asking_proxys_own_do_not_count() -> None:
    row = make(max_calls=5)
    admit(row, 1)
    admit(row, 2, node="proxy-here")
    admit(row, 3)
    write_reports([ended(facts(row, 3)), CallAnswered(facts(row, 4), "callflow-1", STARTED)])
    assert elsewhere(row) == CallCount(1, 0)
    assert elsewhere(row, None) == CallCount(3, 0)


def test_a_restarted_proxy_counts_the_calls_that_it_held_before() -> None:
    row = make(max_calls=5)
    admit(row, 1, node="proxy-here")
    assert elsewhere(row) == CallCount()
    assert elsewhere(row, replace(HERE, since=HERE.since + timedelta(hours=2))) == CallCount(1, 0)


def test_live_calls_are_found_by_their_index() -> None:
    row = make(max_calls=5)
    with query_plans() as plans:
        elsewhere(row)
    limit_account(max_calls=5)
    with query_plans() as more_plans:
        elsewhere(row)
    assert [plan.partition(" (")[0] for plan in (plans[1], more_plans[1])] == ["SEARCH voiceapps_opencall USING INDEX open_call"] * 2


def test_ended_calls_are_queried_in_chunks(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    row = make()
    admit(row, 1, 2)
    write_reports([ended(facts(row, 1))])
    asked = [facts(row, number).call_id for number in range(1, MAX_PER_QUERY + 2)]
    with django_assert_num_queries(2):
        assert ended_calls(asked) == {facts(row, 1).call_id}
    with django_assert_num_queries(0):
        assert ended_calls([]) == frozenset()
    assert Call.objects.count() == 2
