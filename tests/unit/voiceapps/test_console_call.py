"""The page of one call: its verdict first, then by tabs what is known of it, whatever strangers wrote into it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from tests.unit.voiceapps.builders import STARTED, application, facts
from voiceapps.console.pages.call import TABS
from voiceapps.rules.admission import EXPECTED, RuleResult
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.reports import (
    CallAdmitted,
    CallAnswered,
    CallEnded,
    CallFacts,
    LadderMessage,
    MediaNotice,
    MediaReport,
    RecordingStored,
    WebhookFetched,
)
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

SUPPORT = ("view_call", "see_personal", "see_traces", "view_webhookdelivery", "view_recording")
CALLER, OURS = "198.51.100.7:5080", "203.0.113.5:6160"
EVIL = '<script>document.title="owned"</script>\u202e'
INVITE = f"INVITE sip:x SIP/2.0\r\nUser-Agent: {EVIL}\r\n\r\n"
SIDE = MediaFigures("external", 0, 0, 169, 0, 0.24525226761524108, None, None, 0, "kernel", 0, "203.0.113.5:56032", "")
RULES = (
    RuleResult("host", "passed", EXPECTED["host"], EVIL),
    RuleResult("source_ip", "passed", "198.51.100.0/24", "198.51.100.7"),
    RuleResult("region", "skipped", "", ""),
)
NOTICE = "No audio comes from the caller. The session description says 203.0.113.5:56032, and nothing has come to port 30000."


@pytest.fixture
def call() -> CallFacts:
    return replace(facts(application()), from_uri=f"sip:{'7' * 600}@a.example", source_ip="198.51.100.7", source_port=5080)


@pytest.fixture
def stored(call: CallFacts, settings: Settings, tmp_path: Path) -> CallFacts:
    settings.RECORDINGS_DIR = str(tmp_path)
    (tmp_path / "r-1.wav").write_bytes(b"RIFF" + bytes(100))
    write_reports(
        [
            CallAdmitted(call, "proxy-1", RULES),
            LadderMessage(call.call_id, STARTED, "caller", CALLER, OURS, "INVITE sip:x SIP/2.0", INVITE),
            LadderMessage(call.call_id, STARTED + 0.02, "caller", OURS, CALLER, "SIP/2.0 200 OK", "SIP/2.0 200 OK\r\n\r\n"),
            CallAnswered(call, "callflow-1", STARTED + 0.03),
            MediaReport(call.call_id, "relay", STARTED, SIDE, final=True),
            MediaReport(call.call_id, "relay", STARTED, replace(SIDE, side="internal", packets_in=169, packets_out=0), final=True),
            MediaNotice(call.call_id, STARTED + 2.4, "external", "", "203.0.113.9:30000", NOTICE),
            WebhookFetched(call, "initiate", STARTED, "https://a.example/start", "POST", '{"a": 1}', 200, EVIL, 9, None),
            RecordingStored(call, "r-1", str(tmp_path / "r-1.wav"), STARTED + 1, STARTED + 3, 2000, 1, "wav"),
            CallEnded(call, "callflow-1", STARTED + 5.4, EndReason.APPLICATION_HANGUP, STARTED + 0.03, 200, None, None, None),
        ]
    )
    return call


def console(*permissions: str) -> Client:
    user = User.objects.create(username="op", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def page(call: CallFacts, query: str = "", *permissions: str) -> str:
    client = console(*SUPPORT, *permissions)
    client.post(reverse("console:reveal_messages", args=[call.call_id]))
    answer = client.get(reverse("console:call", args=[call.call_id]) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_opens_with_the_verdict(stored: CallFacts) -> None:
    shown = page(stored)
    assert "Answered, but the caller&#x27;s audio never arrived" in shown
    assert "We sent 169 packets and got none. The session description says 203.0.113.5:56032" in shown
    assert "sipuri-verdict sipuri-bad" in shown
    assert shown.index("sipuri-verdict") < shown.index("sipuri-ladder")


@pytest.mark.parametrize("tab", TABS)
def test_nothing_from_the_wire_acts_in_any_tab(stored: CallFacts, tab: str) -> None:
    shown = page(stored, f"?tab={tab}&step=1&step=2")
    assert "<script>document" not in shown
    assert "\u202e" not in shown
    assert f'href="?tab={tab}" aria-current="page"' in shown


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("?tab=ladder&step=1", ["INVITE", "User-Agent: &lt;script&gt;", "⟨U+202E⟩"]),
        ("?tab=media", ["The caller</th>", "The call flow</th>", "0.2 ms", "203.0.113.5:56032", "kernel"]),
        ("?tab=webhooks", ["200 in 9 ms", "https://a.example/start", "the call waited for this answer, and got it"]),
        ("?tab=recordings", ["r-1", "2.0 s", "<audio"]),
        ("?tab=policy", ["source ip", "198.51.100.0/24", "198.51.100.7", "did not apply", "a name or address of this service"]),
        ("?tab=timeline", ["0.000 s", "Admitted", "2 rules passed, 1 did not apply", "A recording begins", "5.400 s", "Ended"]),
        ("?tab=related", ["It is the first one."]),
        ("?tab=nonsense&step=x&step=99999&step=-1", ["sipuri-ladder"]),
    ],
)
def test_each_tab_shows_its_part(stored: CallFacts, query: str, texts: list[str]) -> None:
    shown = page(stored, query)
    for text in texts:
        assert text in shown


def test_the_ladder_begins_at_zero_though_clocks_are_read_twice(stored: CallFacts) -> None:
    write_reports(
        [LadderMessage(stored.call_id, STARTED - 0.0003, "caller", "203.0.113.5:55957", "198.51.100.1:6160", "OPTIONS sip:x SIP/2.0", "")]
    )
    shown = page(stored, "?tab=ladder")
    assert "0.000 s: OPTIONS" in shown
    assert "-0.000" not in shown


def test_the_timeline_is_in_the_order_of_time_and_leads_to_messages(stored: CallFacts) -> None:
    shown = page(stored, "?tab=timeline").partition('<ol class="sipuri-timeline">')[2]
    order = ["Admitted", "200 OK", "Answered", "A recording begins", "No audio comes from the caller", "Ended"]
    assert [shown.index(f"{word}") for word in order] == sorted(shown.index(f"{word}") for word in order)
    assert 'href="?tab=ladder&amp;step=1#message"' in shown


def test_a_viewer_sees_rules_without_addresses_and_a_timeline_without_messages(stored: CallFacts) -> None:
    client = console("view_call")
    path = reverse("console:call", args=[stored.call_id])
    policy = client.get(f"{path}?tab=policy").content.decode()
    assert "198.51.100.0/24" in policy
    assert "198.51.100.7" not in policy
    timeline = client.get(f"{path}?tab=timeline").content.decode()
    assert "INVITE" not in timeline
    assert "Answered" in timeline


def test_a_call_of_an_older_release_has_no_rules(call: CallFacts) -> None:
    write_reports([CallAdmitted(call, "proxy-1")])
    assert "The rules were not kept" in page(call, "?tab=policy")


def test_the_text_of_messages_is_closed_until_it_is_asked_for(stored: CallFacts) -> None:
    client, path = console(*SUPPORT), reverse("console:call", args=[stored.call_id])
    shown = client.get(f"{path}?step=1&step=2").content.decode()
    assert "User-Agent" not in shown
    assert shown.count('<input type="hidden" name="step"') == 2
    opened = client.post(f"{path}reveal", {"step": ["1", "2"]}, follow=True).content.decode()
    assert "User-Agent: &lt;script&gt;" in opened
    assert opened.count("<article>") == 2


def test_two_messages_are_compared(stored: CallFacts) -> None:
    shown = page(stored, "?step=1&step=2")
    assert shown.count("<article>") == 2


def test_calls_before_it_are_linked(stored: CallFacts) -> None:
    later = replace(stored, call_id=stored.call_id.replace("c-0", "c-1"), started_at=STARTED + 60)
    write_reports([CallAdmitted(later, "proxy-1")])
    assert reverse("console:call", args=[stored.call_id]) in page(later, "?tab=related")


def test_a_call_that_goes_on_has_no_end_and_no_messages(call: CallFacts) -> None:
    write_reports([CallAdmitted(call, "proxy-1")])
    shown = page(call)
    assert "The call goes on" in shown
    assert "No messages are stored." in shown


def test_who_may_not_see_calls_sees_nothing(stored: CallFacts) -> None:
    for path in (reverse("console:call", args=[stored.call_id]), reverse("console:recording", args=[stored.call_id, "r-1"])):
        assert console("view_node").get(path).status_code == 403
        User.objects.all().delete()
        assert Client().get(path).status_code == 302


def test_a_call_that_is_not_there_is_404() -> None:
    assert console("view_call").get(reverse("console:call", args=["c-nothing"])).status_code == 404


def test_a_recording_is_played(stored: CallFacts) -> None:
    client = console("view_call", "view_recording")
    address = reverse("console:recording", args=[stored.call_id, "r-1"])
    answer = client.get(address)
    assert b"".join(answer)[:4] == b"RIFF"
    assert answer["Content-Type"] == "audio/vnd.wave"
    assert (answer["X-Content-Type-Options"], answer["Content-Disposition"]) == ("nosniff", 'inline; filename="r-1.wav"')
    assert client.get(reverse("console:recording", args=["c-other", "r-1"])).status_code == 404
    assert console_without_recordings().get(address).status_code == 403


def console_without_recordings() -> Client:
    User.objects.all().delete()
    return console("view_call")


def test_it_reads_the_same_number_of_rows_for_a_long_call(stored: CallFacts, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    client = console(*SUPPORT)
    with django_assert_max_num_queries(12):
        client.get(reverse("console:call", args=[stored.call_id]))
