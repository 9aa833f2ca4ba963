"""What the console answers instead of a page: a sentence in the frame, and a way back."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from tests.unit.voiceapps.builders import ACTOR
from tests.unit.voiceapps.people import logged_in, made
from voiceapps.models import AuditEntry
from voiceapps.rules.people.roles import Role
from voiceapps.services.accounts import ensure_account

pytestmark = pytest.mark.django_db


def framed(answer: Any) -> str:
    """Return a page's text; it has the frame, one main landmark, a link that skips to it, and a way back."""
    page: str = answer.content.decode()
    assert re.findall(r'<main id="([\w-]+)"', page) == ["main-content"]
    assert page.count("</main>") == 1
    assert page.index('href="#main-content"') < page.index("<main")
    assert f'href="{reverse("admin:index")}"' in page
    return page


@pytest.mark.parametrize("path", ["/console/nothing/", "/console/calls/c-nothing/"])
def test_what_is_not_there_is_a_page(path: str) -> None:
    answer = logged_in(made("looker", Role.VIEWER)).get(path)
    assert answer.status_code == 404
    page = framed(answer)
    assert "Not found" in page
    assert 'id="nav-sidebar"' in page


def test_what_is_not_allowed_is_a_page() -> None:
    answer = logged_in(made("looker", Role.VIEWER)).get(reverse("console:audit"))
    assert answer.status_code == 403
    assert "Your role does not allow this" in framed(answer)


def test_a_forged_form_is_a_page() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(made("boss", Role.ADMIN))
    answer = client.post(reverse("admin:password_change"), {})
    assert answer.status_code == 403
    assert "another site" in framed(answer)


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [(RuntimeError("inside"), 500, "broken on our side"), (OperationalError("gone"), 503, "is away")],
)
def test_a_fault_is_a_page_that_asks_the_database_nothing(
    monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, sentence: str
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise error

    client = logged_in(made("looker", Role.VIEWER))
    client.raise_request_exception = False
    monkeypatch.setattr("voiceapps.console.pages.call.call_report", fail)
    answer = client.get("/console/calls/c-1/")
    assert answer.status_code == status
    page = framed(answer)
    assert sentence in page
    assert ("under the request's id: " + answer["X-Request-Id"] in html.unescape(page)) == (status == 500)
    assert "inside" not in page
    assert 'id="nav-sidebar"' not in page
    assert answer.has_header("Retry-After") == (status == 503)


@pytest.mark.parametrize(
    ("verb", "path", "form"),
    [
        ("get", "/console/calls/%00/", None),
        ("get", "/console/audit/?account=%00", None),
        ("get", "/console/audit/?%00=1", None),
        ("post", "/console/security/lift", {"ip": "a\0b"}),
        ("post", "/console/nodes/order", {"order": "drain", "name": ["one", "\0"]}),
    ],
)
def test_a_nul_is_refused_with_its_rule(verb: str, path: str, form: dict[str, Any] | None) -> None:
    answer = getattr(logged_in(made("boss", Role.ADMIN)), verb)(path, form)
    assert answer.status_code == 400
    assert "has the character NUL (%00)" in framed(answer)


def test_a_nul_in_a_cookie_is_refused() -> None:
    client = Client()
    client.cookies.load('sessionid="a\\000b"')
    answer = client.get("/console/")
    assert answer.status_code == 400
    assert "has the character NUL (%00)" in framed(answer)


def test_the_address_of_a_button_says_what_it_is() -> None:
    answer = logged_in(made("boss", Role.ADMIN)).get(reverse("console:node_order"))
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "it takes POST, and nothing was done" in framed(answer)


def test_no_cache_keeps_what_stands_in_place_of_a_page() -> None:
    assert logged_in(made("looker", Role.VIEWER)).get("/console/nothing/")["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/v2/accounts/1/nothing", "/api/v2/nothing"])
def test_the_api_keeps_its_json(path: str) -> None:
    answer = logged_in(made("looker", Role.VIEWER)).get(path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")


def test_a_stranger_is_led_to_the_login() -> None:
    assert Client().get("/console/nothing/")["Location"] == "/console/login/?next=/console/nothing/"
    login = Client().get("/console/login/").content.decode()
    assert login.count("<main ") == login.count("</main>") == 1


@pytest.mark.parametrize(
    "name",
    ["console:overview", "console:calls", "console:security", "admin:auth_user_add", "admin:password_change"],
)
def test_each_kind_of_page_has_one_main_part(name: str) -> None:
    page = logged_in(made("boss", Role.ADMIN)).get(reverse(name)).content.decode()
    assert (page.count("<main "), page.count("</main>"), page.count('href="#main-content"')) == (1, 1, 1)
    assert page.index('id="content"') > page.index("<main ")


def test_the_page_after_the_logout_has_one_too() -> None:
    page = logged_in(made("boss", Role.ADMIN)).post(reverse("admin:logout")).content.decode()
    assert (page.count("<main "), page.count("</main>")) == (1, 1)


def test_the_signing_secret_is_revealed_once_and_audited() -> None:
    account = ensure_account("9900000", actor=ACTOR)
    client = logged_in(made("boss", Role.ADMIN))
    assert "whsec_" not in client.get(reverse("admin:voiceapps_account_change", args=[account.pk])).content.decode()
    asked = reverse("admin:voiceapps_reveal_secret", args=[account.pk])
    assert client.get(asked).status_code == 403
    page = client.post(asked)["Location"]
    shown = client.get(page)
    assert "whsec_" in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    assert "whsec_" not in client.get(page).content.decode()
    entry = AuditEntry.objects.get(action="account.reveal_secret")
    assert (entry.chain, entry.actor, entry.changes) == ("9900000", "operator boss", {})
