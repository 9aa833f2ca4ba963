"""An INVITE that reaches the call flow's port past our proxies goes nowhere."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from sipproxy.headers.call_headers import CALL_HEADER, seal_invite
from sipproxy.mac import mac_key
from sipproxy.sip import Request, Response, parse_message
from tests.support.backend import TestBackend
from tests.support.fleet import ACCOUNT, Application, Fleet, until

CALL_ID = "c-95ac8d6e-1a31c52e-b38f-4198-93c1-51633ec68f8d"


def forged(application: Application, local: tuple[str, int], number: int) -> Request:
    facts = f"{CALL_ID};app={application.application_id};account={ACCOUNT};source=203.0.113.9:5060;country=US;started=1700000000.125"
    return Request.build(
        "INVITE",
        application.sip_uri,
        [
            ("Via", "SIP/2.0/UDP {}:{};branch=z9hG4bK{}".format(*local, number)),
            ("Max-Forwards", "70"),
            ("From", "<sip:ceo@bank.example>;tag=1"),
            ("To", f"<{application.sip_uri}>"),
            ("Call-ID", f"forged-{number}"),
            ("CSeq", "1 INVITE"),
            ("Contact", "<sip:ceo@{}:{}>".format(*local)),
            (CALL_HEADER, facts),
        ],
    )


def test_a_forged_invite_goes_nowhere(make_fleet: Callable[..., Fleet], backend: TestBackend) -> None:
    fleet = make_fleet("web", "callflow")
    fleet.start()
    application = fleet.application(callback=f"{backend.url}/start")
    host, port = fleet.env["SIPURI_CALLFLOW_BIND"].split(":")
    node = host, int(port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.settimeout(10)
        statuses: dict[str, int] = {}
        for number in range(5):
            invite = forged(application, stranger.getsockname(), number)
            if number >= 3:
                seal_invite(invite, mac_key(b"a guess", b"invite"), node, time.time())
            stranger.sendto(bytes(invite), node)
        while len(statuses) < 5:
            answer = parse_message(stranger.recv(4096))
            assert isinstance(answer, Response)
            statuses[answer.call_id] = answer.status
    assert set(statuses.values()) == {403}
    assert fleet.gauge("callflow", "sipuri_callflow_refused_invites_total") == 3
    until(lambda: "invite_refused" in fleet.log("callflow"), seconds=10, what="the refusal in the log")
    assert fleet.gauge("callflow", "sipuri_callflow_calls") == 0
    assert fleet.python("from voiceapps.models import Call; result = Call.objects.count()") == 0
    assert backend.events == []
