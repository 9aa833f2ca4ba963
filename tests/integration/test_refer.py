"""`<Refer>` through every role: telephones that call somebody else, that reach nobody, and that do not know REFER."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from bandwidth.models.bxml import Hangup, Pause, Redirect, Refer, SipUri

from callflow.aio.phone import Phone
from sipproxy.transactions.events import NewRequest, ResponseReceived
from tests.integration.test_calls import bxml, conforms
from tests.support.backend import TestBackend
from tests.support.fleet import Application, Fleet, free_ports
from tests.support.on_socket import OnSocket
from tests.support.ua import Attempt, Caller

TARGET = "sip:bob@example.com"
REFER = Refer(SipUri(TARGET), refer_complete_url="/referred", tag="handed over")


class Telephone(Caller):
    """A caller that takes REFERs with 202, and then tells by NOTIFYs, one after the other, what `tells` holds."""

    tells: tuple[str, ...] = ()

    def on_request(self, event: NewRequest, now: float) -> None:
        if event.request.method != "REFER":
            super().on_request(event, now)
            return
        self.layer.respond(event.key, event.request.make_response(202), now)
        self._told = 0
        self._tell(self.attempts[event.request.call_id], now)

    def on_response(self, event: ResponseReceived, now: float) -> None:
        super().on_response(event, now)
        if event.response.cseq.method == "NOTIFY":
            self._tell(self.attempts[event.response.call_id], now)

    def ask(self, attempt: Attempt, method: str, now: float, *headers: tuple[str, str], body: str = "") -> None:
        """Send a request inside the dialog."""
        assert attempt.leg is not None
        request = self.inside(attempt.leg, method, extra=list(headers))
        request.set_body(body.encode(), "message/sipfrag" if body else None)
        self.layer.send_request(request, attempt.leg.peer, now)

    def _tell(self, attempt: Attempt, now: float) -> None:
        if self._told < len(self.tells):
            body = f"SIP/2.0 {self.tells[self._told]}\r\n"
            self._told += 1
            state = "terminated;reason=noresource" if self._told == len(self.tells) else "active;expires=60"
            self.ask(attempt, "NOTIFY", now, ("Event", "refer"), ("Subscription-State", state), body=body)


@pytest.fixture
def application(fleet: Fleet, backend: TestBackend) -> Application:
    return fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")


@pytest.fixture
async def telephone(fleet: Fleet, application: Application) -> AsyncIterator[OnSocket]:
    shell = OnSocket(Telephone(("127.0.0.1", free_ports(1)[0]), fleet.sip, password=application.password))
    shell.open()
    yield shell
    shell.close()


def agent(telephone: OnSocket) -> Telephone:
    assert isinstance(telephone.agent, Telephone)
    return telephone.agent


async def talk(telephone: OnSocket, application: Application) -> Attempt:
    """Place a call and return it answered; the caller does not hang up by itself."""
    caller = agent(telephone)
    caller.talk_seconds = None
    attempt = caller.call(application.sip_uri, telephone.now)
    telephone.pump()
    await telephone.until(lambda: attempt.leg)
    return attempt


async def test_a_caller_that_reaches_somebody_else_is_let_go(backend: TestBackend, application: Application, telephone: OnSocket) -> None:
    backend.documents |= {"/initiate": bxml(REFER, Redirect(redirect_url="/never"))}
    agent(telephone).tells = "100 Trying", "180 Ringing", "200 OK"
    attempt = await talk(telephone, application)
    await telephone.until(lambda: attempt.ended)
    assert attempt.ended == "remote"
    (refer,) = [request for request in agent(telephone).requests if request.method == "REFER"]
    assert (refer.header("refer-to"), refer.header("referred-by")) == (f"<{TARGET}>", f"<{application.sip_uri}>")
    assert [response.status for response in agent(telephone).responses if response.cseq.method == "NOTIFY"] == [200, 200, 200]
    (told,) = await asyncio.to_thread(backend.wait, "referComplete")
    assert (told["referCallStatus"], told["tag"]) == ("success", "handed over")
    assert (told["referSipResponseCode"], told["notifySipResponseCode"]) == (202, 200)
    (ended,) = await asyncio.to_thread(backend.wait, "disconnect")
    assert ended["cause"] == "hangup"
    assert conforms(told)
    assert backend.of("redirect") == []


async def test_a_caller_that_reaches_nobody_gets_another_document(
    backend: TestBackend, application: Application, telephone: OnSocket
) -> None:
    backend.documents |= {"/initiate": bxml(REFER), "/referred": bxml(Hangup())}
    agent(telephone).tells = "100 Trying", "486 Busy Here"
    attempt = await talk(telephone, application)
    await telephone.until(lambda: attempt.ended)
    (told,) = backend.of("referComplete")
    assert (told["referCallStatus"], told["referSipResponseCode"], told["notifySipResponseCode"]) == ("failure", 202, 486)
    assert conforms(told)
    (ended,) = await asyncio.to_thread(backend.wait, "disconnect")
    assert ended["cause"] == "hangup"


async def test_a_telephone_that_does_not_know_refer_goes_on_with_the_document(
    fleet: Fleet, backend: TestBackend, application: Application
) -> None:
    backend.documents |= {
        "/initiate": bxml(Refer(SipUri(TARGET)), REFER),
        "/referred": bxml(Redirect(redirect_url="/next")),
        "/next": bxml(Hangup()),
    }
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    try:
        call = await phone.call(application.sip_uri, username=application.application_id, password=application.password)
        assert await call.wait_ended(20) == "remote"
    finally:
        await phone.close()
    (told,) = backend.of("referComplete")
    assert (told["referCallStatus"], told["referSipResponseCode"]) == ("failure", 405)
    assert "notifySipResponseCode" not in told
    assert [event["eventType"] for event in backend.events[:3]] == ["initiate", "referComplete", "redirect"]


async def test_what_a_caller_asks_or_tells_by_itself_is_refused(
    backend: TestBackend, application: Application, telephone: OnSocket
) -> None:
    backend.documents |= {"/initiate": bxml(Pause(duration=60))}
    attempt, caller = await talk(telephone, application), agent(telephone)
    for method, headers, status in (
        ("REFER", [("Refer-To", "<sip:eve@example.com>")], 405),
        ("NOTIFY", [("Event", "refer")], 481),
        ("NOTIFY", [("Event", "presence")], 489),
    ):
        caller.ask(attempt, method, telephone.now, *headers)
        telephone.pump()
        await telephone.until(lambda status=status: caller.responses[-1].status == status)  # type: ignore[misc]  # it binds the status
        allowed = caller.responses[-1].header("allow-events" if status == 489 else "allow")
        assert allowed == {405: "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, NOTIFY", 481: None, 489: "refer"}[status]
    assert not attempt.ended
    caller.send_inside(attempt.leg, "BYE", telephone.now)  # type: ignore[arg-type]  # the call is up
    telephone.pump()
    await telephone.until(lambda: attempt.ended)
