"""The list of applications: what each proves by, what came to it, and pages that are found by an index."""

from __future__ import annotations

import html
import re
import time
from datetime import timedelta
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.support.plans import query_plans
from tests.unit.voiceapps.builders import ACTOR, application
from tests.unit.voiceapps.people import logged_in, made
from voiceapps.models import Account, Call, CallMinute, RefusalMinute, VoiceApplication
from voiceapps.models.figures import ALL_APPLICATIONS
from voiceapps.reads.applications import listed
from voiceapps.reads.applications.listed import Place, Wanted, application_page
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.rules.people.roles import Role
from voiceapps.services import applications

pytestmark = pytest.mark.django_db

EVIL = '<script>document.title="owned"</script>\u202e'


@pytest.fixture
def operator() -> Client:
    return logged_in(made("op", Role.OPERATOR))


def page(client: Client, **query: str) -> str:
    answer = client.get(reverse("console:apps"), query)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def names(client: Client, **query: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="[^"]+"><bdi[^>]*>([^<]*)</bdi>', page(client, **query))


def many(*wanted: str, account: str = "9900000") -> None:
    application(account)
    VoiceApplication.objects.filter(account=account).delete()
    row = Account.objects.get(pk=account)
    VoiceApplication.objects.bulk_create([VoiceApplication(account=row, name=name, initiated_url="https://a.example/") for name in wanted])


def test_it_says_who_may_call(operator: Client) -> None:
    row = application()
    assert ">off</span>" in page(operator)
    sip = InboundSipPatch(
        enabled=True, password_auth=True, source_ips=("203.0.113.0/24", "192.0.2.0/24"), regions=("EU", "US", "CA", "MX", "BR")
    )
    row = applications.update(row, {}, sip, actor=ACTOR).application
    text = page(operator)
    assert re.findall(r'sipuri-badge">([^<]+)<', text) == ["password", "2 ranges", "EU", "US", "CA", "2 more regions"]
    assert row.sip_uri is not None
    assert row.sip_uri in text


def test_it_counts_what_came_in_the_last_day(operator: Client) -> None:
    row, quiet = application(), application(name="Quiet")
    minute = int(time.time()) // 60
    for ago, number in ((5, 3), (1000, 4), (1500, 100)):
        owner = {"account_id": row.account_id, "minute": minute - ago}
        for of in (row.pk, ALL_APPLICATIONS):
            CallMinute.objects.create(**owner, application_id=of, end_reason="", calls=number, answered=0, talked=0, talk_ms=0)
            RefusalMinute.objects.create(**owner, application_id=of, reason="digest_wrong", attempts=10 * number)
    began = timezone.now() - timedelta(days=3)
    for days in (0, 5):
        Call.objects.create(
            call_id=f"c-{days}",
            account_id=row.account_id,
            application=row,
            source_ip="192.0.2.1",
            source_port=5060,
            started_at=began - timedelta(days=days),
        )
    lines = {line.name: line for line in application_page(Wanted(), timezone.now()).lines}
    assert (lines["App"].calls, lines["App"].refusals, lines["App"].last_call) == (7, 70, began)
    assert (lines["Quiet"].calls, lines["Quiet"].refusals, lines["Quiet"].last_call) == (0, 0, None)
    assert quiet.pk == lines["Quiet"].application_id


def test_each_page_leads_to_the_next_and_none_is_lost(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed, "PAGE", 3)
    wanted = ["Same"] * 5 + ['"quoted"', "Äther", "a", "b", "z"]
    many(*wanted)
    found, after = [], None
    for _ in range(10):
        part = application_page(Wanted(after=after), timezone.now())
        found += [line.application_id for line in part.lines]
        after = part.following and Place.parse(str(part.following))
        if after is None:
            break
    assert found == list(VoiceApplication.objects.order_by("name", "application_id").values_list("pk", flat=True))
    link = re.findall(r'rel="next" href="([^"]+)"', page(operator))[0]
    assert len(re.findall(r'<th scope="row">', operator.get(reverse("console:apps") + link).content.decode())) == 3


NOBODY = UUID(int=0)


@pytest.mark.parametrize(
    "place", ["", "x", "[1, 2]", '["a"]', '["a", "x"]', f'["\\u0000", "{NOBODY}"]', "[" * 5000, f'["\\ud800", "{NOBODY}"]']
)
def test_a_place_that_is_none_is_told(operator: Client, place: str) -> None:
    application()
    assert "The link names no place in this list." in page(operator, after=place)


def test_it_is_narrowed_by_account_and_by_name(operator: Client) -> None:
    many("Alpha", "Beta call", "CALLING Gamma")
    many("Alpha two", account="9900001")
    assert names(operator, name="call") == ["Beta call", "CALLING Gamma"]
    assert names(operator, account="9900001") == ["Alpha two"]
    assert names(operator, account="9900000", name="alpha") == ["Alpha"]
    assert "No application fits" in page(operator, name="delta")
    assert "Write an account's id, in digits." in page(operator, account="x")


def test_an_id_or_a_uri_is_found_as_well(operator: Client) -> None:
    row = applications.update(application(name="Wanted"), {}, InboundSipPatch(enabled=True, password_auth=True), actor=ACTOR).application
    application(name="Another")
    for sought in (str(row.pk), str(row.sip_alias), row.sip_uri or ""):
        assert names(operator, name=sought) == ["Wanted"]
        assert names(operator, name=sought, account="9900001") == []


def test_a_part_of_a_name_is_sought_so_far_and_no_further(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed, "MAX_LOOKED_AT", 4)
    many("a", "b", "c x", "d", "e", "f x")
    text = page(operator, name="x")
    assert names(operator, name="x") == ["c x"]
    assert "more may fit" in text
    (link,) = re.findall(r'rel="next" href="([^"]+)"', text)
    answer = operator.get(reverse("console:apps") + link).content.decode()
    assert "f x" in answer
    assert 'rel="next"' not in answer


@pytest.mark.parametrize(
    "asked", [Wanted(), Wanted("9900000"), Wanted(sought="app"), Wanted("9900000", "app"), Wanted(after=Place("a", UUID(int=1)))]
)
def test_no_page_scans_a_table_or_sorts(asked: Wanted) -> None:
    application()
    with query_plans() as plans:
        application_page(asked, timezone.now())
    assert plans
    for plan in plans:
        assert not re.search(r"SCAN (?!voiceapps_voiceapplication USING (COVERING )?INDEX)", plan), plan
        # Those of a page that were found by their names are sorted: 50.
        assert "TEMP B-TREE FOR ORDER BY" not in plan or "(application_id=?)" in plan.partition(";")[0], plan


@pytest.mark.parametrize(("query", "count"), [({}, 4), ({"name": "App"}, 5), ({"name": str(UUID(int=7))}, 4)])
def test_it_asks_few_questions(
    operator: Client, django_assert_num_queries: DjangoAssertNumQueries, query: dict[str, str], count: int
) -> None:
    many(*(f"App {number}" for number in range(60)))
    page(operator)
    with django_assert_num_queries(count):  # session, user, permissions, applications
        page(operator, **query)


def test_hostile_names_stay_text(operator: Client) -> None:
    application(name=EVIL)
    answer = operator.get(reverse("console:apps"), {"name": "script"}).content.decode()
    assert "<script>document" not in answer
    assert "\u202e" not in answer


def test_an_empty_list_teaches_how_to_make_one(operator: Client) -> None:
    text = page(operator)
    assert reverse("console:app_new") in text
    assert "applicationName" in text
    looker = page(logged_in(made("looker", Role.VIEWER)))
    assert reverse("console:app_new") not in looker
