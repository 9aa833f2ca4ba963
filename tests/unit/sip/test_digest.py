from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipproxy.sip import Challenge, Credentials, PeerError, UsageError
from sipproxy.sip.digest import MD5, SHA256, answer_challenge, expected_response, make_ha1
from sipproxy.sip.limits import MAX_AUTH_FIELD

texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12)


def credentials(**changes: str) -> str:
    fields = {
        "username": '"u"',
        "realm": '"r"',
        "nonce": '"n"',
        "uri": '"sip:a@b"',
        "response": '"00"',
        "qop": "auth",
        "nc": "00000001",
        "cnonce": '"c"',
    }
    fields |= changes
    return "Digest " + ", ".join(f"{name}={value}" for name, value in fields.items() if value)


@given(
    st.builds(
        Challenge,
        texts,
        texts,
        st.sampled_from([MD5, SHA256]),
        st.sampled_from([(), ("auth",), ("auth", "auth-int")]),
        st.booleans(),
        texts,
    )
)
def test_challenge_round_trip(challenge: Challenge) -> None:
    assert Challenge.parse(str(challenge)) == challenge


@given(texts, texts, texts, st.sampled_from([MD5, SHA256]))
def test_who_knows_the_password_is_recognised(user: str, realm: str, password: str, algorithm: str) -> None:
    challenge = Challenge(realm, "nonce", algorithm, opaque="o")
    answer = answer_challenge(challenge, username=user, password=password, method="INVITE", uri="sip:a@b", cnonce="c")
    assert Credentials.parse(str(answer)) == answer
    ha1 = make_ha1(user, realm, password, algorithm)
    assert expected_response(answer, ha1=ha1, method="INVITE") == answer.response
    assert expected_response(answer, ha1=ha1, method="BYE") != answer.response


def test_the_examples_of_rfc_7616_hold() -> None:
    common = {"username": "Mufasa", "realm": "http-auth@example.org", "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"}
    for algorithm, expected in (
        (MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (SHA256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        answer = Credentials(
            **common,
            uri="/dir/index.html",
            response="",
            algorithm=algorithm,
            qop="auth",
            nc="00000001",
            cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        )
        ha1 = make_ha1("Mufasa", common["realm"], "Circle of Life", algorithm)
        assert expected_response(answer, ha1=ha1, method="GET") == expected


def test_without_qop_the_old_formula_holds() -> None:
    answer = answer_challenge(Challenge("r", "n", qop=()), username="u", password="p", method="INVITE", uri="sip:a@b", cnonce="c")
    assert (answer.qop, answer.nc, answer.count) == ("", "", 0)
    assert Credentials.parse(str(answer)) == answer


def test_a_challenge_that_offers_only_integrity_is_not_answered() -> None:
    with pytest.raises(UsageError):
        answer_challenge(Challenge("r", "n", qop=("auth-int",)), username="u", password="p", method="INVITE", uri="sip:a@b", cnonce="c")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "Digest",
        "Basic dTpw",
        credentials(username=""),
        credentials(nc="1"),
        credentials(cnonce=""),
        credentials(algorithm="MD5-sess"),
        credentials(username='"unbalanced'),
        credentials() + ', realm="again"',
        credentials(username='"' + "u" * (MAX_AUTH_FIELD + 1) + '"'),
        "Digest " + ",".join(f"a{index}=b" for index in range(100)),
        "Digest a b",
    ],
)
def test_bad_credentials(raw: str) -> None:
    with pytest.raises(PeerError):
        Credentials.parse(raw)


def test_count_is_hexadecimal() -> None:
    assert Credentials.parse(credentials(nc="0000000A")).count == 10


@pytest.mark.parametrize("raw", ["Digest nonce=n", "Digest realm=r", 'Digest realm="r", nonce="n", algorithm=SHA-1'])
def test_bad_challenges(raw: str) -> None:
    with pytest.raises(PeerError):
        Challenge.parse(raw)


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        Credentials.parse("Digest " + text)
    except PeerError:
        return
