"""The OAuth 2.0 endpoints: who gets a token, what it permits, and until when."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client, override_settings
from jwcrypto.common import base64url_decode, base64url_encode
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS
from oauth2_provider.models import AccessToken

from tests.conftest import ACTOR, SECRET
from tests.support.api import CALLBACK, ApiCustomer
from voiceapps.api.access import throttles, token_keys
from voiceapps.api.access.forms import MAX_FIELDS
from voiceapps.models import Account, ApiClient, AuditEntry, ClientSecret
from voiceapps.models.accounts import SCOPES
from voiceapps.services import clients

TOKEN, REVOKE, INTROSPECT = (f"/api/v1/oauth2/{name}" for name in ("token", "revoke", "introspect"))
FORM = "application/x-www-form-urlencoded"
GRANT = {"grant_type": "client_credentials"}
NOW = datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC)


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def post(
    path: str, body: dict[str, str] | bytes | str, authorization: str = "", source: str = "127.0.0.1", content_type: str = FORM
) -> Any:
    data = urlencode(body) if isinstance(body, dict) else body
    headers = {"Authorization": authorization} if authorization else {}
    return Client(REMOTE_ADDR=source).generic("POST", path, data, content_type=content_type, headers=headers)


def ask(customer: ApiCustomer, path: str, token: str) -> Any:
    return post(path, {"token": token}, basic(customer.client_id, customer.secret))


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64url_decode(token.split(".")[1]))
    return claims


def bearer(customer: ApiCustomer, token: str) -> Any:
    return customer.http.get(customer.base, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Stop the clock and return a function that advances it by seconds."""
    now = [NOW]
    monkeypatch.setattr("django.utils.timezone.now", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += timedelta(seconds=seconds)

    return advance


class TestToken:
    def test_a_client_gets_a_bearer_token_with_its_lifetime_and_all_its_scopes(self, customer: ApiCustomer) -> None:
        answer = customer.ask_token()
        body = answer.json()
        assert body["token_type"] == "Bearer"
        assert body["expires_in"] == 3600
        assert set(body["scope"].split()) == set(SCOPES)
        assert answer["Cache-Control"] == "no-store"

    def test_the_token_is_a_jwt_that_says_who_and_what(self, customer: ApiCustomer) -> None:
        body = customer.ask_token(scope="voice-applications:read voice-applications:write calls:read").json()
        header = json.loads(base64url_decode(body["access_token"].split(".")[0]))
        assert header == {"typ": "at+jwt", "alg": "RS256", "kid": token_keys.current().keys[0]["kid"]}
        claims = claims_of(body["access_token"])
        assert claims.pop("exp") - claims.pop("iat") == body["expires_in"]
        assert len(claims.pop("jti")) == 36
        assert claims == {
            "iss": settings.PUBLIC_URL,
            "aud": settings.PUBLIC_URL,
            "sub": customer.client_id,
            "client_id": customer.client_id,
            "scope": body["scope"],
            "accounts": [customer.account_id],
            "roles": ["HTTP Application Management"],
        }

    def test_a_token_with_fewer_scopes_may_do_less(self, customer: ApiCustomer) -> None:
        customer._token = customer.ask_token(scope="voice-applications:read").json()["access_token"]
        assert customer.request("GET", customer.base).status_code == 200
        answer = customer.request("POST", customer.base, {"applicationName": "x", "callInitiatedCallbackUrl": CALLBACK})
        assert answer.status_code == 403
        assert "voice-applications:write" in answer.json()["errors"][0]["description"]

    def test_a_scope_that_the_client_lacks_is_refused(self, customer: ApiCustomer) -> None:
        answer = customer.ask_token(scope="nothing")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")

    @pytest.mark.parametrize(
        "grant", ["password", "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code", "é"]
    )
    def test_only_the_client_credentials_grant_exists(self, customer: ApiCustomer, grant: str) -> None:
        answer = post(TOKEN, {"grant_type": grant}, basic(customer.client_id, SECRET))
        assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")

    def test_the_tokens_of_a_client_are_limited(self, customer: ApiCustomer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clients, "MAX_TOKENS_PER_CLIENT", 2)
        assert [customer.ask_token().status_code for _ in range(3)] == [200, 200, 429]
        AccessToken.objects.update(expires=NOW - timedelta(days=9999))
        assert customer.ask_token().status_code == 200
        assert clients.sweep_tokens() == 2
        assert AccessToken.objects.count() == 1


class TestClientAuthentication:
    def test_a_wrong_secret_is_invalid_client_with_a_challenge(self, customer: ApiCustomer) -> None:
        answer = customer.ask_token(secret="wrong")
        assert answer.status_code == 401
        assert answer.json() == {"error": "invalid_client"}
        assert answer["WWW-Authenticate"].startswith("Basic ")
        assert answer["Cache-Control"] == "no-store"

    def test_credentials_may_come_in_the_body(self, customer: ApiCustomer) -> None:
        form = GRANT | {"client_id": customer.client_id, "client_secret": customer.secret}
        assert "access_token" in post(TOKEN, form).json()

    def test_credentials_in_both_places_are_refused(self, customer: ApiCustomer) -> None:
        header = basic(customer.client_id, SECRET)
        for field in ({"client_secret": SECRET}, {"client_id": "another"}):
            answer = post(TOKEN, GRANT | field, header)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert post(TOKEN, GRANT | {"client_id": customer.client_id}, header).status_code == 200

    @pytest.mark.parametrize("secret", ["plus+percent%41-and/slash=padding", "a secret with blanks and ü inside"])
    def test_a_secret_may_be_plain_or_form_encoded(self, customer: ApiCustomer, secret: str) -> None:
        account = Account.objects.get(pk=customer.account_id)
        clients.ensure_client(customer.client_id, secret, account, actor=ACTOR)
        assert post(TOKEN, GRANT, basic(customer.client_id, secret)).status_code == 200
        encoded = urlencode({"": secret})[1:]
        assert post(TOKEN, GRANT, basic(customer.client_id, encoded)).status_code == 200

    def test_two_secrets_work_and_after_one_is_deleted_the_other(self, customer: ApiCustomer) -> None:
        client = ApiClient.objects.get(client_id=customer.client_id)
        made = clients.add_secret(client, None, actor=ACTOR)
        assert [customer.ask_token(secret=secret).status_code for secret in (SECRET, made.secret)] == [200, 200]
        clients.delete_secret(client.secrets.exclude(pk=made.row.pk).get(), actor=ACTOR)
        assert [customer.ask_token(secret=secret).status_code for secret in (SECRET, made.secret)] == [401, 200]

    def test_an_expired_secret_fails(self, customer: ApiCustomer, clock: Callable[[float], None]) -> None:
        ClientSecret.objects.update(expires_at=NOW + timedelta(seconds=10))
        assert customer.ask_token().status_code == 200
        clock(11)
        assert customer.ask_token().status_code == 401

    def test_the_last_use_is_stored_once_a_minute(self, customer: ApiCustomer, clock: Callable[[float], None]) -> None:
        seen = []
        for seconds in (0, 59, 2):
            clock(seconds)
            customer.ask_token()
            seen.append(ClientSecret.objects.get().last_used_at)
        assert seen == [NOW, NOW, NOW + timedelta(seconds=61)]

    @pytest.mark.parametrize(
        "header",
        [
            "Basic",
            "Basic !!!",
            "Basic \xe9",
            "Basic " + base64.b64encode(b"no-colon").decode(),
            "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
            "Basic " + base64.b64encode(b"client-one\0:x").decode(),
            basic("client-one%00", SECRET),
            basic("", ""),
            "Bearer x",
        ],
    )
    def test_a_malformed_header_is_invalid_client(self, customer: ApiCustomer, header: str) -> None:
        answer = post(TOKEN, GRANT, header)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")

    def test_nul_in_credentials_is_invalid_client(self, customer: ApiCustomer) -> None:
        proof = {"client_id": customer.client_id, "client_secret": SECRET}
        answers = {
            name: post(path, GRANT | proof | {"token": "x"} | {name: "a\0b"})
            for name, path in (("client_id", TOKEN), ("client_secret", TOKEN), ("scope", TOKEN), ("token", INTROSPECT), ("\0", TOKEN))
        }
        assert {name: answer.status_code for name, answer in answers.items()} == {
            "client_id": 401,
            "client_secret": 401,
            "scope": 400,
            "token": 200,
            "\0": 200,
        }

    def test_without_credentials_it_is_invalid_client(self, db: None) -> None:
        for path in (TOKEN, REVOKE, INTROSPECT):
            answer = post(path, GRANT | {"token": "x"})
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


class TestRequests:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"grant_type=",
            b"\xff\xfe",
            b"grant_type=%ff",
            b"grant_type=client_credentials&grant_type=client_credentials",
            b"grant_type=client_credentials&" + b"&".join(b"f%d=1" % n for n in range(MAX_FIELDS)),
        ],
    )
    @pytest.mark.parametrize("path", [TOKEN, REVOKE, INTROSPECT])
    def test_a_malformed_form_is_invalid_request(self, customer: ApiCustomer, path: str, body: bytes) -> None:
        answer = post(path, body, basic(customer.client_id, SECRET))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert answer["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", ""])
    def test_another_media_type_is_named(self, db: None, content_type: str) -> None:
        answer = post(TOKEN, b"{}", content_type=content_type)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert "Content-Type" in answer.json()["error_description"]

    def test_parameters_in_the_url_are_refused(self, customer: ApiCustomer) -> None:
        assert post(f"{TOKEN}?client_secret=x", GRANT, basic(customer.client_id, SECRET)).json()["error"] == "invalid_request"

    def test_a_long_body_is_413(self, db: None) -> None:
        assert post(TOKEN, b"a" * 65_536).status_code == 400
        answer = post(TOKEN, b"a" * 65_537)
        assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"])
    @pytest.mark.parametrize("path", [TOKEN, REVOKE, INTROSPECT])
    def test_only_post(self, db: None, path: str, method: str) -> None:
        answer = Client().generic(method, path)
        assert (answer.status_code, answer["Allow"], answer["Content-Type"]) == (405, "POST", "application/json")
        assert method == "HEAD" or answer.json()["error"] == "invalid_request"


