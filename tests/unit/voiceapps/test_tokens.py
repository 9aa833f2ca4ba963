"""The keys of access tokens: valid sets, signing, verifying, rotation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings
from jwcrypto.common import base64url_encode
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from voiceapps.api.access import token_keys
from voiceapps.api.access.token_keys import MAX_TOKEN, TokenKeys

RSA = JWK.generate(kty="RSA", size=2048, alg="RS256", kid="one").export_private(as_dict=True)
EC = JWK.generate(kty="EC", crv="P-256", alg="ES256", kid="two").export_private(as_dict=True)


def parsed(*keys: Mapping[str, Any]) -> TokenKeys:
    return token_keys.parse(json.dumps({"keys": list(keys)}))


def without(key: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name not in names}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "not a JWK Set"),
        ("secret", "not a JWK Set"),
        ("[]", "not a JWK Set"),
        ("{}", "not a JWK Set"),
        ('{"keys": []}', "without keys"),
        ('{"keys": {"kty": "RSA"}}', "without keys"),
        ('{"keys": ["x"]}', "key 1 is not a JWK"),
        ('{"keys": [{"kty": "RSA", "n": "!", "e": "AQAB", "kid": "a", "alg": "RS256"}]}', "key 1 is not a JWK"),
    ],
)
def test_an_invalid_jwk_set_is_refused_with_the_rule(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        token_keys.parse(text)


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        (without(RSA, "kid"), "needs a kid and an alg"),
        (RSA | {"kid": ""}, "needs a kid and an alg"),
        (without(RSA, "alg"), "needs a kid and an alg"),
        (without(RSA, "d", "p", "q", "dp", "dq", "qi"), "no private part"),
        (JWK.generate(kty="RSA", size=1024, alg="RS256", kid="a").export_private(as_dict=True), "less than 2048 bits"),
        ({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "a"}, "not for one of RS256, PS256, ES256"),
        (RSA | {"alg": "ES256"}, "not for one of"),
        (JWK.generate(kty="EC", crv="P-384", alg="ES256", kid="a").export_private(as_dict=True), "not for one of"),
        (RSA | {"use": "enc"}, "not for signatures"),
        (RSA | {"key_ops": ["verify"]}, "not for signatures"),
    ],
)
def test_an_invalid_key_is_named_by_its_position_and_not_shown(key: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=f"key 2 .*{rule}") as caught:
        parsed(EC, key)
    assert str(key.get("d", key.get("n", key.get("k")))) not in str(caught.value)


def test_two_keys_with_one_kid_are_refused() -> None:
    with pytest.raises(ValueError, match="same kid"):
        parsed(RSA, EC | {"kid": "one"})


@pytest.mark.parametrize("key", [RSA, RSA | {"alg": "PS256"}, EC], ids=lambda key: key["alg"])
def test_a_set_verifies_its_own_signatures(key: dict[str, Any]) -> None:
    keys = parsed(key)
    assert keys.verify("at+jwt", keys.sign("at+jwt", {"a": 1})) == {"a": 1}


def test_the_first_key_signs_and_all_verify() -> None:
    old = parsed(RSA).sign("at+jwt", {"a": 1})
    keys = parsed(EC, RSA)
    assert keys.verify("at+jwt", old) == {"a": 1}
    assert parsed(RSA).verify("at+jwt", keys.sign("at+jwt", {})) is None


def test_other_texts_do_not_verify() -> None:
    keys = parsed(RSA)
    token = keys.sign("at+jwt", {"a": 1})
    header, payload, signature = token.split(".")
    as_json = json.dumps({"protected": header, "payload": payload, "signature": signature})
    deep = base64url_encode("[" * 3000)
    for other in (
        "",
        "..",
        token + "=",
        token + ".x",
        " " + token,
        token + "\n",
        as_json,
        f"{deep}.{payload}.{signature}",
        f"bnVsbA.{payload}.x",
    ):
        assert keys.verify("at+jwt", other) is None
    assert keys.verify("JWT", token) is None


def test_claims_must_be_an_object() -> None:
    jws = JWS(b"[1]")
    jws.add_signature(JWK(**RSA), protected=json.dumps({"typ": "at+jwt", "alg": "RS256", "kid": "one"}))
    assert parsed(RSA).verify("at+jwt", jws.serialize(compact=True)) is None


def test_a_token_has_a_maximum_length() -> None:
    keys = parsed(EC)
    assert keys.verify("at+jwt", keys.sign("at+jwt", {"a": "x" * 5000})) is not None
    long = keys.sign("at+jwt", {"a": "x" * 7000})
    assert len(long) > MAX_TOKEN
    assert keys.verify("at+jwt", long) is None


def test_the_public_keys_have_no_private_part() -> None:
    assert [sorted(key) for key in parsed(RSA, EC).public()] == [
        ["alg", "e", "kid", "kty", "n", "use"],
        ["alg", "crv", "kid", "kty", "use", "x", "y"],
    ]


def test_a_new_set_is_one_line_with_one_valid_key() -> None:
    text = token_keys.new_set()
    assert "\n" not in text
    (key,) = token_keys.parse(text).keys
    assert (key["alg"], key["kid"], key["kid"][0] == "-") == ("RS256", key.thumbprint(), False)


class TestTokenkey:
    def run(self, *arguments: str) -> list[str]:
        out = StringIO()
        call_command("tokenkey", *arguments, stdout=out)
        return [key["kid"] for key in token_keys.parse(out.getvalue().strip()).keys]

    @override_settings(SIPURI_TOKEN_KEYS=json.dumps({"keys": [RSA, EC]}))
    def test_the_new_key_comes_first(self) -> None:
        fresh, *others = self.run()
        assert fresh not in {"one", "two"}
        assert others == ["one", "two"]

    @override_settings(SIPURI_TOKEN_KEYS=json.dumps({"keys": [RSA, EC]}))
    def test_keys_are_dropped_by_their_kid(self) -> None:
        assert self.run("--drop", "one")[1:] == ["two"]
        assert self.run("--drop", "one", "--drop", "two")[1:] == []
        with pytest.raises(CommandError, match="three"):
            self.run("--drop", "three")

    @override_settings(SIPURI_TOKEN_KEYS="nonsense")
    def test_an_invalid_value_is_reported(self) -> None:
        with pytest.raises(CommandError, match="SIPURI_TOKEN_KEYS: not a JWK Set"):
            self.run()


def test_the_installations_own_set_is_valid() -> None:
    assert token_keys.current() is token_keys.parse(settings.SIPURI_TOKEN_KEYS)
