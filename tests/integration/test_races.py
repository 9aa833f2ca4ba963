"""Requests at once: of two hundred rotations one password is left, and of twenty copies of a request one application (D3)."""

from __future__ import annotations

import hashlib
import json
import socket
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sipproxy.sip import Challenge
from sipproxy.sip.parser import parse_message
from tests.support.digest import answer_challenge
from tests.support.fleet import ACCOUNT, Application, Fleet, until

ROTATIONS = 200
SIP = {"passwordAuthEnabled": True}
AT_ONCE = 20


@pytest.fixture
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, Fleet]]:
    """A web role with one proxy, and a second proxy on the same database."""
    state = tmp_path_factory.mktemp("races")
    nowhere = {"SIPURI_CALLFLOW_TARGETS": "sip:127.0.0.1:9"}
    first = Fleet(state, ("web", "sipproxy", "mediarelay"), nowhere)
    second = Fleet(state, ("sipproxy",), {**nowhere, "SIPURI_NODE_NAME": "second", "SIPURI_MEDIA_RELAYS": first.env["SIPURI_MEDIA_RELAYS"]})
    try:
        first.start()
        second.spawn("sipproxy")
        until(second._ready, seconds=30, what="the second proxy")
        yield first, second
    finally:
        second.stop()
        first.stop()


def rotate(fleet: Fleet, application_id: str) -> tuple[str, str]:
    """Return the request id and the new password of one rotation."""
    url = f"{fleet.http}/v2/accounts/{ACCOUNT}/voice-applications/{application_id}"
    headers = {"Authorization": f"Bearer {fleet._token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, b'{"passwordAuthEnabled": true}', headers, method="PATCH")
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.headers["X-Request-Id"], json.load(answer)["data"]["sipAuthPassword"]
        except urllib.error.HTTPError as error:
            # Where SQLite's one writer is busy for long, as on a slow machine, all others are told to come again.
            if error.code != 503:
                raise


def statuses(fleet: Fleet, application: Application, password: str) -> list[int]:
    """Call with a password and return the first two statuses: the challenge and the verdict."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.settimeout(10)
        call_id, seen, credentials = uuid.uuid4().hex, [], ""
        for number in (1, 2):
            phone.sendto(invite(phone.getsockname()[1], application.sip_uri, call_id, number, credentials), fleet.sip)
            response = parse_message(phone.recv(65_535))
            seen.append(response.status)  # type: ignore[union-attr]  # what comes back is a response
            if seen == [407]:
                challenge = Challenge.parse(response.header("proxy-authenticate") or "")
                answer = answer_challenge(
                    challenge, username=application.sip_user, password=password, method="INVITE", uri=application.sip_uri, cnonce="c"
                )
                credentials = f"Proxy-Authorization: {answer}\r\n"
        return seen


def invite(port: int, uri: str, call_id: str, number: int, credentials: str) -> bytes:
    return (
        f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{call_id}{number}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:desk@pbx.example>;tag=f\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\nCSeq: {number} INVITE\r\n"
        f"Contact: <sip:desk@127.0.0.1:{port}>\r\n{credentials}Content-Length: 0\r\n\r\n"
    ).encode()


def test_one_password_is_left_and_it_is_the_last_ones(proxies: tuple[Fleet, Fleet]) -> None:
    fleet, _ = proxies
    application = fleet.application()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(pool.map(lambda _: rotate(fleet, application.application_id), range(ROTATIONS)))
    assert len(answers) == len(set(answers.values())) == ROTATIONS
    code = f"""
import json
from voiceapps.models import AuditEntry, SipCredential
from voiceapps.services import audit
entries = AuditEntry.objects.filter(subject={application.application_id!r}, action="application.update").order_by("number")
stored = SipCredential.objects.get(pk={application.application_id!r})
result = [list(entries.values_list("request_id", flat=True)), json.loads(stored.secrets), stored.realm, audit.verify({ACCOUNT!r})]"""
    request_ids, secrets, realm, fault = fleet.python(code)
    assert fault is None
    assert sorted(request_ids) == sorted(answers)
    valid = [password for password in answers.values() if [application.application_id, "MD5", ha1(application, realm, password)] in secrets]
    assert valid == [answers[request_ids[-1]]]
    for proxy in proxies:
        assert statuses(proxy, application, valid[0]) == [407, 100]
        assert statuses(proxy, application, answers[request_ids[-2]]) == [407, 401]


def test_the_old_password_is_worth_nothing_the_moment_the_new_one_is_there(proxies: tuple[Fleet, Fleet]) -> None:
    fleet, _ = proxies
    application = fleet.application()
    old = application.password
    for _ in range(5):
        _, new = rotate(fleet, application.application_id)
        for proxy in proxies:
            assert statuses(proxy, application, old) == [407, 401]
            assert statuses(proxy, application, new) == [407, 100]
        old = new


def test_copies_of_a_request_make_one_application_and_get_one_answer(proxies: tuple[Fleet, Fleet]) -> None:
    fleet, _ = proxies
    before = fleet.application()
    body = json.dumps(
        {"applicationName": "Once", "callInitiatedCallbackUrl": "https://a.example/", "inboundSipCallsEnabled": True} | SIP
    ).encode()
    headers = {"Authorization": f"Bearer {fleet._token}", "Content-Type": "application/json", "Idempotency-Key": before.application_id}

    def post(_: int) -> dict[str, object]:
        request = urllib.request.Request(f"{fleet.http}/v2/accounts/{ACCOUNT}/voice-applications", body, headers, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            data: dict[str, object] = json.load(answer)["data"]
            return data

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(post, range(AT_ONCE)))
    assert len({str(answer["applicationId"]) for answer in answers}) == 1
    assert sum("sipAuthPassword" in answer for answer in answers) == 1
    made = fleet.api("GET", f"/v2/accounts/{ACCOUNT}/voice-applications?applicationName=Once")["data"]
    assert [row["applicationId"] for row in made] == [answers[0]["applicationId"]]


def ha1(application: Application, realm: str, password: str) -> str:
    return hashlib.md5(f"{application.application_id}:{realm}:{password}".encode()).hexdigest()
