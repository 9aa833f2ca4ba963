"""The credentials API: visibility, secrets that are shown once, and that no client grants more than it has."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import ACTOR
from tests.support.api import ApiCustomer
from voiceapps.models import Account, ApiClient, AuditEntry, ClientSecret
from voiceapps.services import accounts, clients

PATH = "/api/v1/credentials"
BODY: dict[str, object] = {"description": "CI", "accountScope": "ACCOUNT", "roles": ["HttpVoice"], "accounts": ["9900000"]}


def create(customer: ApiCustomer, **fields: object) -> dict[str, Any]:
    answer = customer.request("POST", PATH, BODY | {"accounts": [customer.account_id]} | fields)
    assert answer.status_code == 201, answer.content
    data: dict[str, Any] = answer.json()["data"]
    return data


def make_secret(customer: ApiCustomer, client_id: str, **fields: object) -> dict[str, Any]:
    answer = customer.request("POST", f"{PATH}/{client_id}/secrets", fields)
    assert answer.status_code == 201, answer.content
    data: dict[str, Any] = answer.json()["data"]
    return data


def holder(customer: ApiCustomer, credential: dict[str, Any]) -> ApiCustomer:
    """Return a customer that uses a credential, with a new secret."""
    secret = make_secret(customer, credential["clientId"])["clientSecret"]
    return ApiCustomer(customer.http, customer.account_id, credential["clientId"], secret)


def error_of(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["errors"][0]
    return answer.status_code, error["type"], error.get("source", {}).get("field", "")


def keyed(customer: ApiCustomer, path: str, body: object) -> Any:
    headers = {"Authorization": f"Bearer {customer.token}", "Idempotency-Key": "k"}
    return customer.http.generic("POST", path, json.dumps(body), content_type="application/json", headers=headers)


@pytest.fixture
def wide(customer: ApiCustomer) -> ApiCustomer:
    """A customer with a second account."""
    client = ApiClient.objects.get(client_id=customer.client_id)
    client.accounts.add(accounts.ensure_account("9922222", actor=ACTOR))
    return customer


class TestCreate:
    def test_a_credential_is_made_with_its_roles_and_accounts(self, customer: ApiCustomer) -> None:
        answer = customer.request("POST", PATH, BODY)
        data = answer.json()["data"]
        assert data.pop("createdAt").endswith("Z")
        assert answer["Location"] == f"http://127.0.0.1:8000{PATH}/{data['clientId']}"
        assert data.pop("clientId").startswith("api-")
        assert data == BODY | {"scopes": ["calls:read", "calls:write", "recordings:read", "recordings:write"]}
        assert AuditEntry.objects.get(action="client.create").actor == f"client {customer.client_id}"

    def test_it_may_do_what_its_roles_allow(self, customer: ApiCustomer) -> None:
        made = holder(customer, create(customer, roles=["HTTP Application Management"]))
        assert made.ask_token().json()["scope"] == "voice-applications:read voice-applications:write"
        assert made.request("GET", made.base).status_code == 200
        assert made.request("GET", PATH).status_code == 403

    @pytest.mark.parametrize(
        ("fields", "bad"),
        [
            ({"description": ""}, "description"),
            ({"description": 7}, "description"),
            ({"description": "x" * 256}, "description"),
            ({"description": "a\0b"}, "description"),
            ({"accountScope": "SYSTEM"}, "accountScope"),
            ({"roles": ["Nonsense"]}, "roles"),
            ({"roles": "HttpVoice"}, "roles"),
            ({"accounts": []}, "accounts"),
            ({"accounts": ["9911111"]}, "accounts"),
            ({"accounts": ["9900000", "1"]}, "accounts"),
            ({"accounts": ["٩"]}, "accounts"),
            ({"accounts": ["9900000"] * 101}, "accounts"),
            ({"scopes": ["admin"]}, "scopes"),
            ({"clientSecret": "x"}, "clientSecret"),
        ],
    )
    def test_a_bad_field_is_named(self, customer: ApiCustomer, stranger: ApiCustomer, fields: dict[str, object], bad: str) -> None:
        before = ApiClient.objects.count()
        answer = customer.request("POST", PATH, BODY | fields)
        assert error_of(answer) == (400, "invalid_parameter", bad)
        assert ApiClient.objects.count() == before

    def test_missing_fields_are_named(self, customer: ApiCustomer) -> None:
        errors = customer.request("POST", PATH, {}).json()["errors"]
        assert {error["source"]["field"] for error in errors} == {"description", "roles", "accounts"}

    def test_scopes_that_the_token_lacks_cannot_be_granted(self, customer: ApiCustomer) -> None:
        customer._token = customer.ask_token(scope="admin calls:read").json()["access_token"]
        assert error_of(customer.request("POST", PATH, BODY)) == (400, "invalid_parameter", "roles")
        assert create(customer, roles=["Credential access"])["scopes"] == ["admin"]

    def test_the_credentials_of_an_account_are_limited(self, customer: ApiCustomer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clients, "MAX_CLIENTS_PER_ACCOUNT", 2)
        create(customer)
        assert error_of(customer.request("POST", PATH, BODY)) == (409, "too_many_credentials", "")

    def test_a_repeated_request_creates_one(self, customer: ApiCustomer) -> None:
        first, second = keyed(customer, PATH, BODY), keyed(customer, PATH, BODY)
        assert first.json() == second.json()
        assert second["Idempotency-Replayed"] == "true"
        assert second["Location"] == first["Location"]


class TestVisibility:
    def test_the_list_has_the_credentials_of_ones_accounts_page_by_page(self, wide: ApiCustomer, stranger: ApiCustomer) -> None:
        made = [create(wide, accounts=ids)["clientId"] for ids in (["9900000"], ["9922222"], ["9900000", "9922222"])]
        ApiClient.objects.get(client_id=stranger.client_id).accounts.add(Account.objects.get(pk="9900000"))
        ApiClient.objects.create(client_id="unbound", client_type="confidential", authorization_grant_type="client-credentials")
        seen = []
        path = f"{PATH}?limit=2"
        while path:
            body = wide.request("GET", path).json()
            seen += [entry["clientId"] for entry in body["data"]]
            path = next((link["href"] for link in body["links"] if link["rel"] == "next"), "").removeprefix("http://testserver")
        assert seen == [wide.client_id, *made]

    def test_a_credential_with_a_foreign_account_is_not_found(self, wide: ApiCustomer, stranger: ApiCustomer) -> None:
        narrow = holder(wide, create(wide, roles=["Credential access"]))
        both = create(wide, accounts=["9900000", "9922222"])["clientId"]
        secret_id = make_secret(wide, both)["secretId"]
        unknown = narrow.request("GET", f"{PATH}/unknown")
        for client_id in (both, wide.client_id, stranger.client_id, "a%00b"):
            for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/secrets"), ("POST", "/secrets")):
                answer = narrow.request(method, f"{PATH}/{client_id}{path}", {} if method in {"PATCH", "POST"} else None)
                assert answer.status_code == 404
                assert answer.json()["errors"][0]["description"] == unknown.json()["errors"][0]["description"]
            assert narrow.request("DELETE", f"{PATH}/{client_id}/secrets/{secret_id}").status_code == 404
        assert ClientSecret.objects.filter(pk=secret_id).exists()

    def test_it_needs_the_scope_admin(self, customer: ApiCustomer) -> None:
        made = create(customer)["clientId"]
        customer._token = customer.ask_token(scope="voice-applications:read calls:read").json()["access_token"]
        for method, path in (("GET", ""), ("POST", ""), ("PATCH", f"/{made}"), ("DELETE", f"/{made}"), ("POST", f"/{made}/secrets")):
            assert customer.request(method, PATH + path, {} if method in {"PATCH", "POST"} else None).status_code == 403


class TestChange:
    def test_only_sent_fields_change(self, customer: ApiCustomer) -> None:
        made = create(customer)
        answer = customer.request("PATCH", f"{PATH}/{made['clientId']}", {"description": "Other"})
        assert answer.json()["data"] == made | {"description": "Other"}
        assert customer.request("GET", f"{PATH}/{made['clientId']}").json()["data"] == made | {"description": "Other"}

    def test_removed_roles_are_lost_at_once(self, customer: ApiCustomer) -> None:
        credential = create(customer, roles=["HTTP Application Management", "HttpVoice"])
        made = holder(customer, credential)
        assert made.request("GET", made.base).status_code == 200
        customer.request("PATCH", f"{PATH}/{credential['clientId']}", {"roles": ["HttpVoice"]})
        assert made.request("GET", made.base).status_code == 403

    def test_removed_accounts_are_lost_at_once(self, wide: ApiCustomer) -> None:
        credential = create(wide, roles=["HTTP Application Management"], accounts=["9900000", "9922222"])
        made = holder(wide, credential)
        assert made.request("GET", made.base).status_code == 200
        wide.request("PATCH", f"{PATH}/{credential['clientId']}", {"accounts": ["9922222"]})
        assert made.request("GET", made.base).status_code == 403

    @pytest.mark.parametrize("fields", [{"roles": ["x"]}, {"accounts": ["9911111"]}, {"accounts": []}, {"clientId": "mine"}])
    def test_a_bad_field_is_named(self, customer: ApiCustomer, stranger: ApiCustomer, fields: dict[str, object]) -> None:
        made = create(customer)
        answer = customer.request("PATCH", f"{PATH}/{made['clientId']}", fields)
        assert error_of(answer) == (400, "invalid_parameter", next(iter(fields)))
        assert customer.request("GET", f"{PATH}/{made['clientId']}").json()["data"] == made

    def test_a_change_cannot_grant_more_than_the_token_has(self, wide: ApiCustomer) -> None:
        path = f"{PATH}/{create(wide)['clientId']}"
        wide._token = wide.ask_token(scope="admin calls:read").json()["access_token"]
        assert error_of(wide.request("PATCH", path, {"roles": ["HttpVoice", "Credential access"]})) == (400, "invalid_parameter", "roles")
        assert wide.request("PATCH", path, {"accounts": ["9900000", "9922222"]}).status_code == 403
        assert wide.request("POST", f"{path}/secrets", {}).status_code == 403
        # Removing rights needs no rights.
        answer = wide.request("PATCH", path, {"accounts": ["9922222"], "roles": ["Credential access"]})
        assert answer.json()["data"]["scopes"] == ["admin"]

    def test_a_full_account_accepts_no_more(self, wide: ApiCustomer, monkeypatch: pytest.MonkeyPatch) -> None:
        made = create(wide)["clientId"]
        monkeypatch.setattr(clients, "MAX_CLIENTS_PER_ACCOUNT", 1)
        answer = wide.request("PATCH", f"{PATH}/{made}", {"accounts": ["9922222"]})
        assert error_of(answer) == (409, "too_many_credentials", "")


class TestDelete:
    def test_its_tokens_are_deleted_with_it(self, customer: ApiCustomer) -> None:
        credential = create(customer, roles=["HTTP Application Management"])
        made = holder(customer, credential)
        assert made.request("GET", made.base).status_code == 200
        assert customer.request("DELETE", f"{PATH}/{credential['clientId']}").status_code == 204
        assert made.request("GET", made.base).status_code == 401
        assert made.ask_token().status_code == 401
        assert customer.request("GET", f"{PATH}/{credential['clientId']}").status_code == 404

    def test_it_does_not_delete_itself(self, customer: ApiCustomer) -> None:
        answer = customer.request("DELETE", f"{PATH}/{customer.client_id}")
        assert error_of(answer) == (409, "own_credential", "")
        assert ApiClient.objects.filter(client_id=customer.client_id).exists()


class TestSecrets:
    def test_a_secret_is_shown_once(self, customer: ApiCustomer) -> None:
        made = create(customer)["clientId"]
        answer = customer.request("POST", f"{PATH}/{made}/secrets", {})
        data = answer.json()["data"]
        assert data.keys() == {"secretId", "clientSecret", "createdAt", "expirationDate"}
        assert len(data["clientSecret"]) >= 32
        assert answer["Cache-Control"] == "no-store"
        listed = customer.request("GET", f"{PATH}/{made}/secrets")
        assert listed.json()["data"] == [{name: value for name, value in data.items() if name != "clientSecret"} | {"lastUsedAt": None}]
        assert data["clientSecret"] not in json.dumps(list(AuditEntry.objects.values()), default=str)

    def test_its_last_use_is_shown(self, customer: ApiCustomer) -> None:
        credential = create(customer)
        assert holder(customer, credential).ask_token().status_code == 200
        (seen,) = customer.request("GET", f"{PATH}/{credential['clientId']}/secrets").json()["data"]
        assert seen["lastUsedAt"].endswith("Z")

    def test_a_replay_has_a_notice_in_the_secrets_place(self, customer: ApiCustomer) -> None:
        path = f"{PATH}/{create(customer)['clientId']}/secrets"
        first, second = keyed(customer, path, {}).json()["data"], keyed(customer, path, {}).json()["data"]
        assert second["secretId"] == first["secretId"]
        assert "clientSecret" not in second
        assert "clientSecretNotice" in second
        assert ClientSecret.objects.filter(client__client_id=path.split("/")[4]).count() == 1

    def test_a_third_secret_is_refused(self, customer: ApiCustomer) -> None:
        made = create(customer)["clientId"]
        for _ in range(clients.MAX_SECRETS):
            make_secret(customer, made)
        assert error_of(customer.request("POST", f"{PATH}/{made}/secrets", {})) == (409, "too_many_secrets", "")

    def test_it_expires_at_its_expiration_date(self, customer: ApiCustomer) -> None:
        made = create(customer)["clientId"]
        assert make_secret(customer, made, expirationDate="2099-01-01T01:00:00+01:00")["expirationDate"] == "2099-01-01T00:00:00.000Z"
        assert make_secret(customer, made, expirationDate=None)["expirationDate"] is None

    @pytest.mark.parametrize(
        "when", ["2020-01-01T00:00:00Z", "soon", "", 7, ["x"], "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
    )
    def test_a_bad_time_is_named(self, customer: ApiCustomer, when: object) -> None:
        made = create(customer)["clientId"]
        answer = customer.request("POST", f"{PATH}/{made}/secrets", {"expirationDate": when})
        assert error_of(answer) == (400, "invalid_parameter", "expirationDate")

    def test_a_deleted_secret_fails_but_its_tokens_stay_valid(self, customer: ApiCustomer) -> None:
        credential = create(customer, roles=["HTTP Application Management"])
        made = holder(customer, credential)
        assert made.request("GET", made.base).status_code == 200
        (secret,) = customer.request("GET", f"{PATH}/{credential['clientId']}/secrets").json()["data"]
        path = f"{PATH}/{credential['clientId']}/secrets/{secret['secretId']}"
        assert customer.request("DELETE", path).status_code == 204
        assert made.ask_token().status_code == 401
        assert made.request("GET", made.base).status_code == 200
        assert customer.request("DELETE", path).status_code == 404

    def test_a_secret_is_found_under_its_own_credential_only(self, customer: ApiCustomer) -> None:
        one, two = create(customer)["clientId"], create(customer)["clientId"]
        secret_id = make_secret(customer, one)["secretId"]
        assert customer.request("DELETE", f"{PATH}/{two}/secrets/{secret_id}").status_code == 404
        assert ClientSecret.objects.filter(pk=secret_id).exists()


def test_the_cost_of_the_list_does_not_depend_on_its_length(customer: ApiCustomer, django_assert_max_num_queries: Any) -> None:
    for _ in range(5):
        create(customer)
    assert customer.token
    with django_assert_max_num_queries(3):
        assert len(customer.request("GET", PATH).json()["data"]) == 6


def test_an_expired_secret_makes_room(customer: ApiCustomer) -> None:
    made = create(customer)["clientId"]
    for _ in range(clients.MAX_SECRETS):
        make_secret(customer, made, expirationDate="2099-01-01T00:00:00Z")
    ClientSecret.objects.filter(client__client_id=made).update(expires_at=timezone.now() - timedelta(seconds=1))
    make_secret(customer, made)
    assert ClientSecret.objects.filter(client__client_id=made).count() == 1
