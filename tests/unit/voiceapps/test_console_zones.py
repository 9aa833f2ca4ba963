"""The zone of times: one choice for all pages, in each browser, and for what is typed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.unit.voiceapps.builders import application, facts
from voiceapps.console.zones import COOKIE, ShownZone, server_zone
from voiceapps.models import Account, Call
from voiceapps.rules.reports import CallAdmitted
from voiceapps.services.reports import write_reports
from voiceapps.templatetags.console_text import moment

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 28, 23, 34, 55, 123456, tzinfo=UTC)


def choose(client: Client, name: str, back: str = "") -> str:
    answer = client.post(reverse("console:zone"), {"zone": name, "back": back})
    assert answer.status_code == 302
    return str(answer["Location"])


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("UTC", "2026-11-28 23:34:55 UTC"),
        ("Europe/Berlin", "2026-11-29 00:34:55 +01:00"),
        ("Europe/London", "2026-11-28 23:34:55 +00:00"),
        ("Asia/Kathmandu", "2026-11-29 05:19:55 +05:45"),
        ("America/St_Johns", "2026-11-28 20:04:55 -03:30"),
    ],
)
def test_a_time_says_how_far_it_is_from_utc(name: str, shown: str) -> None:
    with timezone.override(ShownZone(name)):
        assert moment(AT) == shown
        assert timezone.get_current_timezone_name() == name


def test_every_page_shows_the_chosen_zone(admin_client: Client) -> None:
    row = application()
    write_reports([CallAdmitted(facts(row), "proxy")])
    Call.objects.update(started_at=AT)
    Account.objects.update(created_at=AT)
    User.objects.update(date_joined=AT)
    pages = [
        reverse("console:call", args=[facts(row).call_id]),
        reverse("admin:voiceapps_account_changelist"),
        reverse("admin:voiceapps_account_change", args=["9900000"]),
        reverse("admin:auth_user_change", args=[User.objects.get().pk]),
    ]
    assert [path for path in pages if "2026-11-28 23:34:55 UTC" not in page(admin_client, path)] == []
    assert choose(admin_client, "Europe/Berlin", pages[0]) == pages[0]
    assert [path for path in pages if "2026-11-29 00:34:55 +01:00" not in page(admin_client, path)] == []
    assert [path for path in pages if 'aria-label="Times in Europe/Berlin: change the zone"' not in page(admin_client, path)] == []
    choose(admin_client, "UTC")
    assert "2026-11-28 23:34:55 UTC" in page(admin_client, pages[0])


def test_what_is_typed_is_meant_in_that_zone_and_its_link_says_so(admin_client: Client) -> None:
    choose(admin_client, "Europe/Berlin")
    for name in ("console:calls", "console:webhooks"):
        answer = admin_client.get(
            reverse(name), {"since": "2026-11-29T00:30", "account": "9900000", "after": f"{AT.timestamp():.0f}000000.x"}
        )
        assert answer.status_code == 302
        assert "since=2026-11-29T00%3A30%3A00%2B01%3A00" in answer["Location"]
        assert "after=" in answer["Location"]
        assert 'value="2026-11-29T00:30:00+01:00"' in page(
            admin_client, reverse(name) + f"?{urlsplit(answer['Location']).query}".split("&after")[0]
        )
        assert "2026-11-30T10:05 (in Europe/Berlin)" in page(admin_client, reverse(name))
    text = page(admin_client, reverse("console:calls") + "?since=2026-11-28T23:30Z&until=2026-11-29T00:00Z")
    assert "Calls from 2026-11-29 00:30:00 +01:00 to 2026-11-29 01:00:00 +01:00" in text


@pytest.mark.parametrize("name", ["console:calls", "console:webhooks"])
def test_a_time_that_is_typed_alone_leads_to_its_link(admin_client: Client, name: str) -> None:
    answer = admin_client.get(reverse(name), {"since": "2026-11-30T10:05"}, follow=True)
    assert answer.status_code == 200
    assert answer.redirect_chain == [(f"{reverse(name)}?since=2026-11-30T10%3A05%3A00Z", 302)]


def test_a_live_part_of_another_zone_is_another_part(admin_client: Client) -> None:
    write_reports([CallAdmitted(facts(application()), "proxy")])
    etags = []
    for name in ("UTC", "Europe/Berlin", "Europe/Berlin"):
        choose(admin_client, name)
        etags.append(admin_client.get(reverse("console:live"), {"live": "1"}, headers={"HX-Request": "true"})["ETag"])
    assert etags[0] != etags[1] == etags[2]
    assert 'data-zone="Europe/Berlin"' in page(admin_client, reverse("console:live"))


def test_lines_of_live_calls_are_kept_for_each_zone(admin_client: Client) -> None:
    write_reports([CallAdmitted(replace(facts(application()), started_at=AT.timestamp()), "proxy")])
    live = reverse("console:live")
    assert "2026-11-28 23:34:55 UTC" in page(admin_client, live)
    choose(admin_client, "Europe/Berlin")
    assert "2026-11-29 00:34:55 +01:00" in page(admin_client, live)


def test_only_zones_can_be_chosen(admin_client: Client) -> None:
    for name in ("Berlin", "../etc/passwd", "", "Europe", "<b>"):
        answer = admin_client.post(reverse("console:zone"), {"zone": name})
        assert answer.status_code == 200
        assert "Write one as Europe/Berlin." in answer.content.decode()
        assert "<b>" not in answer.content.decode().partition("zone-says")[2][:200]
    admin_client.cookies[COOKIE] = "../etc/passwd"
    assert "Times in UTC" in page(admin_client, reverse("console:zone"))


@pytest.mark.parametrize("back", ["https://elsewhere.example/console/", "//elsewhere.example", "/console\\@x", "/docs/api", "javascript:x"])
def test_a_choice_leads_nowhere_else(admin_client: Client, back: str) -> None:
    assert choose(admin_client, "Europe/Berlin", back) == "/console/"


def test_the_api_knows_no_choice(admin_client: Client) -> None:
    admin_client.cookies[COOKIE] = "Europe/Berlin"
    admin_client.get("/openapi.json")
    assert timezone.get_current_timezone_name() == "UTC"


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/usr/share/zoneinfo/Etc/UTC", "UTC"),
        ("/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ("/usr/share/zoneinfo/Mars", "UTC"),
        ("/x", "UTC"),
    ],
)
def test_the_servers_zone_is_where_its_clock_leads(tmp_path: Path, target: str, name: str) -> None:
    link = tmp_path / "localtime"
    link.symlink_to(target)
    assert server_zone(link) == name