class TestGuessing:
    @pytest.mark.parametrize("path", [TOKEN, REVOKE, INTROSPECT])
    def test_after_ten_failures_even_the_right_secret_is_refused(
        self, customer: ApiCustomer, clock: Callable[[float], None], path: str
    ) -> None:
        form = GRANT | {"token": "x"}
        for _ in range(throttles.MAX_FAILURES):
            assert post(path, form, basic(customer.client_id, "wrong")).status_code == 401
        answer = post(path, form, basic(customer.client_id, SECRET))
        assert (answer.status_code, answer.json()["error"]) == (429, "slow_down")
        assert answer["Retry-After"] == "299"
        clock(299)
        assert post(path, form, basic(customer.client_id, SECRET)).status_code == 200

    def test_an_attacker_elsewhere_does_not_lock_the_owner_out(self, customer: ApiCustomer) -> None:
        for _ in range(throttles.MAX_FAILURES + 1):
            last = post(TOKEN, GRANT, basic(customer.client_id, "wrong"), source="203.0.113.66")
        assert last.status_code == 429
        assert post(TOKEN, GRANT, basic(customer.client_id, SECRET), source="198.51.100.1").status_code == 200

    def test_another_client_behind_the_same_address_is_not_affected(self, customer: ApiCustomer, stranger: ApiCustomer) -> None:
        for _ in range(throttles.MAX_FAILURES):
            post(TOKEN, GRANT, basic(customer.client_id, "wrong"))
        assert customer.ask_token().status_code == 429
        assert stranger.ask_token().status_code == 200

    def test_a_success_resets_the_failures(self, customer: ApiCustomer) -> None:
        for _ in range(3):
            for _ in range(throttles.MAX_FAILURES - 1):
                assert customer.ask_token(secret="wrong").status_code == 401
            assert customer.ask_token().status_code == 200

    def test_a_source_that_tries_many_clients_is_refused(self, customer: ApiCustomer) -> None:
        source = "203.0.113.66"
        for n in range(throttles.MAX_SOURCE_FAILURES):
            assert post(TOKEN, GRANT, basic(f"client-{n}", "wrong"), source=source).status_code == 401
        assert post(TOKEN, GRANT, basic("yet-another", "wrong"), source=source).status_code == 429
        assert customer.ask_token().status_code == 200


