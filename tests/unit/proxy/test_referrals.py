"""The call flow refers a caller: its REFER goes out, the caller's NOTIFYs come in, and a caller's own REFER is the call flow's affair."""

from __future__ import annotations

from typing import Any

import pytest

from sipproxy.sip import Request, Response
from sipproxy.sip.methods import ALLOW
from sipproxy.transactions.events import NewRequest
from tests.unit.proxy.harness import CONFIG, OUTSIDE, TCP, UDP, URI, ProxyHarness, application
from tests.unit.proxy.test_moving_dialogs import STATIC, Talk

REFER_TO = "<sip:bob@example.com;transport=tcp>"
ASKED = [("Refer-To", REFER_TO), ("Referred-By", f"<{URI}>"), ("Contact", f"<{URI}>")]
TOLD = [
    ("Event", "refer"),
    ("Subscription-State", "active;expires=60"),
    ("Allow-Events", "refer"),
    ("Contact", "<sip:desk@10.77.1.2:5060>"),
]
FRAGMENT = b"SIP/2.0 100 Trying\r\n"


def tell(talk: Talk, method: str = "NOTIFY") -> None:
    """Let the caller send a request, such as a NOTIFY, inside the dialog."""
    request = talk.caller.inside(talk.leg, method, extra=TOLD)
    request.set_body(FRAGMENT, "message/sipfrag")
    talk.caller.layer.send_request(request, talk.leg.peer, talk.harness.now)
    talk.harness.run(1)


def came_in(talk: Talk, method: str) -> Request:
    return next(request for request in reversed(talk.service.requests) if request.method == method)


@pytest.mark.parametrize("config", [CONFIG, STATIC])
@pytest.mark.parametrize("listener", [UDP, TCP])
def test_a_refer_goes_out_and_shows_nothing_of_the_inside(config: Any, listener: Any) -> None:
    talk = Talk(ProxyHarness(config), to=listener)
    talk.send_back("REFER", extra=ASKED)
    refer = talk.caller.requests[-1]
    assert refer.method == "REFER"
    assert (refer.header("refer-to"), refer.header("referred-by")) == (REFER_TO, f"<{URI}>")
    contact = refer.contact
    assert contact is not None
    assert contact.sip_uri.param("sipuri")
    assert b"10.0.0." not in bytes(refer)
    assert talk.service.responses[-1].status == 200


@pytest.mark.parametrize("config", [CONFIG, STATIC])
@pytest.mark.parametrize("forgets_routes", [False, True])
@pytest.mark.parametrize("listener", [UDP, TCP])
def test_a_notify_goes_in_as_it_is(config: Any, listener: Any, forgets_routes: bool) -> None:
    """By our Record-Route entry, and by our Contact where a client keeps no routes."""
    talk = Talk(ProxyHarness(config), to=listener, forgets_routes=forgets_routes)
    tell(talk)
    notify = came_in(talk, "NOTIFY")
    assert (notify.body, notify.header("content-type")) == (FRAGMENT, "message/sipfrag")
    assert [notify.header(name) for name in ("event", "subscription-state", "contact")] == [TOLD[0][1], TOLD[1][1], TOLD[3][1]]
    assert "sipuri=" not in notify.uri_text
    assert talk.caller.responses[-1].status == 200


def test_a_notify_follows_a_caller_that_has_moved() -> None:
    talk = Talk()
    talk.move()
    tell(talk)
    assert came_in(talk, "NOTIFY").body == FRAGMENT
    assert talk.caller.responses[-1].status == 200


def test_the_refusal_of_a_notify_comes_back_whole() -> None:
    talk = Talk()

    def refuse(event: NewRequest, now: float) -> None:
        response = event.request.make_response(489)
        response.append("Allow-Events", "refer")
        talk.service.layer.respond(event.key, response, now)

    talk.service.on_request = refuse  # type: ignore[method-assign]  # a call flow that knows another event
    tell(talk)
    assert (talk.caller.responses[-1].status, talk.caller.responses[-1].header("allow-events")) == (489, "refer")


def test_a_callers_refer_is_refused_by_the_call_flow_and_names_what_is_served() -> None:
    talk = Talk()

    def refuse(event: NewRequest, now: float) -> None:
        response = event.request.make_response(405)
        response.append("Allow", ALLOW)
        talk.service.layer.respond(event.key, response, now)

    talk.service.on_request = refuse  # type: ignore[method-assign]  # what our call flow answers
    tell(talk, "REFER")
    assert came_in(talk, "REFER").body == FRAGMENT
    refusal = talk.caller.responses[-1]
    assert (refusal.status, refusal.header("allow")) == (405, ALLOW)
    assert "REFER" not in ALLOW.split(", ")


@pytest.mark.parametrize("method", ["REFER", "NOTIFY"])
def test_outside_a_dialog_neither_is_served(method: str) -> None:
    harness = ProxyHarness()
    data = (
        f"{method} {URI} SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5080;branch=z9hG4bKout\r\nFrom: <sip:a@b>;tag=1\r\nTo: <{URI}>\r\n"
        f"Call-ID: out\r\nCSeq: 1 {method}\r\nRefer-To: <sip:eve@example.com>\r\nEvent: refer\r\nContent-Length: 0\r\n\r\n"
    )
    caller = harness.caller()
    harness.service()
    harness.receive(data.encode(), caller.local, OUTSIDE, harness.now)
    (item,) = harness.core.datagrams_to_send()
    assert item.data.startswith(b"SIP/2.0 405 ")
    assert f"\r\nAllow: {ALLOW}\r\n".encode() in item.data


def test_a_forged_notify_reaches_nobody() -> None:
    talk = Talk()
    before = len(talk.service.requests)
    talk.send("NOTIFY", routes=[f"<sip:{'0' * 64}@{OUTSIDE[0]};lr>"], target=URI)
    assert len(talk.service.requests) == before
    response = talk.caller.responses[-1]
    assert isinstance(response, Response)
    assert response.status == 403


@pytest.mark.parametrize("masks", [False, True])
def test_what_is_stored_of_a_notify(masks: bool) -> None:
    """Where digits are masked, so is each body that is no session description."""
    harness = ProxyHarness()
    harness.applications = [application(mask_digits=masks)]
    tell(Talk(harness))
    texts = [message.text for message in harness.ladder if message.first_line.startswith("NOTIFY")]
    assert [text.rpartition("\r\n\r\n")[2] for text in texts] == [("*" * 18 if masks else FRAGMENT.decode().strip()) + "\r\n"] * 2
