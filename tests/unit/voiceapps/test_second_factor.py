"""The second factor: codes count once, wrong ones cost time, and who must have one sees nothing before."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import hotp
from pytest_django.fixtures import Settings

from tests.unit.voiceapps.builders import ACTOR
from tests.unit.voiceapps.people import FAST_HASHERS, PASSWORD, codes_on, logged_in, made
from voiceapps.console.access import pending
from voiceapps.models import AuditEntry, SecondFactor
from voiceapps.rules.people.lockout import MAX_OF_SOURCE
from voiceapps.rules.people.roles import Role
from voiceapps.services import rotation
from voiceapps.services.people import factors
from voiceapps.services.people.factors import CodeError, Proof

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECRET = base64.b32encode(b"12345678901234567890").decode()
Clock = Callable[[float], None]
ENROL, CODE = reverse("console:second_factor"), reverse("console:login_code")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Clock:
    """Stop the clock; it goes on by as many seconds as one says."""
    settings.PASSWORD_HASHERS = FAST_HASHERS
    now = [START]
    monkeypatch.setattr(timezone, "now", lambda: now[0])

    def go_on(seconds: float) -> None:
        now[0] += timedelta(seconds=seconds)

    return go_on


@pytest.fixture
def boss() -> User:
    return made("boss", Role.ADMIN, password=PASSWORD)


def code_of(secret: str = SECRET, steps: int = 0) -> str:
    return f"{hotp(base64.b32decode(secret), int(timezone.now().timestamp()) // 30 + steps):06}"


def enrolled(user: User) -> list[str]:
    return factors.enrol(user, SECRET, code_of(), actor=ACTOR)


def log_in(client: Client | None = None, name: str = "boss") -> tuple[Client, Any]:
    client = client or Client()
    return client, client.post(reverse("admin:login"), {"username": name, "password": PASSWORD})


def sees_calls(client: Client) -> bool:
    return client.get(reverse("console:calls")).status_code == 200


def secret_on(page: str) -> str:
    (shown,) = re.findall(r'<code class="sipuri-secret">([A-Z2-7 ]+)</code>', page)
    return str(shown.replace(" ", ""))


# Codes.


def test_the_codes_are_those_of_rfc_6238(boss: User, clock: Clock) -> None:
    clock(59 - START.timestamp())
    assert code_of() == "287082"  # appendix B, the last six digits
    assert enrolled(boss)


@pytest.mark.parametrize(("steps", "counts"), [(-1, False), (0, False), (1, True), (2, False)])
def test_a_code_counts_near_its_time_and_none_twice(boss: User, steps: int, counts: bool) -> None:
    enrolled(boss)  # by the code of this step
    if counts:
        assert factors.verify(boss, code_of(steps=steps), actor=ACTOR) is Proof.CODE
    with pytest.raises(CodeError, match="wrong"):
        factors.verify(boss, code_of(steps=steps), actor=ACTOR)


def test_wrong_codes_cost_time_and_a_right_one_wipes_them_out(boss: User, clock: Clock) -> None:
    enrolled(boss)
    clock(60)
    for _ in range(4):
        with pytest.raises(CodeError, match="wrong"):
            factors.verify(boss, "000000", actor=ACTOR)
    with pytest.raises(CodeError, match="wait 3 seconds"):
        factors.verify(boss, code_of(), actor=ACTOR)
    assert SecondFactor.objects.get().failures == 4
    clock(2)
    assert factors.verify(boss, code_of(), actor=ACTOR) is Proof.CODE
    assert SecondFactor.objects.get().failures == 0


def test_a_recovery_code_counts_once_however_it_is_written(boss: User) -> None:
    first, second, *others = enrolled(boss)
    assert len({first, second, *others}) == factors.RECOVERY_CODES
    assert factors.verify(boss, f" {first.upper().replace('-', ' ')} ", actor=ACTOR) is Proof.RECOVERY
    with pytest.raises(CodeError):
        factors.verify(boss, first, actor=ACTOR)
    assert factors.verify(boss, second, actor=ACTOR) is Proof.RECOVERY
    assert [entry.changes for entry in AuditEntry.objects.filter(action="operator.use_recovery_code").order_by("number")] == [
        {"left": 9},
        {"left": 8},
    ]


def test_new_recovery_codes_replace_the_old_ones(boss: User) -> None:
    old = enrolled(boss)
    new = factors.renew_recovery_codes(boss, actor=ACTOR)
    with pytest.raises(CodeError):
        factors.verify(boss, old[0], actor=ACTOR)
    assert factors.verify(boss, new[0], actor=ACTOR) is Proof.RECOVERY


def test_neither_secret_nor_recovery_codes_are_stored_in_the_clear(boss: User, settings: Settings) -> None:
    codes = enrolled(boss)
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret, recovery_digests FROM voiceapps_secondfactor")
        stored = json.dumps(cursor.fetchall())
    assert all(text not in stored for text in (SECRET, *codes, *(code.replace("-", "") for code in codes)))
    assert "SecondFactor.secret" in {done.field for done in rotation.rewrite(actor=ACTOR, dry_run=True)}


def test_a_code_of_another_secret_enrols_nothing(boss: User) -> None:
    with pytest.raises(CodeError):
        factors.enrol(boss, SECRET, code_of(base64.b32encode(bytes(20)).decode()), actor=ACTOR)
    assert not factors.is_enrolled(boss)


# The login.


def test_the_second_step_asks_for_the_code(boss: User, clock: Clock) -> None:
    enrolled(boss)
    clock(30)
    client, answer = log_in()
    assert answer["Location"] == CODE
    assert not sees_calls(client)
    assert "Code of your authenticator" in client.get(CODE).content.decode()
    wrong = client.post(CODE, {"code": "000000"})
    assert (wrong.status_code, "This code is wrong" in wrong.content.decode()) == (400, True)
    assert not sees_calls(client)
    assert client.post(CODE, {"code": code_of()})["Location"] == "/console/"
    assert sees_calls(client)
    assert AuditEntry.objects.get(action="operator.log_in").changes == {"proof": "code of the authenticator"}


def test_the_same_code_logs_nobody_else_in(boss: User, clock: Clock) -> None:
    enrolled(boss)
    clock(30)
    for wanted in (302, 400):
        client, _ = log_in()
        assert client.post(CODE, {"code": code_of()}).status_code == wanted


def test_the_second_step_ends_with_time_and_with_a_new_password(boss: User, clock: Clock) -> None:
    enrolled(boss)
    slow, _ = log_in()
    clock(pending.SECONDS)
    assert slow.post(CODE, {"code": code_of()})["Location"] == "/console/login/"
    stale, _ = log_in()
    boss.set_password(PASSWORD + "x")
    boss.save()
    assert stale.post(CODE, {"code": code_of()})["Location"] == "/console/login/"


def test_nobody_comes_to_the_second_step_without_the_first(boss: User) -> None:
    enrolled(boss)
    assert Client().post(CODE, {"code": code_of(steps=1)})["Location"] == "/console/login/"
    assert Client().get(ENROL)["Location"] == "/console/login/"


def test_wrong_codes_count_against_their_source(boss: User, clock: Clock) -> None:
    enrolled(boss)
    clock(30)
    client, _ = log_in()
    for _ in range(MAX_OF_SOURCE):
        client.post(CODE, {"code": "000000"})
    answer = client.post(CODE, {"code": code_of()})
    assert "Too many failed logins from your address" in answer.content.decode()
    assert log_in()[1].status_code == 429


# Enrolment.


def test_who_must_have_one_enrols_before_anything_else(boss: User, settings: Settings) -> None:
    settings.CONSOLE_TOTP_REQUIRED = True
    client, answer = log_in()
    assert answer["Location"] == ENROL
    assert not sees_calls(client)
    page = client.get(ENROL)
    assert "no-store" in page["Cache-Control"]
    secret = secret_on(page.content.decode())
    assert secret_on(client.get(ENROL).content.decode()) == secret
    assert client.post(ENROL, {"code": "000000"}).status_code == 400
    reveal = client.post(ENROL, {"code": code_of(secret)})["Location"]
    codes = codes_on(client.get(reveal).content.decode())
    assert len(codes) == factors.RECOVERY_CODES
    assert codes_on(client.get(reveal).content.decode()) == []
    assert sees_calls(client)
    assert factors.verify(boss, codes[0], actor=ACTOR) is Proof.RECOVERY


def test_a_session_without_one_ends_when_it_is_required(boss: User, settings: Settings) -> None:
    client = logged_in(boss)
    assert sees_calls(client)
    settings.CONSOLE_TOTP_REQUIRED = True
    assert not sees_calls(client)


def test_who_may_have_one_enrols_while_logged_in_and_other_sessions_end(boss: User) -> None:
    mine, other = logged_in(boss), logged_in(boss)
    assert sees_calls(other)
    secret = secret_on(mine.get(ENROL).content.decode())
    assert mine.post(ENROL, {"code": code_of(secret)}).status_code == 302
    assert (sees_calls(mine), sees_calls(other)) == (True, False)
    assert "10 recovery codes left" in mine.get(ENROL).content.decode()


def test_new_codes_and_the_end_ask_for_a_code(boss: User, settings: Settings, clock: Clock) -> None:
    enrolled(boss)
    client = logged_in(boss)
    new, end = (reverse("console:change_second_factor", args=[verb]) for verb in ("codes", "end"))
    assert client.post(new, {"code": "000000"})["Location"] == ENROL
    clock(30)
    assert len(codes_on(client.post(new, {"code": code_of()}, follow=True).content.decode())) == factors.RECOVERY_CODES
    assert client.get(end).status_code == 403
    settings.CONSOLE_TOTP_REQUIRED = True
    session = client.session
    session["second_factor"] = True
    session.save()
    clock(30)
    assert client.post(end, {"code": code_of()}).status_code == 403
    settings.CONSOLE_TOTP_REQUIRED = False
    clock(30)
    assert client.post(end, {"code": code_of()}).status_code == 302
    assert not factors.is_enrolled(boss)
    assert sees_calls(client)


def test_the_address_is_what_authenticators_read() -> None:
    address = urlsplit(factors.address_of(SECRET, "the boss"))
    assert (address.scheme, address.netloc, address.path) == ("otpauth", "totp", "/sipuri%3Athe%20boss")
    assert parse_qs(address.query) == {"secret": [SECRET], "issuer": ["sipuri"]}


# Links of bootstrap, and lost phones.


def test_bootstrap_prints_a_link_that_enrols_once() -> None:
    printed = StringIO()
    call_command("bootstrap", account="9900000", client_id="c", client_secret="s" * 32, admin_password=PASSWORD, stdout=printed)
    (link,) = re.findall(r"http://\S+", printed.getvalue())
    path = urlsplit(link).path
    client = Client()
    assert client.get(path)["Location"] == ENROL
    secret = secret_on(client.get(ENROL).content.decode())
    client.post(ENROL, {"code": code_of(secret)})
    assert factors.is_enrolled(User.objects.get(username="admin"))
    assert not sees_calls(client)
    assert Client().get(path).status_code == 404
    again = StringIO()
    call_command("bootstrap", account="9900000", client_id="c", client_secret="s" * 32, admin_password=PASSWORD, stdout=again)
    assert "http://" not in again.getvalue()


@pytest.mark.parametrize("bad", ["forged", "old", "replaced"])
def test_other_links_do_nothing(boss: User, monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    token = pending.enrolment_link(boss)
    if bad == "forged":
        token = token[:-1] + ("A" if token[-1] != "A" else "B")
    elif bad == "old":
        monkeypatch.setattr(pending, "LINK_SECONDS", -1)
    else:
        factors.reset(boss, actor=ACTOR)
    client = Client()
    answer = client.get(reverse("console:enrolment_link", args=[token]))
    assert (answer.status_code, "older than 24 hours" in answer.content.decode()) == (404, True)
    assert client.get(ENROL)["Location"] == "/console/login/"


def test_a_lost_phone_is_reset_by_the_command(boss: User) -> None:
    enrolled(boss)
    client = logged_in(boss)
    assert sees_calls(client)
    told = StringIO()
    call_command("resettotp", "boss", stdout=told)
    assert "the second factor is removed" in told.getvalue()
    assert not factors.is_enrolled(boss)
    assert not sees_calls(client)
    entry = AuditEntry.objects.get(action="operator.reset_second_factor")
    assert (entry.actor, entry.subject) == ("command resettotp", "boss")
    with pytest.raises(CommandError, match="There is no operator nobody"):
        call_command("resettotp", "nobody")


def test_an_admin_resets_it_on_the_page_of_operators(boss: User) -> None:
    person = made("looker", Role.VIEWER)
    enrolled(person)
    client = logged_in(boss)
    people = reverse("admin:auth_user_changelist")
    client.post(people, {"action": "reset_second_factor", "_selected_action": [person.pk]})
    assert not factors.is_enrolled(person)
    assert "looker has no second factor any more" in client.get(people).content.decode()


def test_weak_passwords_of_the_command_are_refused_in_production(settings: Settings) -> None:
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="too short"):
        call_command("bootstrap", account="9900000", client_id="c", client_secret="s" * 32, admin_password="operator", stdout=StringIO())
    assert not User.objects.exists()