class TestAccessTokens:
    def forged(self, header: dict[str, object], claims: dict[str, object], key: JWK | None = None) -> str:
        if key is None:
            return ".".join(base64url_encode(json.dumps(part)) for part in (header, claims)) + "."
        jws = JWS(json.dumps(claims))
        jws.add_signature(key, protected=json.dumps(header))
        token: str = jws.serialize(compact=True)
        return token

    def known(self, customer: ApiCustomer, token: str) -> str:
        """Store a row for a token, as if its checksum were known, so that only the signature check can refuse it."""
        client = ApiClient.objects.get(client_id=customer.client_id)
        row = AccessToken(application=client, scope=" ".join(SCOPES), expires=NOW + timedelta(days=9999), token=token)
        row.save()
        return token

    def test_a_bad_token_is_401_and_says_so(self, customer: ApiCustomer) -> None:
        for token in ("x", "a.b.c", "", "a b", customer.token + "x", customer.token + "=", "%00", "\xe9.\xe9.\xe9", "a" * 9000):
            answer = bearer(customer, token)
            assert answer.status_code == 401
            assert 'error="invalid_token"' in answer["WWW-Authenticate"]
            assert answer.json()["errors"][0]["type"] == "unauthorized"

    def test_without_a_token_there_is_no_error_in_the_challenge(self, customer: ApiCustomer) -> None:
        for header in ({}, {"Authorization": basic(customer.client_id, SECRET)}):
            answer = customer.http.get(customer.base, headers=header)
            assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="sipuri"')

    def test_a_token_in_the_url_is_ignored(self, customer: ApiCustomer) -> None:
        assert customer.http.get(f"{customer.base}?access_token={customer.token}").status_code == 401

    def test_control_our_own_token_with_a_row_is_accepted(self, customer: ApiCustomer) -> None:
        key, claims = token_keys.current().keys[0], claims_of(customer.token)
        token = self.forged({"alg": "RS256", "typ": "at+jwt", "kid": key["kid"]}, claims | {"jti": "x"}, key)
        assert bearer(customer, token).status_code == 401
        assert bearer(customer, self.known(customer, token)).status_code == 200

    @pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "RS512", "PS256"])
    def test_an_algorithm_that_is_not_the_keys_is_refused(self, customer: ApiCustomer, algorithm: str) -> None:
        key, claims = token_keys.current().keys[0], claims_of(customer.token)
        public = key.export_to_pem()
        used = {"HS256": JWK(kty="oct", k=base64url_encode(public)), "RS512": JWK(**_bare(key)), "PS256": JWK(**_bare(key))}
        token = self.forged({"alg": algorithm, "typ": "at+jwt", "kid": key["kid"]}, claims, used.get(algorithm))
        assert bearer(customer, self.known(customer, token)).status_code == 401

    def test_anothers_key_with_our_kid_is_refused(self, customer: ApiCustomer) -> None:
        kid = token_keys.current().keys[0]["kid"]
        other = JWK.generate(kty="RSA", size=2048)
        token = self.forged({"alg": "RS256", "typ": "at+jwt", "kid": kid}, claims_of(customer.token), other)
        assert bearer(customer, self.known(customer, token)).status_code == 401

    def test_tampered_claims_are_refused(self, customer: ApiCustomer) -> None:
        header, _, signature = customer.token.split(".")
        claims = claims_of(customer.token) | {"accounts": ["9911111"]}
        token = ".".join((header, base64url_encode(json.dumps(claims)), signature))
        assert bearer(customer, self.known(customer, token)).status_code == 401

    @pytest.mark.parametrize(
        "change", [{"iss": "https://evil.example"}, {"aud": "https://evil.example"}, {"aud": None}, {"exp": 1}, {"exp": None}, {"exp": "9"}]
    )
    def test_claims_that_are_not_for_us_are_refused(self, customer: ApiCustomer, change: dict[str, object]) -> None:
        token = token_keys.current().sign("at+jwt", claims_of(customer.token) | change)
        assert bearer(customer, self.known(customer, token)).status_code == 401

    def test_another_type_of_jwt_is_refused(self, customer: ApiCustomer) -> None:
        token = token_keys.current().sign("JWT", claims_of(customer.token))
        assert bearer(customer, self.known(customer, token)).status_code == 401

    def test_the_signature_is_checked_before_the_database(
        self, customer: ApiCustomer, django_assert_num_queries: Callable[[int], Any]
    ) -> None:
        token = customer.token
        with django_assert_num_queries(0):
            assert bearer(customer, token[:-8] + "AAAAAAAA").status_code == 401

    def test_it_expires(self, customer: ApiCustomer, clock: Callable[[float], None]) -> None:
        token = customer.token
        clock(3598)
        assert bearer(customer, token).status_code == 200
        clock(2)
        assert bearer(customer, token).status_code == 401

    def test_a_lost_scope_is_lost_at_once(self, customer: ApiCustomer) -> None:
        assert bearer(customer, customer.token).status_code == 200
        clients.update(ApiClient.objects.get(client_id=customer.client_id), scopes=["calls:read"], actor=ACTOR)
        assert bearer(customer, customer.token).status_code == 403

    def test_a_later_scope_is_not_in_an_older_token(self, customer: ApiCustomer) -> None:
        token = customer.ask_token(scope="calls:read").json()["access_token"]
        assert bearer(customer, token).status_code == 403

    def test_a_lost_account_is_lost_at_once(self, customer: ApiCustomer, stranger: ApiCustomer) -> None:
        assert bearer(customer, customer.token).status_code == 200
        client = ApiClient.objects.get(client_id=customer.client_id)
        clients.update(client, accounts=[Account.objects.get(pk=stranger.account_id)], actor=ACTOR)
        assert bearer(customer, customer.token).status_code == 403

    def test_a_new_key_logs_nobody_out_until_the_old_one_is_dropped(self, customer: ApiCustomer) -> None:
        token, kid = customer.token, token_keys.current().keys[0]["kid"]
        with override_settings(SIPURI_TOKEN_KEYS=_tokenkey()):
            assert bearer(customer, token).status_code == 200
            newer = customer.ask_token().json()["access_token"]
            assert json.loads(base64url_decode(newer.split(".")[0]))["kid"] != kid
            with override_settings(SIPURI_TOKEN_KEYS=_tokenkey("--drop", kid)):
                assert bearer(customer, token).status_code == 401
                assert bearer(customer, newer).status_code == 200


