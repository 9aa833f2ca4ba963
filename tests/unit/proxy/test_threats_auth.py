"""Attacks on authentication, at the whole proxy; nonces of other workers and clocks that jump are in test_digest_check.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from sipproxy.sip import Challenge, Credentials, Request, Response, parse_message
from sipproxy.sip.digest import MD5, MD5_SESS, SHA256, SHA256_SESS
from tests.support.digest import answer_challenge
from tests.support.ua import PASSWORD
from tests.unit.proxy.harness import ALIAS, APP, CALLER, CONFIG, DOMAIN, OUTSIDE, URI, ProxyHarness, application
from voiceapps.rules.admission import Reason

Change = Callable[[Credentials], Credentials]
SERIAL = count(1)


def invite(
    harness: ProxyHarness, authorization: str = "", *, call_id: str = "", number: int = 1, to: str = URI, after: float = 0.0
) -> Response | None:
    """Send an INVITE and return the answer."""
    serial = next(SERIAL)
    headers = [
        ("Via", f"SIP/2.0/UDP {CALLER[0]}:{CALLER[1]};branch=z9hG4bK{call_id or serial}{number}"),
        ("From", "<sip:a@pbx.example>;tag=f"),
        ("To", f"<{to}>"),
        ("Call-ID", call_id or str(serial)),
        ("CSeq", f"{number} INVITE"),
    ]
    if authorization:
        headers.append(("Proxy-Authorization", authorization))
    harness.receive(bytes(Request.build("INVITE", URI, headers)), CALLER, OUTSIDE, harness.now + after)
    answers = [parse_message(data) for place, data, _ in harness.take() if place == OUTSIDE]
    return answers[0] if answers and isinstance(answers[0], Response) else None


def status(harness: ProxyHarness, authorization: Credentials | str = "", **options: object) -> int:
    answer = invite(harness, str(authorization), **options)  # type: ignore[arg-type]  # options of invite
    return answer.status if answer else 0


def challenge(harness: ProxyHarness) -> Challenge:
    answer = invite(harness)
    assert answer is not None
    return Challenge.parse(answer.header("proxy-authenticate") or "")


def credentials(
    harness: ProxyHarness, *, user: str = ALIAS, method: str = "INVITE", uri: str = URI, password: str = PASSWORD
) -> Credentials:
    return answer_challenge(challenge(harness), username=user, password=password, method=method, uri=uri, cnonce="c")


@pytest.fixture
def harness() -> ProxyHarness:
    made = ProxyHarness()
    made.service()
    return made


# Credentials.


@pytest.mark.parametrize("text", ["", " ", 'Digest realm="other.example", username="x"'])
def test_without_credentials_for_us_there_is_a_fresh_challenge(harness: ProxyHarness, text: str) -> None:
    answer = invite(harness, text)
    assert answer is not None
    assert answer.status == 407
    assert answer.header("proxy-authenticate") is not None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 100),
        ({"password": "other"}, 401),
        ({"method": "REGISTER"}, 401),
        ({"uri": f"sip:{ALIAS}@elsewhere.example"}, 401),
        ({"uri": f"sip:other@{DOMAIN}"}, 401),
        ({"user": APP}, 100),
        ({"user": "somebody"}, 403),
        ({"user": "somebody", "password": "other"}, 403),
    ],
)
def test_each_part_of_an_answer_counts(harness: ProxyHarness, options: dict[str, str], expected: int) -> None:
    assert status(harness, credentials(harness, **options)) == expected


def test_the_to_user_must_name_the_same_application(harness: ProxyHarness) -> None:
    assert status(harness, credentials(harness), to=f"sip:other@{DOMAIN}") == 403
    assert [refusal.reason for refusal in harness.refusals] == [Reason.USER_MISMATCH]


def test_a_wrong_password_and_an_unknown_application_look_alike(harness: ProxyHarness) -> None:
    wrong = invite(harness, str(credentials(harness, password="other")))
    good = str(credentials(harness))
    harness.applications = []
    unknown = invite(harness, good)
    assert wrong is not None
    assert unknown is not None
    assert (wrong.status, wrong.reason, wrong.keys) == (unknown.status, unknown.reason, unknown.keys)


# Replays and nonces.


def test_a_replay_is_stale_but_a_retransmission_is_not(harness: ProxyHarness) -> None:
    answer = str(credentials(harness))
    assert status(harness, answer, call_id="a") == 100
    assert status(harness, answer, call_id="b") == 407
    assert status(harness, answer, call_id="a", number=2) == 407
    assert len(harness.admitted) == 1


def test_counts_only_go_up(harness: ProxyHarness) -> None:
    asked = challenge(harness)
    counted = [answer_challenge(asked, username=ALIAS, password=PASSWORD, method="INVITE", uri=URI, cnonce="c", count=n) for n in (2, 1, 3)]
    assert [status(harness, answer) for answer in counted] == [100, 407, 100]


@pytest.mark.parametrize(
    "change", [lambda nonce: nonce[:-1] + "_", lambda nonce: "A" * len(nonce), lambda nonce: nonce + "A", lambda nonce: "\u0416"]
)
def test_a_forged_nonce_is_stale_and_does_not_count_as_a_guess(harness: ProxyHarness, change: Callable[[str], str]) -> None:
    asked = challenge(harness)
    forged = replace(asked, nonce=change(asked.nonce))
    answer = invite(harness, str(answer_challenge(forged, username=ALIAS, password=PASSWORD, method="INVITE", uri=URI, cnonce="c")))
    assert answer is not None
    assert (answer.status, Challenge.parse(answer.header("proxy-authenticate") or "").stale) == (407, True)
    assert harness.refusals == []


@pytest.mark.parametrize(("seconds", "expected"), [(59.0, 100), (61.0, 407), (3_600.0, 407)])
def test_a_nonce_lives_a_minute(harness: ProxyHarness, seconds: float, expected: int) -> None:
    assert status(harness, credentials(harness), after=seconds) == expected


def test_a_nonce_from_before_the_key_was_rotated_is_stale(harness: ProxyHarness) -> None:
    answer = credentials(harness)
    assert status(ProxyHarness(replace(CONFIG, nonce_key=b"new key")), answer) == 407


# Algorithms.


def test_a_weaker_algorithm_than_the_application_takes_is_wrong(harness: ProxyHarness) -> None:
    harness.applications = [application(digest_algorithms=(SHA256,))]
    strong = credentials(harness)
    assert strong.algorithm == SHA256
    for weak in (MD5, MD5_SESS):
        answered = answer_challenge(
            replace(challenge(harness), algorithm=weak), username=ALIAS, password=PASSWORD, method="INVITE", uri=URI, cnonce="c"
        )
        assert status(harness, answered) == 401
    assert status(harness, strong) == 100


@pytest.mark.parametrize(("offered", "answered"), [(MD5, MD5_SESS), (SHA256, SHA256_SESS)])
def test_session_variants_are_admitted(harness: ProxyHarness, offered: str, answered: str) -> None:
    harness.applications = [application(digest_algorithms=(offered,))]
    asked = replace(challenge(harness), algorithm=answered)
    assert status(harness, answer_challenge(asked, username=ALIAS, password=PASSWORD, method="INVITE", uri=URI, cnonce="c")) == 100


def text(change: tuple[str, str]) -> Callable[[Credentials], str]:
    return lambda answer: str(answer).replace(*change)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (text(("qop=auth", "qop=auth-int")), 407),
        (text(("qop=auth, nc=00000001, ", "")), 401),
        (text(("algorithm=MD5", "algorithm=MD4")), 407),
        (text(("algorithm=MD5", "algorithm=SHA-512-256")), 407),
        (text(("algorithm=MD5", "algorithm=MD5, algorithm=MD5")), 407),
        (text(("nc=00000001", "nc=00000001, userhash=true")), 401),
        (text(('cnonce="c"', f'cnonce="{"c" * 2_000}"')), 407),
        (text(('cnonce="c"', f'cnonce="{"c" * 60_000}"')), 400),
        (text(("Digest ", "Digest " + "a=b, " * 100)), 407),
    ],
)
def test_odd_answers_get_nobody_in(harness: ProxyHarness, change: Callable[[Credentials], str], expected: int) -> None:
    assert status(harness, change(credentials(harness))) == expected
    assert harness.admitted == []
