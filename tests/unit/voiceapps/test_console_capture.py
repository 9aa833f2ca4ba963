"""The text of a call's messages: opened by an audited action, then read and downloaded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from tests.support.pcap import read_capture
from tests.unit.voiceapps.builders import STARTED, application, facts
from voiceapps.console.access.revealed import MAX_CALLS
from voiceapps.models import AuditEntry
from voiceapps.rules.reports import CallAdmitted, CallFacts, LadderMessage
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

INVITE = 'INVITE sip:a SIP/2.0\r\nUser-Agent: <script>alert("é")</script>\r\n\r\n'


@pytest.fixture
def call() -> CallFacts:
    return facts(application())


def store(call: CallFacts, *texts: str) -> None:
    caller, ours = "198.51.100.7:5080", "203.0.113.5:6160"
    messages = [LadderMessage(call.call_id, STARTED, "caller", caller, ours, text.partition("\r\n")[0], text) for text in texts]
    write_reports([CallAdmitted(call, "proxy"), *messages])


def console(*permissions: str) -> Client:
    user = User.objects.create(username="op", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def address(call: CallFacts) -> str:
    return reverse("console:call_pcap", args=[call.call_id])


def page(client: Client, call: CallFacts) -> str:
    return client.get(reverse("console:call", args=[call.call_id])).content.decode()


def reveal(client: Client, call: CallFacts) -> int:
    return client.post(reverse("console:reveal_messages", args=[call.call_id])).status_code


def test_who_may_see_traces_has_the_download_after_an_audited_action(call: CallFacts) -> None:
    store(call, INVITE)
    client = console("view_call", "see_traces")
    assert address(call) not in page(client, call)
    assert client.get(address(call)).status_code == 403
    assert reveal(client, call) == 302
    entry = AuditEntry.objects.get(action="call.reveal_messages")
    assert (entry.actor, entry.subject, entry.chain) == ("operator op", call.call_id, call.account_id)
    assert address(call) in page(client, call)
    answer = client.get(address(call))
    assert answer.streaming
    (packet,) = read_capture(b"".join(answer))
    assert packet.payload == INVITE.encode()
    assert packet.microseconds == STARTED * 1_000_000
    assert answer["Content-Type"] == "application/vnd.tcpdump.pcap"
    assert answer["Content-Disposition"] == f'attachment; filename="{call.call_id}.pcap"'
    assert "no-store" in answer["Cache-Control"]


def test_without_permission_the_download_is_forbidden(call: CallFacts) -> None:
    store(call, INVITE)
    viewer = console("view_call")
    assert address(call) not in page(viewer, call)
    assert (viewer.get(address(call)).status_code, reveal(viewer, call)) == (403, 403)
    User.objects.all().delete()
    assert console("view_voiceapplication").get(address(call)).status_code == 403
    assert Client().get(address(call)).status_code == 302


def test_a_call_without_messages_has_no_download(call: CallFacts) -> None:
    store(call)
    client = console("view_call", "see_traces")
    assert address(call) not in page(client, call)


def test_an_unknown_call_is_not_found() -> None:
    client = console("view_call", "see_traces")
    assert client.get("/console/calls/c-404/pcap").status_code == 404
    assert client.post("/console/calls/c-404/reveal").status_code == 404
    assert not AuditEntry.objects.filter(action="call.reveal_messages").exists()


def test_a_session_holds_a_few_calls_open(call: CallFacts) -> None:
    store(call, INVITE)
    client = console("view_call", "see_traces")
    for number in range(MAX_CALLS + 1):
        one = replace(call, call_id=f"c-{number:08x}-00000000-0000-4000-8000-0000000000ff")
        store(one, INVITE)
        reveal(client, one)
    assert client.get(address(one)).status_code == 200
    assert client.get(address(replace(one, call_id="c-00000000-00000000-0000-4000-8000-0000000000ff"))).status_code == 403