def _bare(key: JWK) -> dict[str, str]:
    return {name: value for name, value in key.export_private(as_dict=True).items() if name not in {"alg", "use"}}


def _tokenkey(*arguments: str) -> str:
    out = StringIO()
    call_command("tokenkey", *arguments, stdout=out)
    return out.getvalue().strip()


class TestRevocation:
    def test_a_client_revokes_its_own_token(self, customer: ApiCustomer) -> None:
        token = customer.token
        answer = ask(customer, REVOKE, token)
        assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
        assert bearer(customer, token).status_code == 401
        entry = AuditEntry.objects.get(action="client.revoke_token")
        assert (entry.subject, entry.actor) == (customer.client_id, f"client {customer.client_id}")
        assert (entry.changes, entry.source_ip, entry.chain) == ({"jti": claims_of(token)["jti"]}, "127.0.0.1", customer.account_id)

    def test_anothers_token_and_nonsense_are_answered_alike_and_nothing_happens(self, customer: ApiCustomer, stranger: ApiCustomer) -> None:
        for token in (customer.token, "x", "a.b.c"):
            answer = ask(stranger, REVOKE, token)
            assert (answer.status_code, answer.content) == (200, b"")
        assert bearer(customer, customer.token).status_code == 200
        assert not AuditEntry.objects.filter(action="client.revoke_token").exists()

    def test_a_wrong_secret_revokes_nothing(self, customer: ApiCustomer) -> None:
        assert post(REVOKE, {"token": customer.token}, basic(customer.client_id, "wrong")).status_code == 401
        assert bearer(customer, customer.token).status_code == 200


