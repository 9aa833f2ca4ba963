"""The call page's download of the stored messages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from tests.support.pcap import read_capture
from tests.unit.voiceapps.builders import STARTED, application, facts
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
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def address(call: CallFacts) -> str:
    return reverse("console:call_pcap", args=[call.call_id])


def page(client: Client, call: CallFacts) -> str:
    return client.get(reverse("console:call", args=[call.call_id])).content.decode()


def test_view_permission_allows_the_download(call: CallFacts) -> None:
    store(call, INVITE)
    client = console("view_call")
    assert address(call) in page(client, call)
    answer = client.get(address(call))
    assert answer.streaming
    (packet,) = read_capture(b"".join(answer))
    assert packet.payload == INVITE.encode()
    assert packet.microseconds == STARTED * 1_000_000
    assert answer["Content-Type"] == "application/vnd.tcpdump.pcap"
    assert answer["Content-Disposition"] == f'attachment; filename="{call.call_id}.pcap"'
    assert "no-store" in answer["Cache-Control"]


def test_without_view_permission_the_download_is_forbidden(call: CallFacts) -> None:
    store(call, INVITE)
    assert console("view_voiceapplication").get(address(call)).status_code == 403
    assert Client().get(address(call)).status_code == 302


def test_a_call_without_messages_has_no_download(call: CallFacts) -> None:
    store(call)
    client = console("view_call")
    assert address(call) not in page(client, call)


def test_an_unknown_call_is_not_found() -> None:
    assert console("view_call").get("/console/calls/c-404/pcap").status_code == 404
