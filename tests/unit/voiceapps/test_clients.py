"""API clients: changes, their audit entries, limits, and the console's pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from voiceapps.models import Account, ApiClient, AuditEntry
from voiceapps.services import accounts, clients
from voiceapps.services.audit import Actor
from voiceapps.services.clients import TooManyClientsError, TooManySecretsError

ACTOR = Actor("test")
SECRET = "a-client-secret-of-enough-length"


@pytest.fixture
def account(db: None) -> Account:
    return accounts.ensure_account("1", actor=ACTOR)


@pytest.fixture
def other(db: None) -> Account:
    return accounts.ensure_account("2", actor=ACTOR)


@pytest.fixture
def client(account: Account) -> ApiClient:
    return clients.create("Mine", ["calls:read"], [account], actor=ACTOR)


def entries(action: str) -> list[tuple[str, dict[str, Any]]]:
    return [(entry.chain, entry.changes) for entry in AuditEntry.objects.filter(action=action)]


def test_bootstrap_binds_one_more_account_and_replaces_the_secrets(account: Account, other: Account) -> None:
    assert clients.ensure_client("c", SECRET, account, actor=ACTOR) is None
    client = ApiClient.objects.get(client_id="c")
    clients.add_secret(client, None, actor=ACTOR)
    assert clients.ensure_client("c", SECRET, other, actor=ACTOR) is None
    assert client.secrets.count() == 2
    clients.ensure_client("c", SECRET + "-2", account, actor=ACTOR)
    assert client.secrets.count() == 1
    assert [row.pk for row in client.accounts.all()] == ["1", "2"]
    with pytest.raises(ValidationError):
        clients.ensure_client("c", "short", account, actor=ACTOR)


def test_bootstrap_without_a_secret_keeps_the_one_that_works(account: Account, other: Account) -> None:
    made = clients.ensure_client("c", "", account, actor=ACTOR)
    assert made is not None
    assert clients.ensure_client("c", "", other, actor=ACTOR) is None
    client = clients.authenticate("c", [made])
    assert client is not None
    assert client.accounts.count() == 2
    client.secrets.update(expires_at=timezone.now())
    again = clients.ensure_client("c", "", account, actor=ACTOR)
    assert again is not None
    assert clients.authenticate("c", [again]) == client
    assert clients.authenticate("c", [made]) is None


def test_a_created_client_has_a_generated_id_and_no_secret(client: ApiClient) -> None:
    assert len(client.client_id) == 28
    assert client.client_id.startswith("api-")
    assert client.client_id[4:].isalnum()
    assert client.client_id == client.client_id.lower()
    assert client.secrets.count() == 0
    assert entries("client.create") == [("1", {"description": "Mine", "scopes": ["calls:read"], "accounts": ["1"]})]


def test_the_clients_of_an_account_are_limited(account: Account, other: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MAX_CLIENTS_PER_ACCOUNT", 2)
    for _ in range(2):
        clients.create("x", [], [account], actor=ACTOR)
    with pytest.raises(TooManyClientsError, match="Account 1"):
        clients.create("x", [], [other, account], actor=ACTOR)
    elsewhere = clients.create("x", [], [other], actor=ACTOR)
    with pytest.raises(TooManyClientsError):
        clients.update(elsewhere, accounts=[account, other], actor=ACTOR)
    # A binding that exists already does not count again.
    clients.update(ApiClient.objects.filter(accounts=account)[0], accounts=[account, other], actor=ACTOR)


def test_only_a_real_change_is_audited(client: ApiClient, account: Account, other: Account) -> None:
    clients.update(client, description="Yours", scopes=["admin"], accounts=[other, account], actor=ACTOR)
    clients.update(client, description="Yours", scopes=["admin"], accounts=[account, other], actor=ACTOR)
    assert entries("client.update") == [("1", {"description": "Yours", "scopes": ["admin"], "accounts": ["1", "2"]})]
    client.refresh_from_db()
    assert (client.name, client.scopes, client.accounts.count()) == ("Yours", ["admin"], 2)


def test_a_third_secret_is_refused_until_one_has_expired(client: ApiClient) -> None:
    first = clients.add_secret(client, timezone.now() + timedelta(hours=1), actor=ACTOR)
    clients.add_secret(client, None, actor=ACTOR)
    with pytest.raises(TooManySecretsError):
        clients.add_secret(client, None, actor=ACTOR)
    client.secrets.filter(pk=first.row.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    third = clients.add_secret(client, None, actor=ACTOR)
    assert client.secrets.count() == 2
    assert clients.authenticate(client.client_id, [first.secret]) is None
    assert clients.authenticate(client.client_id, [third.secret]) == client


def test_a_secret_is_long_random_and_masked_in_the_audit(client: ApiClient) -> None:
    made = clients.add_secret(client, None, actor=ACTOR)
    assert len(made.secret) >= 32
    assert made.secret.isalnum()
    assert made.secret not in made.row.digest
    secret_id = str(made.row.pk)
    clients.delete_secret(made.row, actor=ACTOR)
    assert entries("client.add_secret") == [("1", {"secret": "***", "secret_id": secret_id, "expires_at": None})]
    assert entries("client.delete_secret") == [("1", {"secret_id": secret_id})]


def test_authenticate_accepts_only_the_clients_own_secret(client: ApiClient, account: Account) -> None:
    made = clients.add_secret(client, None, actor=ACTOR)
    clients.ensure_client("another", SECRET, account, actor=ACTOR)
    assert clients.authenticate(client.client_id, ["wrong", made.secret]) == client
    for client_id, secrets in ((client.client_id, [SECRET]), ("another", [made.secret]), ("nobody", [made.secret]), ("a\0b", [SECRET])):
        assert clients.authenticate(client_id, secrets) is None
    assert clients.authenticate(client.client_id, []) is None


def test_a_deleted_client_is_in_the_audit(client: ApiClient) -> None:
    client_id = client.client_id
    clients.delete(client, actor=ACTOR)
    assert not ApiClient.objects.filter(client_id=client_id).exists()
    assert entries("client.delete") == [("1", {"description": "Mine"})]


def test_the_console_shows_the_times_of_secrets_only(client: ApiClient) -> None:
    made = clients.add_secret(client, None, actor=ACTOR)
    http = Client()
    operator = User.objects.create(username="operator", is_staff=True, is_superuser=True)
    http.force_login(operator)
    answer = http.get(f"/console/voiceapps/apiclient/{client.pk}/change/")
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "Expires at" in html
    assert "Last used at" in html
    assert made.row.digest not in html
    assert made.row.digest.split("$")[1] not in html