class TestIntrospection:
    def test_a_client_sees_what_its_token_may_do(self, customer: ApiCustomer) -> None:
        claims = claims_of(customer.token)
        answer = ask(customer, INTROSPECT, customer.token)
        assert answer.json() == claims | {"active": True, "token_type": "Bearer"}
        assert answer["Cache-Control"] == "no-store"

    def test_it_shows_the_current_rights(self, customer: ApiCustomer) -> None:
        token = customer.token
        clients.update(ApiClient.objects.get(client_id=customer.client_id), scopes=["admin"], actor=ACTOR)
        seen = ask(customer, INTROSPECT, token).json()
        assert (seen["scope"], seen["roles"]) == ("admin", ["Credential access"])

    def test_a_foreign_or_invalid_token_is_not_active(
        self, customer: ApiCustomer, stranger: ApiCustomer, clock: Callable[[float], None]
    ) -> None:
        inactive = {"active": False}
        assert ask(stranger, INTROSPECT, customer.token).json() == inactive
        assert ask(customer, INTROSPECT, "x").json() == inactive
        revoked = customer.ask_token().json()["access_token"]
        ask(customer, REVOKE, revoked)
        assert ask(customer, INTROSPECT, revoked).json() == inactive
        clock(3601)
        assert ask(customer, INTROSPECT, customer.token).json() == inactive

    def test_the_row_decides_when_a_token_expires(self, customer: ApiCustomer) -> None:
        token = customer.token
        AccessToken.objects.update(expires=NOW - timedelta(days=9999))
        assert ask(customer, INTROSPECT, token).json() == {"active": False}
        assert bearer(customer, token).status_code == 401

    def test_a_token_does_not_authenticate_the_client(self, customer: ApiCustomer) -> None:
        assert post(INTROSPECT, {"token": customer.token}, f"Bearer {customer.token}").status_code == 401


