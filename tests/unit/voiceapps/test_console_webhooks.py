"""The console's pages of webhooks: the list and its filter, one delivery with its answers, and the ways to send again."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.unit.voiceapps.builders import application, attempted, ended, facts
from tests.unit.voiceapps.people import logged_in, made
from voiceapps.console.pages import webhooks as pages
from voiceapps.models import AuditEntry, FailingHost, WebhookDelivery
from voiceapps.reads import webhook_list
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.people.roles import Role
from voiceapps.rules.reports import WebhookFetched
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

LIST = "/console/webhooks/"
EVIL = "\u202e<script>alert(1)</script>\x07"


@pytest.fixture
def delivery() -> WebhookDelivery:
    write_reports([ended(facts(application()))])
    delivery = WebhookDelivery.objects.get()
    attempted(delivery, OutboundAnswer(410, b"", "", 1, None))
    delivery.refresh_from_db()
    return delivery


def console(*permissions: str, superuser: bool = False) -> Client:
    user, _ = User.objects.get_or_create(username="op", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def client() -> Client:
    return console(superuser=True)


def page(client: Client, delivery: WebhookDelivery) -> str:
    return client.get(reverse("console:webhook", args=[delivery.pk])).content.decode()


def press(client: Client, delivery: WebhookDelivery, verb: str = "replay") -> int:
    return client.post(reverse(f"console:{verb}_webhook", args=[delivery.pk])).status_code


def shown(client: Client, query: str = "") -> str:
    answer = client.get(LIST + query)
    assert answer.status_code == 200
    return answer.content.decode()


def listed(text: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/console/webhooks/([^/]+)/"', text)


def several(count: int) -> list[WebhookDelivery]:
    """Return as many failed deliveries, the newest first."""
    row = application(name="Clinic \u202e<b>")
    write_reports([ended(facts(row, number)) for number in range(count)])
    WebhookDelivery.objects.update(state="failed", next_attempt_at=None)
    return list(WebhookDelivery.objects.order_by("-created_at", "-delivery_id"))


# The list


def test_state_answer_and_host_are_in_the_list(delivery: WebhookDelivery, client: Client) -> None:
    text = shown(client)
    assert listed(text) == [str(delivery.pk)]
    for part in ("410 in 1 ms", "a.example:443", "disconnect", "a status event", "App", f"/console/calls/{delivery.call_id}/"):
        assert part in text
    assert re.search(r'sipuri-is-bad"><span[^>]*>cancel</span> failed', text)


def test_a_failed_request_of_a_call_is_not_called_answered(client: Client) -> None:
    call = facts(application())
    write_reports([WebhookFetched(call, "initiate", 1.0, "https://a.example/x", "POST", "{}", None, "", 9, "No answer within 15 s.")])
    text = shown(client)
    assert "the call waited for this answer; none came" in text
    assert "answered with BXML" not in text
    assert "No answer within 15 s." in text


def test_filters_are_links_and_pages_lead_both_ways(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_list, "PAGE", 2)
    rows = [str(row.pk) for row in several(5)]
    first = shown(client, "?state=failed&host=a.example")
    second = shown(client, link(first, "Older"))
    third = shown(client, link(second, "Older"))
    assert [listed(text) for text in (first, second, third)] == [rows[:2], rows[2:4], rows[4:]]
    assert link(second, "Older").startswith("?state=failed&host=a.example&after=")
    assert listed(shown(client, link(third, "Newer"))) == rows[2:4]
    assert listed(shown(client, "?state=pending")) == []
    assert listed(shown(client, "?event=disconnect&since=1h")) == rows[:2]


def link(text: str, label: str) -> str:
    found = re.search(rf'href="(\?[^"]*)"[^>]*>{label}</a>', text)
    assert found, label
    return unescape(found[1])


def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(client: Client) -> None:
    text = shown(client, "?host=https://a.example/&account=12a&event=disconnect&state=lost")
    assert re.search(r'name="host" value="https://a.example/"[^>]*aria-invalid="true"[^>]*>\s*<p class="sipuri-errors"', text)
    assert 'value="12a"' in text
    assert '<option value="lost" selected>' in text
    assert "No webhook fits" not in text
    assert "Not a place in this list." in shown(client, "?after=1.c-1")


def test_a_look_that_is_cut_leads_on(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    several(3)
    monkeypatch.setattr(webhook_list, "MAX_LOOKED_AT", 2)
    text = shown(client, "?event=initiate")
    assert "more may fit" in text
    assert listed(shown(client, link(text, "Look further"))) == []


def test_an_operator_of_one_account_sees_its_webhooks_only(delivery: WebhookDelivery) -> None:
    mine, other = (logged_in(made(f"of-{account}", Role.ADMIN, account)) for account in ("9900000", "9911111"))
    assert (listed(shown(mine)), listed(shown(other)), listed(shown(other, "?account=9900000"))) == ([str(delivery.pk)], [], [])
    assert 'name="account"' not in shown(mine)


def test_the_list_costs_the_same_for_many(client: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    several(60)
    shown(client)
    for query in ("", "?state=failed", "?host=a.example&account=9900000"):
        # The session, the operator; and of the page: keys, rows, attempts, hosts, applications.
        with django_assert_max_num_queries(7):
            shown(client, query)


def test_an_empty_list_teaches(client: Client) -> None:
    assert "as soon as a call is placed" in shown(client)
    assert "clear the filter" in shown(client, "?state=failed")


# One delivery


def test_a_page_shows_the_request_each_answer_and_what_follows(delivery: WebhookDelivery, client: Client) -> None:
    WebhookDelivery.objects.update(state="pending")
    delivery.refresh_from_db()
    attempted(delivery, OutboundAnswer(503, b"Down \xe2\x80\xae", "text/plain", 1234, None))
    text = page(client, delivery)
    for part in (
        "503 in 1.2 s",
        "410 in 1 ms",
        "Down ⟨U+202E⟩",
        "https://a.example/status",
        "&quot;eventType&quot;: &quot;disconnect&quot;",
    ):
        assert part in text
    assert re.search(r"It is tried again in (29|30) s; 4 tries are left.", text)
    assert f"msg_{delivery.pk.hex}" in text


def test_nothing_from_a_backend_acts_or_stays_long(delivery: WebhookDelivery, client: Client) -> None:
    WebhookDelivery.objects.update(state="pending")
    attempted(delivery, OutboundAnswer(500, (EVIL + "x" * 60_000).encode(), "text/plain", 1, None))
    text = page(client, delivery)
    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert "\x07" not in text
    assert "⟨U+202E⟩&lt;script&gt;" in text
    assert "<summary><bdi" in text


def test_bodies_are_for_who_may_see_traces_and_numbers_for_who_may_see_them(delivery: WebhookDelivery) -> None:
    body = {"eventType": "disconnect", "from": "sip:+14155550100@198.51.100.7"}
    WebhookDelivery.objects.update(body=body, state="pending")
    attempted(delivery, OutboundAnswer(500, b"no +14155550100", "text/plain", 1, None))
    none = page(console("view_webhookdelivery"), delivery)
    assert ("14155550" in none, "Your role does not show" in none) == (False, True)
    traces = page(console("view_webhookdelivery", "see_traces"), delivery)
    assert ("14155550100" in traces, "sip:+1415555…@198.51.100.0/24" in traces, "no +1415555…" in traces) == (False, True, True)
    assert page(console("view_webhookdelivery", "see_traces", "see_personal"), delivery).count("+14155550100") == 2


@pytest.mark.parametrize("name", ["nothing", "00000000-0000-4000-8000-000000000000"])
def test_an_unknown_delivery_is_404(client: Client, name: str) -> None:
    assert client.get(f"{LIST}{name}/").status_code == 404
    assert client.post(f"{LIST}{name}/replay").status_code == 404
    assert client.post(f"{LIST}{name}/hurry").status_code == 404


# Sending again


def test_the_button_sends_it_again_in_the_operators_name(delivery: WebhookDelivery, client: Client) -> None:
    assert "Send again</button>" in page(client, delivery)
    assert "Try now" not in page(client, delivery)
    assert press(client, delivery) == 302
    delivery.refresh_from_db()
    assert delivery.state == "pending"
    assert AuditEntry.objects.get(action="webhook.replay").actor == "operator op"
    assert "Send again</button>" not in page(client, delivery)


def test_pressing_it_twice_shows_an_error(delivery: WebhookDelivery, client: Client) -> None:
    press(client, delivery)
    press(client, delivery)
    assert "still being tried" in page(client, delivery)
    assert AuditEntry.objects.filter(action="webhook.replay").count() == 1


def test_what_waits_is_tried_now(delivery: WebhookDelivery, client: Client) -> None:
    WebhookDelivery.objects.update(state="pending")
    delivery.refresh_from_db()
    attempted(delivery, OutboundAnswer(503, b"", "", 1, None))
    FailingHost.objects.all().delete()
    assert "Try now</button>" in page(client, delivery)
    assert press(client, delivery, "hurry") == 302
    delivery.refresh_from_db()
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at <= timezone.now()
    assert AuditEntry.objects.get(action="webhook.hurry").actor == "operator op"
    WebhookDelivery.objects.update(state="delivered", next_attempt_at=None)
    press(client, delivery, "hurry")
    assert "It can only be sent again" in page(client, delivery)


def test_who_may_not_send_has_no_button_and_no_way(delivery: WebhookDelivery) -> None:
    viewer = console("view_webhookdelivery")
    assert "Send again</button>" not in page(viewer, delivery)
    assert "Send the chosen" not in shown(viewer)
    assert 'type="checkbox" name="delivery"' not in shown(viewer)
    assert {press(viewer, delivery), press(viewer, delivery, "hurry")} == {403}
    assert viewer.post(reverse("console:replay_webhooks"), {"delivery": [str(delivery.pk)]}).status_code == 403
    delivery.refresh_from_db()
    assert delivery.state == "failed"


def test_a_get_request_sends_nothing(delivery: WebhookDelivery, client: Client) -> None:
    for path in (f"{delivery.pk}/replay", f"{delivery.pk}/hurry", "replay", "hosts/1/ask"):
        assert client.get(LIST + path).status_code == 405


def replay_some(client: Client, *ids: object, back: str = "") -> str:
    answer = client.post(reverse("console:replay_webhooks"), {"delivery": [str(one) for one in ids], "back": back}, follow=True)
    return answer.content.decode()


def test_many_are_sent_again_and_what_cannot_be_is_named(client: Client) -> None:
    rows = several(4)
    WebhookDelivery.objects.filter(pk=rows[0].pk).update(state="pending")
    WebhookDelivery.objects.filter(pk=rows[1].pk).update(synchronous=True)
    text = replay_some(client, *(row.pk for row in rows), UUID(int=1), "x")
    assert "2 webhooks are sent again." in text
    assert f"disconnect of {rows[0].call_id}: not sent again. The delivery is still being tried." in text
    assert f"disconnect of {rows[1].call_id}: not sent again. A call waited" in text
    assert f"There is no webhook {UUID(int=1)}." in text
    assert AuditEntry.objects.filter(action="webhook.replay").count() == 2
    assert set(WebhookDelivery.objects.filter(pk__in=[row.pk for row in rows[2:]]).values_list("state", flat=True)) == {"pending"}


def test_nobody_elses_is_sent_again(delivery: WebhookDelivery) -> None:
    other = logged_in(made("other", Role.ADMIN, "9911111"))
    assert f"There is no webhook {delivery.pk}." in replay_some(other, delivery.pk)
    assert press(other, delivery) == 404


def test_none_and_too_many_are_refused_and_the_filter_stays(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_REPLAYED", 2)
    rows = several(3)
    assert "Choose the webhooks" in replay_some(client)
    assert "Choose 1 to 2 webhooks." in replay_some(client, *(row.pk for row in rows))
    assert not AuditEntry.objects.filter(action="webhook.replay").exists()
    monkeypatch.setattr(pages, "MAX_NAMED", 1)
    form = {"delivery": ["x", "y"], "back": "state=failed&next=//evil"}
    answer = client.post(reverse("console:replay_webhooks"), form)
    assert answer.headers["Location"] == f"{LIST}?state=failed"
    assert "1 more could not be sent again" in shown(client)


# Hosts


def test_a_failing_host_is_shown_on_top_and_asked(delivery: WebhookDelivery, client: Client) -> None:
    now = timezone.now()
    host = FailingHost.objects.create(
        account_id="9900000", host=f"{EVIL}:443", failures=6, since=now, last_at=now, error=EVIL, rests_until=now + timedelta(seconds=20)
    )
    text = shown(client)
    assert "⟨U+202E⟩&lt;script&gt;" in text
    assert "left alone until" in text
    assert "Ask now" in text
    path = reverse("console:ask_host", args=[host.pk])
    answer = client.post(path, {"back": "state=failed"})
    assert answer.headers["Location"] == f"{LIST}?state=failed"
    assert "rests no longer" in shown(client)
    assert AuditEntry.objects.get(action="failing_host.ask").actor == "operator op"
    client.post(path)
    assert "does not rest" in shown(client)
    assert logged_in(made("viewer", Role.VIEWER)).post(path).status_code == 403
    assert logged_in(made("other", Role.ADMIN, "9911111")).post(path).status_code == 404


def test_a_webhook_to_a_host_that_rests_says_so(delivery: WebhookDelivery, client: Client) -> None:
    soon = timezone.now() + timedelta(seconds=20)
    FailingHost.objects.create(
        account_id="9900000", host="a.example:443", failures=6, since=soon, last_at=soon, error="x", rests_until=soon
    )
    WebhookDelivery.objects.update(state="pending", next_attempt_at=timezone.now())
    text = page(client, delivery)
    assert "Nothing is sent to a.example:443 while it rests" in text
    assert "Try now</button>" not in text
    press(client, delivery, "hurry")
    assert "ask the host first" in page(client, delivery)


def test_the_page_of_a_call_sends_again_and_tries_now(client: Client, delivery: WebhookDelivery) -> None:
    tab = f"{reverse('console:call', args=[delivery.call_id])}?tab=webhooks"
    assert "Send disconnect again" in client.get(tab).content.decode()
    for verb, button in (("replay", "Try disconnect now"), ("hurry", "Try disconnect now")):
        answer = client.post(reverse(f"console:{verb}_webhook", args=[delivery.pk]), {"back": "call"})
        assert answer["Location"] == tab
        assert button in client.get(tab).content.decode()
    viewer = logged_in(made("ada", Role.VIEWER))
    assert "Try disconnect now" not in viewer.get(tab).content.decode()


@pytest.mark.parametrize(
    ("statuses", "said"),
    [((200,), []), ((500,), ["no fallback was asked"]), ((500, 200), ["its fallback was asked", "asked as the fallback"])],
)
def test_the_page_of_a_call_says_whether_the_fallback_was_asked(client: Client, statuses: tuple[int, ...], said: list[str]) -> None:
    call = facts(application())
    for place, status in enumerate(statuses):
        url, at = f"https://{place}.example/", call.started_at + place
        write_reports([WebhookFetched(call, "initiate", at, url, "POST", "{}", status, "", 9, None)])
    text = client.get(f"{reverse('console:call', args=[call.call_id])}?tab=webhooks").content.decode()
    assert [words for words in re.findall(r"<strong>([^<]*)</strong>", text) if "fallback" in words] == said
