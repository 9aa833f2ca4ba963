"""Calls that our own phone places, in their table: with the application's digest, through the proxies that the DNS names."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone
from pytest_django.fixtures import Settings

from sipproxy.sip.digest import make_ha1
from tests.unit.voiceapps.builders import ACTOR, application
from voiceapps.models import Node, PlacedCall, VoiceApplication
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.rules.trials.placed_call import Dialling, Outcome, SipLine
from voiceapps.services import applications
from voiceapps.services.trials import placed_calls
from voiceapps.services.trials.placed_calls import DISABLED, MAX_OPEN, MAX_PROXIES, MAX_RUNNING, UNREADABLE, NotCallableError
from voiceapps.services.trials.trial_table import NO_WORKER, TooManyOpenError

pytestmark = pytest.mark.django_db
DIALLING = Dialling(("1",), 9)


def callable_one(account_id: str = "9900000") -> applications.Changed:
    """Return an application with a SIP URI, and its password."""
    return applications.update(application(account_id), {}, InboundSipPatch(enabled=True, password_auth=True), actor=ACTOR)


@pytest.fixture
def row() -> VoiceApplication:
    return callable_one().application


def proxy(name: str, address: str, **values: object) -> None:
    held: dict[str, object] = {"role": "sipproxy", "state": "up", "transports": "udp:6160,tcp:6160", "seen_at": timezone.now()}
    Node.objects.create(name=name, public_address=address, **held | values)


def ordered(row: VoiceApplication, count: int = 1) -> list[UUID]:
    return [placed_calls.order(row, DIALLING, actor=ACTOR).pk for _ in range(count)]


def ended() -> tuple[str, str | None]:
    stored = PlacedCall.objects.defer("dialling").get()
    return stored.state, Outcome.load(stored.outcome).problem


def test_what_is_ordered_is_claimed_once_with_all_that_it_needs(settings: Settings) -> None:
    settings.SIP_BIND = ("0.0.0.0", 6160)
    made = callable_one()
    row, password = made.application, made.sip_password
    proxy("one", "203.0.113.5:6160")
    proxy("two", "203.0.113.6:6160", state="draining")
    proxy("three", "203.0.113.7:6160", seen_at=timezone.now() - timedelta(hours=1))
    proxy("four", "203.0.113.8:6161", transports="tcp:6161")
    (number,) = ordered(row)
    (planned,) = placed_calls.claim(8)
    assert (planned.placed_call_id, planned.uri, planned.dialling) == (number, row.sip_uri, DIALLING)
    assert planned.sip_call_id == PlacedCall.objects.get().sip_call_id
    assert planned.proxies == (("203.0.113.5", 6160), ("127.0.0.1", 6160))
    wanted = {name: make_ha1(planned.username, planned.realm, password or "", name) for name in ("MD5", "SHA-256")}
    assert planned.ha1 == wanted
    assert placed_calls.claim(8) == []


def test_a_few_proxies_are_tried(row: VoiceApplication) -> None:
    for number in range(MAX_PROXIES + 2):
        proxy(f"p{number}", f"203.0.113.{number}:6160")
    ordered(row)
    (planned,) = placed_calls.claim(1)
    assert len(planned.proxies) == MAX_PROXIES


def test_an_application_without_a_password_is_called_without_one(row: VoiceApplication) -> None:
    applications.update(row, {}, InboundSipPatch(password_auth=False, source_ips=("198.51.100.0/24",)), actor=ACTOR)
    ordered(row)
    (planned,) = placed_calls.claim(1)
    assert planned.ha1 == {}


def test_what_came_of_it_is_stored_once(row: VoiceApplication) -> None:
    (number,) = ordered(row)
    placed_calls.store(number, Outcome(status=200))
    assert PlacedCall.objects.get().state == "waiting"
    placed_calls.claim(1)
    placed_calls.store(number, Outcome(status=200, reason="nul \0", lines=(SipLine(0.5, "in", "SIP/2.0 200 \0"),), heard=b"\xff\x00"))
    placed_calls.store(number, Outcome(status=486))
    stored = PlacedCall.objects.defer("dialling").get()
    assert bytes(stored.heard) == b"\xff\x00"
    told = Outcome.load(stored.outcome)
    assert (told.status, told.reason, told.lines[0].text) == (200, "nul \\0", "SIP/2.0 200 \\0")


def test_an_account_has_a_few_places(row: VoiceApplication) -> None:
    ordered(row, MAX_OPEN)
    with pytest.raises(TooManyOpenError):
        placed_calls.order(row, DIALLING, actor=ACTOR)
    ordered(callable_one("9900001").application)
    claimed = placed_calls.claim(8)
    assert len(claimed) == MAX_RUNNING + 1
    placed_calls.give_back([planned.placed_call_id for planned in claimed])
    assert len(placed_calls.claim(8)) == MAX_RUNNING + 1


def test_an_application_that_takes_no_calls_is_not_called(row: VoiceApplication) -> None:
    ordered(row)
    applications.update(row, {}, InboundSipPatch(enabled=False), actor=ACTOR)
    assert placed_calls.claim(1) == []
    assert ended() == ("ended", DISABLED)
    with pytest.raises(NotCallableError):
        placed_calls.order(VoiceApplication.objects.get(pk=row.pk), DIALLING, actor=ACTOR)


def test_what_no_key_opens_is_told(row: VoiceApplication, settings: Settings) -> None:
    ordered(row)
    settings.SIPURI_FIELD_KEYS = (Fernet.generate_key().decode(),)
    assert placed_calls.claim(1) == []
    assert ended() == ("ended", UNREADABLE)


def test_a_call_whose_worker_died_is_given_up_and_old_ones_go(row: VoiceApplication) -> None:
    ordered(row)
    placed_calls.claim(1)
    PlacedCall.objects.update(began_at=timezone.now() - timedelta(minutes=3))
    placed_calls.sweep()
    assert ended() == ("ended", NO_WORKER)
    PlacedCall.objects.update(created_at=timezone.now() - timedelta(days=2))
    placed_calls.sweep()
    assert not PlacedCall.objects.exists()
