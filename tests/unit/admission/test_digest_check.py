"""The check of credentials: replays, algorithms, malformed digests."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import count

import pytest

from sipproxy.admission.digest_check import DigestCheck
from sipproxy.admission.limits import MAX_NONCES, NONCE_SECONDS
from sipproxy.admission.nonces import NonceBook
from sipproxy.sip import Challenge, Credentials, Request
from sipproxy.sip.digest import MD5, MD5_SESS, SHA256, SHA256_SESS, make_ha1
from sipproxy.sip.limits import MAX_AUTH_FIELD, MAX_CREDENTIALS
from tests.support.digest import answer_challenge
from tests.support.sip import make_request
from tests.unit.proxy.harness import APP, DOMAIN, application
from voiceapps.rules.admission import AdmissionSnapshot, DigestState

SOURCE = "198.51.100.7"
URI = f"sip:{APP}@{DOMAIN}"
KEYS = count(1)


class Desk:
    """A caller with a password in front of one checking process."""

    def __init__(self, *, allow_no_qop: bool = False, key: bytes = b"key", max_nonces: int = MAX_NONCES, realm: str = DOMAIN) -> None:
        self.application: AdmissionSnapshot | None = application(digest_algorithms=(MD5, SHA256))
        mark = next(KEYS)
        numbers = count(1)
        nonces = NonceBook(
            key=key,
            realm=realm,
            new_token=lambda: hashlib.sha256(f"{mark}.{next(numbers)}".encode()).hexdigest(),
            wall=lambda now: now,
            max_nonces=max_nonces,
        )
        options = {"allow_no_qop": True} if allow_no_qop else {}
        self.check = DigestCheck(realm=realm, hosts=frozenset({DOMAIN}), nonces=nonces, **options)

    def challenge(self, algorithm: str = MD5, *, now: float = 0.0) -> Challenge:
        offered = self.check.challenges(self.application, SOURCE, stale=False, now=now)[0]
        return replace(offered, algorithm=algorithm)

    def answer(self, challenge: Challenge | None = None, *, count: int = 1, user: str = APP) -> Credentials:
        held = challenge or self.challenge()
        return answer_challenge(held, username=user, password="secret", method="INVITE", uri=URI, cnonce="cn", count=count)

    def judge(self, *values: Credentials | str, call_id: str = "call-1", now: float = 0.0, source: str = SOURCE) -> DigestState:
        request = make_request(branch=f"z9hG4bK{call_id}", call_id=call_id, extra=[("Proxy-Authorization", str(value)) for value in values])
        request.set_uri(URI)
        return self.check.judge(request, self.application, source, now).state


@pytest.mark.parametrize("algorithm", [MD5, SHA256, MD5_SESS, SHA256_SESS])
def test_every_algorithm_is_admitted_if_its_base_is_allowed(algorithm: str) -> None:
    desk = Desk()
    answer = desk.answer(desk.challenge(algorithm))
    assert desk.judge(answer) is DigestState.VALID
    assert desk.judge(replace(answer, cnonce="other"), call_id="b") is DigestState.WRONG
    desk.application = application(digest_algorithms=(SHA256,) if answer.base_algorithm == MD5 else (MD5,))
    assert desk.judge(desk.answer(desk.challenge(algorithm))) is DigestState.WRONG


def test_a_session_answer_with_a_plain_response_is_wrong() -> None:
    desk = Desk()
    assert desk.judge(replace(desk.answer(), algorithm=MD5_SESS)) is DigestState.WRONG
    assert desk.judge(replace(desk.answer(desk.challenge(MD5_SESS)), algorithm=MD5)) is DigestState.WRONG


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("algorithm=MD5", "algorithm=SHA-512-256"),
        lambda text: text.replace("algorithm=MD5", "algorithm=AKAv1-MD5"),
        lambda text: text.replace("qop=auth", "qop=auth-int"),
        lambda text: text.replace("nc=00000001", "nc=1"),
        lambda text: text.replace("nc=00000001", "nc=00000000"),
        lambda text: text.replace('cnonce="cn"', 'cnonce=""'),
        lambda text: text + ', username="again"',
        lambda text: text + ", username*=UTF-8''again",
        lambda text: text.replace("username=", "user="),
        lambda text: text.replace("response=", "answer="),
        lambda text: text.replace('cnonce="cn"', f'cnonce="{"c" * (MAX_AUTH_FIELD + 1)}"'),
        lambda text: text.replace("Digest ", "Basic "),
        lambda text: text.replace(f'realm="{DOMAIN}", ', ""),
        lambda text: "Digest",
        lambda text: "",
        lambda text: 'Digest realm="',
        lambda text: "\udcff\udcfe",
    ],
)
def test_unreadable_credentials_are_as_good_as_none(change: object) -> None:
    desk = Desk()
    assert callable(change)
    answer = str(desk.answer())
    assert desk.judge(change(answer)) is DigestState.ABSENT
    # They do not stand in the way of others, and claim nothing.
    assert desk.judge(change(answer), answer) is DigestState.VALID


def test_fresh_credentials_count_beside_those_for_an_older_challenge() -> None:
    desk, other = Desk(), Desk()
    stale = other.answer()
    assert desk.judge(stale, desk.answer()) is DigestState.VALID
    assert desk.judge(desk.answer(), stale, call_id="b") is DigestState.VALID
    assert desk.judge(stale, stale, call_id="c") is DigestState.STALE
    used = desk.answer()
    assert desk.judge(used, call_id="d") is DigestState.VALID
    assert desk.judge(stale, used, call_id="e") is DigestState.STALE


def test_credentials_for_other_realms_are_ignored_even_if_malformed() -> None:
    desk = Desk()
    other = 'Digest realm="elsewhere.example", algorithm=AKAv1-MD5, response=""'
    assert desk.judge(other) is DigestState.ABSENT
    assert desk.judge(other, desk.answer()) is DigestState.VALID
    assert desk.judge(*[other] * (MAX_CREDENTIALS - 1), desk.answer()) is DigestState.VALID
    assert desk.judge(*[other] * MAX_CREDENTIALS, desk.answer()) is DigestState.ABSENT


def test_a_user_hash_is_wrong_as_none_was_offered() -> None:
    desk = Desk()
    hashed = hashlib.md5(f"{APP}:{DOMAIN}".encode()).hexdigest()
    assert desk.judge(replace(desk.answer(user=hashed), userhash=True)) is DigestState.WRONG
    assert desk.judge(replace(desk.answer(), userhash=True)) is DigestState.WRONG


def test_an_extended_user_name_is_admitted() -> None:
    desk = Desk()
    text = str(desk.answer()).replace(f'username="{APP}"', f"username*=UTF-8''{APP.replace('-', '%2D')}")
    assert desk.judge(text) is DigestState.VALID
    assert desk.judge(text.replace(APP[:3], "nobody"), call_id="b") is DigestState.OTHER_USER


def test_a_realm_beyond_ascii_is_utf8_and_escaped() -> None:
    realm = 'caf\u00e9 "1"'
    desk = Desk(realm=realm)
    desk.application = application(ha1=((APP, MD5, make_ha1(APP, realm, "secret")),))
    assert desk.judge(desk.answer()) is DigestState.VALID
    in_latin = str(desk.answer()).encode("latin-1").decode("utf-8", "surrogateescape")
    assert desk.judge(in_latin) is DigestState.ABSENT


def test_without_qop_no_credentials_are_accepted_by_default() -> None:
    desk = Desk()
    assert desk.judge(desk.answer(replace(desk.challenge(), qop=()))) is DigestState.WRONG


def test_without_qop_a_nonce_is_valid_once() -> None:
    desk = Desk(allow_no_qop=True)
    challenge = desk.challenge()
    bare = desk.answer(replace(challenge, qop=()))
    assert desk.judge(bare) is DigestState.VALID
    assert desk.judge(bare) is DigestState.VALID, "a retransmission"
    assert desk.judge(bare, call_id="b") is DigestState.STALE
    assert desk.judge(desk.answer(challenge), call_id="b") is DigestState.STALE
    assert desk.judge(desk.answer(challenge, count=2**32 - 1)) is DigestState.STALE
    counted = desk.challenge()
    assert desk.judge(desk.answer(counted)) is DigestState.VALID
    assert desk.judge(desk.answer(replace(counted, qop=()))) is DigestState.STALE
    assert desk.judge(replace(bare, response="0" * 32)) is DigestState.WRONG


@pytest.mark.parametrize("algorithm", [MD5_SESS, SHA256_SESS])
def test_session_variants_may_come_without_qop_too(algorithm: str) -> None:
    desk = Desk(allow_no_qop=True)
    assert desk.judge(desk.answer(replace(desk.challenge(algorithm), qop=()))) is DigestState.VALID


# Replays.


def test_a_count_is_good_for_one_request() -> None:
    desk = Desk()
    challenge = desk.challenge()
    first, third = desk.answer(challenge), desk.answer(challenge, count=3)
    assert desk.judge(first) is DigestState.VALID
    assert desk.judge(first) is DigestState.VALID, "a retransmission"
    assert desk.judge(first, call_id="b") is DigestState.STALE
    assert desk.judge(third, call_id="b") is DigestState.VALID
    assert desk.judge(desk.answer(challenge, count=2), call_id="c") is DigestState.STALE
    assert desk.judge(first) is DigestState.STALE


def test_a_wrong_digest_claims_no_count() -> None:
    desk = Desk(max_nonces=1)
    challenge = desk.challenge()
    assert desk.judge(replace(desk.answer(challenge), response="0" * 32)) is DigestState.WRONG
    assert desk.judge(desk.answer(challenge), call_id="b") is DigestState.VALID


def test_nonces_of_others_and_old_ones_are_stale() -> None:
    desk = Desk()
    assert desk.judge(Desk().answer()) is DigestState.STALE, "another worker or instance"
    assert desk.judge(Desk(key=b"old").answer()) is DigestState.STALE, "before the key was rotated"
    assert desk.judge(desk.answer(), source="198.51.100.8") is DigestState.STALE
    answer = desk.answer()
    assert desk.judge(answer, now=NONCE_SECONDS + 1) is DigestState.STALE
    flipped = "A" if answer.nonce[20] != "A" else "B"
    assert desk.judge(replace(answer, nonce=answer.nonce[:20] + flipped + answer.nonce[21:])) is DigestState.STALE
    assert desk.judge(replace(answer, nonce="\udcff")) is DigestState.STALE


def test_a_jump_of_the_clock_only_makes_nonces_stale() -> None:
    desk = Desk()
    late = desk.answer(desk.challenge(now=7_200.0))
    assert desk.judge(late, now=3_600.0) is DigestState.STALE
    assert desk.judge(late, now=7_200.0) is DigestState.VALID
    assert desk.judge(desk.answer(desk.challenge(now=3_600.0)), now=3_600.0, call_id="b") is DigestState.VALID


def test_a_full_table_of_claims_refuses_everybody() -> None:
    desk = Desk(max_nonces=2)
    assert [desk.judge(desk.answer(), call_id=name) for name in "abc"] == [DigestState.VALID, DigestState.VALID, DigestState.STALE]
    later = NONCE_SECONDS + 1
    assert desk.judge(desk.answer(desk.challenge(now=later)), now=later, call_id="d") is DigestState.VALID


def test_an_unknown_application_costs_the_same_steps() -> None:
    desk = Desk()
    desk.application = None
    assert desk.judge(desk.answer()) is DigestState.WRONG


def test_the_request_is_not_changed() -> None:
    desk = Desk()
    request = make_request(branch="z9hG4bKa", extra=[("Proxy-Authorization", str(desk.answer()))])
    assert isinstance(request, Request)
    before = bytes(request)
    desk.check.judge(request, desk.application, SOURCE, 0.0)
    assert bytes(request) == before