class TestDiscovery:
    def test_the_keys_are_public_and_verify(self, customer: ApiCustomer) -> None:
        with override_settings(SIPURI_TOKEN_KEYS=_tokenkey()):
            token = customer.ask_token().json()["access_token"]
            answer = customer.http.get("/.well-known/jwks.json")
        assert answer["Cache-Control"] == "public, max-age=3600"
        keys = answer.json()["keys"]
        assert len(keys) == 2
        assert all(key.keys() == {"kty", "use", "alg", "kid", "n", "e"} for key in keys)
        jws = JWS()
        jws.deserialize(token, JWK(**keys[0]))
        assert json.loads(jws.payload)["sub"] == customer.client_id

    def test_the_metadata_names_the_endpoints(self, db: None) -> None:
        answer = Client().get("/.well-known/oauth-authorization-server")
        assert answer["Cache-Control"] == "public, max-age=3600"
        body = answer.json()
        assert body["issuer"] == settings.PUBLIC_URL
        named = {body[name] for name in ("token_endpoint", "revocation_endpoint", "introspection_endpoint")}
        assert named == {settings.PUBLIC_URL + path for path in (TOKEN, REVOKE, INTROSPECT)}
        assert body["jwks_uri"] == f"{settings.PUBLIC_URL}/.well-known/jwks.json"
        assert body["grant_types_supported"] == ["client_credentials"]


class TestRate:
    @override_settings(API_RATE=3)
    def test_each_client_has_its_own_rate(self, customer: ApiCustomer, stranger: ApiCustomer, clock: Callable[[float], None]) -> None:
        assert [bearer(customer, customer.token).status_code for _ in range(4)] == [200, 200, 200, 429]
        answer = bearer(customer, customer.token)
        assert answer["Retry-After"] == "59"
        assert answer.json()["errors"][0]["type"] == "too_many_requests"
        assert bearer(stranger, stranger.token).status_code == 200
        clock(59)
        assert bearer(customer, customer.token).status_code == 200

    @override_settings(API_RATE=0)
    def test_zero_is_no_limit(self, customer: ApiCustomer) -> None:
        assert {bearer(customer, customer.token).status_code for _ in range(5)} == {200}


def test_no_secret_and_no_token_is_stored_or_logged(customer: ApiCustomer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = customer.token
    in_body = post(TOKEN, GRANT | {"client_id": customer.client_id, "client_secret": SECRET}).json()["access_token"]
    for path in (INTROSPECT, REVOKE):
        ask(customer, path, in_body)
    post(TOKEN, GRANT | {"client_id": customer.client_id, "client_secret": SECRET + "-wrong"})
    bearer(customer, token + "x")
    kept = json.dumps([*AccessToken.objects.values(), *AuditEntry.objects.values(), *ClientSecret.objects.values()], default=str)
    for text in (SECRET, token, in_body, token.rpartition(".")[2], in_body.rpartition(".")[2]):
        assert text not in kept
        assert text not in caplog.text
    assert set(AccessToken.objects.values_list("token", flat=True)) == {""}
