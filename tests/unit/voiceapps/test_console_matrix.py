"""The matrix of roles: each role, each page and action, the own account and another one.

A new page of the console fails the first test until it has its row in `PAGES`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings

from tests.unit.voiceapps.builders import ACTOR, STARTED, application, ended, facts
from tests.unit.voiceapps.people import logged_in, made
from voiceapps.console.pages import errors
from voiceapps.models import (
    Account,
    ApiClient,
    AuditEntry,
    Ban,
    CallEvent,
    CallSimulation,
    FailingHost,
    MediaLeg,
    Node,
    PlacedCall,
    RefusedAttempt,
    Transcription,
    VoiceApplication,
    WebhookDelivery,
)
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.people.roles import GRANTED, INSTALLATION_WIDE, Capability, Role
from voiceapps.rules.reports import CallAdmitted, LadderMessage, MediaReport, RecordingStored
from voiceapps.rules.trials.placed_call import Outcome
from voiceapps.services import bans, clients
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db
OWN, OTHER = "9900000", "9900001"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Page:
    """A page or an action: what it asks for, and how it answers who may."""

    needs: tuple[Capability, ...] = ()
    """All of these; none is for everybody who is logged in."""
    of: str = ""
    """What it is about; "" if it is about nothing that belongs to an account."""
    method: str = "get"
    answers: int = 200
    form: tuple[tuple[str, str], ...] = ()
    extra: tuple[str, ...] = ()
    """Further parts of its path."""
    nobody: bool = False


SEEN: dict[str, tuple[str, Capability, Capability | None, Capability | None]] = {
    "voiceapps_account": ("account", Capability.SEE_ACCOUNTS, Capability.CHANGE_ACCOUNTS, None),
    "voiceapps_apiclient": ("client", Capability.SEE_CLIENTS, None, None),
    "voiceapps_call": ("call", Capability.SEE_CALLS, None, None),
    "voiceapps_callsimulation": ("simulation", Capability.TRY_OUT, None, None),
    "voiceapps_recording": ("recording", Capability.HEAR_RECORDINGS, None, None),
    "voiceapps_transcription": ("transcription", Capability.HEAR_RECORDINGS, None, None),
    "auth_user": ("person", Capability.MANAGE_PEOPLE, Capability.MANAGE_PEOPLE, Capability.MANAGE_PEOPLE),
}
"""The records: what their pages see, and what adding and deleting asks for."""

HOOKS, AGAIN = Capability.SEE_WEBHOOKS, Capability.REPLAY_WEBHOOKS
SEE, TRACES, CHANGE, PEOPLE = Capability.SEE_CALLS, Capability.SEE_TRACES, Capability.CHANGE_APPLICATIONS, Capability.MANAGE_PEOPLE
APPS = Capability.SEE_APPLICATIONS
PAGES: dict[str, Page] = {
    "admin:index": Page(),
    "admin:app_list": Page(extra=("voiceapps",)),
    "admin:search": Page(),
    "admin:jsi18n": Page(),
    "admin:login": Page(answers=302),
    "admin:logout": Page(method="post"),
    "admin:password_change": Page(),
    "admin:password_change_done": Page(),
    "admin:autocomplete": Page(nobody=True),
    "admin:view_on_site": Page(extra=("1", "1"), answers=404),
    "console:login": Page(answers=302),
    "console:password_change": Page(),
    "console:login_code": Page(answers=302),
    "console:second_factor": Page(),
    "console:recovery_codes": Page(),
    "console:enrolment_link": Page(extra=("forged",), answers=404),
    "console:change_second_factor": Page(extra=("codes",), method="post", answers=302),
    "console:zone": Page(),
    "console:overview": Page(),
    "console:live": Page((SEE,)),
    "console:end_call": Page((SEE, Capability.END_CALLS), extra=("over",), answers=302),
    "console:calls": Page((SEE,)),
    "console:save_filter": Page((SEE,), method="post", answers=302),
    "console:remove_filter": Page((SEE,), extra=("1",), method="post", answers=302),
    "console:export_calls": Page((SEE, Capability.EXPORT_CALLS), method="post", answers=400),
    "console:call_files": Page((SEE, Capability.EXPORT_CALLS)),
    "console:call_file": Page((SEE, Capability.EXPORT_CALLS), extra=(str(UUID(int=0)),), answers=404),
    "console:search": Page(),
    "console:webhooks": Page((HOOKS,)),
    "console:replay_webhooks": Page((HOOKS, AGAIN), method="post", answers=302),
    "console:ask_host": Page((HOOKS, AGAIN), of="host", method="post", answers=302),
    "console:webhook": Page((HOOKS,), of="delivery"),
    "console:replay_webhook": Page((HOOKS, AGAIN), of="delivery", method="post", answers=302),
    "console:hurry_webhook": Page((HOOKS, AGAIN), of="delivery", method="post", answers=302),
    "console:bench": Page((Capability.TRY_OUT,)),
    "console:check_bxml": Page((Capability.TRY_OUT,), method="post"),
    "console:test_webhook": Page((Capability.TRY_OUT,), method="post"),
    "console:refused": Page((Capability.SEE_REFUSALS,)),
    "console:refused_allow": Page((Capability.SEE_REFUSALS, CHANGE), method="post", answers=404),
    "console:refused_ban": Page((Capability.SEE_REFUSALS, Capability.PLACE_BANS), method="post", answers=302),
    "console:security": Page((Capability.SEE_BANS,)),
    "console:security_ban": Page((Capability.SEE_BANS, Capability.PLACE_BANS), method="post"),
    "console:security_lift": Page((Capability.SEE_BANS, Capability.LIFT_BANS), method="post", answers=404),
    "console:security_trust": Page((Capability.SEE_BANS, Capability.PLACE_BANS), method="post"),
    "console:security_distrust": Page((Capability.SEE_BANS, Capability.PLACE_BANS), method="post", answers=404),
    "console:nodes": Page((Capability.SEE_NODES,)),
    "console:node_order": Page((Capability.SEE_NODES, Capability.ORDER_NODES), method="post", answers=302),
    "console:audit": Page((Capability.SEE_AUDIT,)),
    "console:audit_verify": Page((Capability.SEE_AUDIT,), method="post", answers=302),
    "console:health": Page((Capability.SEE_NODES,)),
    "console:call": Page((SEE,), of="call"),
    "console:reveal_messages": Page((SEE, TRACES), of="call", method="post", answers=302),
    "console:call_pcap": Page((SEE, TRACES), of="call", answers=403),
    "console:recording": Page((SEE, Capability.HEAR_RECORDINGS), of="call", extra=("recording",)),
    "console:apps": Page((APPS,)),
    "console:app_new": Page((APPS, CHANGE)),
    "console:app_ranges": Page((CHANGE,), method="post", form=(("of", "source_ips"),)),
    "console:app": Page((APPS,), of="application"),
    "console:app_password": Page((CHANGE,), of="application"),
    "console:app_test": Page((APPS, Capability.TRY_OUT), of="application", method="post"),
    "console:place_call": Page((APPS, Capability.TRY_OUT), of="application", method="post", answers=302),
    "console:placed_call": Page((APPS, Capability.TRY_OUT), of="application", extra=("placed",)),
    "console:placed_call_heard": Page((APPS, Capability.TRY_OUT), of="application", extra=("placed",)),
    "console:app_order": Page((APPS, CHANGE), of="application", extra=("delete",)),
    "console:signing_secret": Page((Capability.REVEAL,), of="account"),
    "admin:voiceapps_reveal_secret": Page((Capability.REVEAL,), of="account", method="post", answers=302),
    "admin:voiceapps_simulate_call": Page((Capability.TRY_OUT,), of="application", method="post", answers=302),
    "admin:auth_user_password_change": Page((PEOPLE,), of="person"),
}
for _name, (_of, _sees, _adds, _deletes) in SEEN.items():
    PAGES[f"admin:{_name}_changelist"] = Page((_sees,))
    PAGES[f"admin:{_name}_change"] = Page((_sees,), of=_of)
    PAGES[f"admin:{_name}_add"] = Page((_adds,) if _adds else (), nobody=_adds is None)
    PAGES[f"admin:{_name}_delete"] = Page((_deletes,) if _deletes else (), of=_of, nobody=_deletes is None)
    PAGES[f"admin:{_name}_history"] = Page(of=_of, answers=404)
for _name in ("voiceapps_account", "voiceapps_apiclient", "auth_user"):
    PAGES[f"admin:{_name}_history"] = Page((SEEN[_name][1], Capability.SEE_AUDIT), of=SEEN[_name][0])

# It leads to `console:call` without a look at the call.
PAGES["admin:voiceapps_call_change"] = Page((SEE,), extra=("call",), answers=302)
PAGES["admin:voiceapps_call_changelist"] = Page((SEE,), answers=302)

ACTIONS: dict[str, tuple[str, str, Capability]] = {
    "reset_second_factor": ("person", "admin:auth_user_changelist", PEOPLE),
}
"""The actions of lists: they are offered where they may be used."""


def names(patterns: list[Any], namespace: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from names(pattern.url_patterns, pattern.namespace or namespace)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield f"{namespace}:{pattern.name}"


def console_names() -> set[str]:
    return {name for name in names(get_resolver().url_patterns) if name.startswith(("admin:", "console:"))}


def nameless() -> list[str]:
    console = next(p for p in get_resolver().url_patterns if isinstance(p, URLResolver) and p.namespace == "console")
    return [str(pattern.pattern) for pattern in console.url_patterns if not getattr(pattern, "name", None)]


def test_each_page_of_the_console_has_its_row() -> None:
    assert console_names() ^ PAGES.keys() == set()
    assert nameless() == []


@dataclass
class World:
    """One of everything for each of two accounts; nodes, bans and people belong to none."""

    own: dict[str, str]
    other: dict[str, str]


def things(account: str, number: int, folder: Path) -> dict[str, str]:
    """Make one of everything for an account, and return the key of each."""
    row = application(account)
    call_id = called(row, number, folder)
    clients.ensure_client(f"client-{number}", "s" * 32, row.account, actor=ACTOR)
    held: dict[str, Any] = {"account": row.account, "created_at": NOW}
    asked: dict[str, Any] = {"event_type": "x", "method": "POST", "url": "http://a.example/", "body": {}, "state": "failed"}
    made: dict[str, Any] = {
        "delivery": WebhookDelivery.objects.create(call_id=call_id, **asked, **held),
        "simulation": CallSimulation.objects.create(application=row, state="ended", script="{}", **held),
        "placed": PlacedCall.objects.create(application=row, state="ended", dialling="{}", outcome=Outcome().dump(), heard=b"\xff", **held),
        "host": FailingHost.objects.create(account=row.account, host=f"h{number}.example", failures=1, since=NOW, last_at=NOW, error=""),
        "refusal": RefusedAttempt.objects.create(
            application=row,
            account_id=account,
            source_ip="203.0.113.9",
            reason="ip_not_allowed",
            status=403,
            count=1,
            first_at=NOW,
            last_at=NOW,
            trace=[],
        ),
        "transcription": Transcription.objects.create(
            transcription_id=f"t-{number}", recording_id=f"r-{number}", account=row.account, ordered_at=NOW
        ),
        "client": ApiClient.objects.get(client_id=f"client-{number}"),
        "event": CallEvent.objects.get(call_id=call_id),
        "leg": MediaLeg.objects.get(call_id=call_id),
        "entry": AuditEntry.objects.filter(chain=account)[0],
    }
    keys = {name: str(thing.pk) for name, thing in made.items()}
    return keys | {"account": account, "application": str(row.pk), "call": call_id, "recording": f"r-{number}"}


def called(row: VoiceApplication, number: int, folder: Path) -> str:
    """Store a call to an application with all that daemons report of one, and return its id."""
    call = replace(facts(row, number), account_id=row.account_id)
    audio = folder / f"r-{number}.wav"
    audio.write_bytes(b"RIFF" + bytes(100))
    write_reports(
        [
            CallAdmitted(call, "proxy-1"),
            LadderMessage(call.call_id, STARTED, "caller", "198.51.100.7:5060", "203.0.113.5:6160", "INVITE sip:x SIP/2.0", "INVITE"),
            MediaReport(
                call.call_id, "relay", STARTED, MediaFigures("external", 1, 1, 1, 0, 0.1, None, None, 0, "kernel", 0, "", ""), True
            ),
            RecordingStored(call, f"r-{number}", str(audio), STARTED + 1, STARTED + 3, 2000, 1, "wav"),
            ended(call),
        ]
    )
    return call.call_id


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture(scope="module")
def stored(folder: Path, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """A world that is made once: each test takes its changes back."""
    outer = transaction.atomic()
    # As tests' own transactions: durable ones may begin inside.
    outer._from_testcase = True  # type: ignore[attr-defined]  # Django's own way
    with django_db_blocker.unblock(), outer:
        yield _made(folder)
        transaction.set_rollback(True)


@pytest.fixture
def world(stored: World, folder: Path, settings: Settings) -> World:
    settings.RECORDINGS_DIR = str(folder)
    return stored


def _made(folder: Path) -> World:
    bans.place("198.51.100.66", 60, actor=ACTOR)
    node = Node.objects.create(name="sipproxy-one", role="sipproxy", state="up", seen_at=NOW, load=0)
    common = {"ban": str(Ban.objects.get().pk), "node": node.pk, "person": str(made("somebody", Role.VIEWER).pk)}
    return World(things(OWN, 1, folder) | common, things(OTHER, 2, folder) | common)


def path_of(name: str, page: Page, about: dict[str, str]) -> str:
    extra = [about.get(part, part) for part in page.extra]
    return reverse(name, args=[about[page.of], *extra] if page.of else extra)


def wanted(role: Role, bound: bool, page: Page, whose: str) -> int:
    if page.nobody or not set(page.needs) <= GRANTED[role] or (bound and set(page.needs) & INSTALLATION_WIDE):
        return 403
    if page.answers == 404 or (bound and page.of and (whose == "other" or page.of in ("ban", "node", "person"))):
        return 404
    return page.answers


def answered(user: User, client: Client, name: str, page: Page, about: dict[str, str]) -> int:
    with transaction.atomic():
        # A logout ends the session.
        client = logged_in(user) if name == "admin:logout" else client
        answer = getattr(client, page.method)(path_of(name, page, about), dict(page.form))
        if answer.streaming:
            b"".join(answer)
        transaction.set_rollback(True)
    return int(answer.status_code)


def asked_about(world: World, page: Page, bound: bool) -> dict[str, dict[str, str]]:
    """Return what a page is asked about; one that has the same address for both accounts is asked once."""
    if not bound:
        return {"any": world.other}
    both = {"own": world.own, "other": world.other}
    return both if page.of or world.own.keys() & set(page.extra) else {"own": world.own}


@pytest.fixture
def plain_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals without their page: the same one again for each page of each role."""
    monkeypatch.setattr(errors, "_page", lambda _request, status, _title, _sentence: HttpResponse(status=status))


@pytest.mark.usefixtures("plain_errors")
@pytest.mark.parametrize("bound", [False, True], ids=["all accounts", "one account"])
@pytest.mark.parametrize("role", Role)
def test_each_role_opens_what_it_may_and_nothing_else(world: World, role: Role, bound: bool) -> None:
    user = made("tester", role, OWN if bound else None)
    client = logged_in(user)
    wrong = [
        (name, whose, status, expected)
        for name, page in PAGES.items()
        for whose, about in asked_about(world, page, bound).items()
        if (status := answered(user, client, name, page, about)) != (expected := wanted(role, bound, page, whose))
    ]
    assert wrong == []


def test_a_stranger_opens_nothing(world: World) -> None:
    open_to_all = {"admin:login", "console:login", "console:recovery_codes", "console:enrolment_link", "console:change_second_factor"}
    for name in PAGES.keys() - open_to_all:
        answer = getattr(Client(), PAGES[name].method)(path_of(name, PAGES[name], world.own))
        assert (name, answer.status_code) == (name, 302)


LISTS = [name for name in PAGES if name.endswith("_changelist") and PAGES[name].answers == 200 and "user" not in name]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_shows_the_own_account_only(world: World, name: str) -> None:
    thing = SEEN[name.removeprefix("admin:").removesuffix("_changelist")][0]
    bound, everywhere = (logged_in(made(f"tester-{account}", Role.ADMIN, account)) for account in (OWN, None))
    change = name.replace("changelist", "change")
    mine, theirs = (reverse(change, args=[about[thing]]) for about in (world.own, world.other))
    shown = bound.get(reverse(name)).content.decode()
    assert (mine in shown, theirs in shown) == (True, False)
    assert theirs in everywhere.get(reverse(name)).content.decode()


@pytest.mark.parametrize(
    "asked", ["id={call}", "account={account}&since=2023-11-01T00:00Z&until=2023-11-20T00:00Z", "app={application}&ip=203.0.113.9"]
)
def test_the_list_of_calls_shows_the_own_account_only(world: World, asked: str) -> None:
    client = logged_in(made("tester", Role.ADMIN, OWN))
    mine, theirs = (
        client.get(f"{reverse('console:calls')}?{asked.format(**about)}").content.decode() for about in (world.own, world.other)
    )
    assert (world.own["call"] in mine, world.other["call"] in mine) == (True, False)
    assert f"calls/{world.other['call']}/" not in theirs
    everywhere = logged_in(made("another", Role.ADMIN)).get(f"{reverse('console:calls')}?{asked.format(**world.other)}").content.decode()
    assert f"calls/{world.other['call']}/" in everywhere


def test_refusals_and_the_audit_trail_are_of_the_own_account(world: World) -> None:
    RefusedAttempt.objects.update(last_at=timezone.now())
    VoiceApplication.objects.filter(account=OTHER).update(name="Somebody else's")
    client = logged_in(made("tester", Role.ADMIN, OWN))
    for name in ("console:refused", "console:audit"):
        text = client.get(reverse(name)).content.decode()
        assert "Somebody else" not in text
        assert "App" in text
    form = {"app": world.other["application"], "ip": "203.0.113.9", "version": "1"}
    assert client.post(reverse("console:refused_allow"), form).status_code == 404
    own = {"app": world.own["application"], "ip": "203.0.113.9", "version": "1"}
    assert client.post(reverse("console:refused_allow"), own).status_code == 302


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("role", Role)
def test_an_action_of_a_list_is_offered_and_done_for_who_may(world: World, role: Role, action: str) -> None:
    thing, name, needed = ACTIONS[action]
    client = logged_in(made("tester", role))
    listed = client.get(reverse(name))
    offered = f'value="{action}"' in listed.content.decode()
    assert offered == (needed in GRANTED[role])
    done = client.post(reverse(name), {"action": action, "_selected_action": [world.own[thing]]})
    assert (done.status_code == 302) == (needed in GRANTED[role])


BUTTONS: dict[str, tuple[str, str, Capability]] = {
    "the password</a>": ("console:app", "application", CHANGE),
    ">Save</button>": ("console:app", "application", CHANGE),
    "Delete the application": ("console:app", "application", CHANGE),
    "tab=trials": ("console:app", "application", Capability.TRY_OUT),
    "tab=log": ("console:app", "application", Capability.SEE_AUDIT),
    "Send again": ("console:webhook", "delivery", AGAIN),
    "Reveal the secret": ("admin:voiceapps_account_change", "account", Capability.REVEAL),
    "Show the text of the messages": ("console:call", "call", TRACES),
    "tab=recordings": ("console:call", "call", Capability.HEAR_RECORDINGS),
    "tab=webhooks": ("console:call", "call", Capability.SEE_WEBHOOKS),
}


@pytest.mark.parametrize("button", BUTTONS)
@pytest.mark.parametrize("role", Role)
def test_a_button_is_shown_to_who_may_press_it(world: World, role: Role, button: str) -> None:
    name, thing, needed = BUTTONS[button]
    VoiceApplication.objects.update(inbound_sip_enabled=True)
    page = logged_in(made("tester", role)).get(reverse(name, args=[world.own[thing]])).content.decode()
    assert (button in page) == (needed in GRANTED[role])


SOUNDS_AND_FILES = ("console:recording", "console:call_pcap", "console:placed_call_heard")
PERSONAL = ("203.0.113.9", "sip:caller@example.com", "abc@caller", "198.51.100.66", "198.51.100.7")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.SUPPORT])
def test_a_viewer_sees_no_numbers_and_addresses_of_callers(world: World, role: Role) -> None:
    client = logged_in(made("tester", role))
    seen = {}
    for name, page in PAGES.items():
        if page.method == "get" and wanted(role, False, page, "own") == 200 and name not in SOUNDS_AND_FILES:
            text = client.get(path_of(name, page, world.own)).content.decode()
            seen[name] = [word for word in PERSONAL if word in text]
    assert any(seen.values()) == (role is not Role.VIEWER), json.dumps(seen)


@pytest.mark.parametrize("query", ["?q=203.0.113.9", "?source_ip=203.0.113.9", "?from_uri__contains=caller"])
def test_a_viewer_cannot_ask_for_them_either(world: World, query: str) -> None:
    client = logged_in(made("tester", Role.VIEWER))
    nothing = query.replace("203.0.113.9", "192.0.2.1").replace("caller", "nobody-at-all")
    answers = [client.get(reverse("admin:voiceapps_call_changelist") + asked) for asked in (query, nothing)]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].content.decode().count("/change/") == answers[1].content.decode().count("/change/")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", ["console:app", "console:app_new", "console:app_order"])
def test_what_changes_an_application_asks_for_it(world: World, role: Role, name: str) -> None:
    path = path_of(name, PAGES[name], world.own)
    answer = logged_in(made("tester", role)).post(path, {})
    assert (answer.status_code != 403) == (CHANGE in GRANTED[role])
    assert VoiceApplication.objects.count() == 2


def test_nobody_makes_or_changes_an_application_of_another_account(world: World) -> None:
    client = logged_in(made("tester", Role.OPERATOR, OWN))
    page = client.get(reverse("console:app_new")).content.decode()
    assert ("Account " + OWN in page, OTHER in page) == (True, False)
    form = {
        **{"account": OTHER, "name": "Mine", "initiated_url": "https://a.example/", "callback_timeout": "15", "keepalive": "25"},
        **{"media_timeout": "30", "media_learning": "strict", "secure_media": "off", "digest_algorithms": "MD5"},
        **dict.fromkeys(("initiated_method", "initiated_fallback_method", "status_method"), "POST"),
    }
    assert client.post(reverse("console:app_new"), form).status_code == 302
    assert VoiceApplication.objects.get(name="Mine").account_id == OWN
    theirs = [world.other["application"]]
    assert client.post(reverse("console:app", args=theirs), form).status_code == 404
    assert client.post(reverse("console:app_order", args=[*theirs, "delete"]), {"version": "1"}).status_code == 404


def test_the_list_of_applications_shows_the_own_account_only(world: World) -> None:
    client = logged_in(made("tester", Role.ADMIN, OWN))
    everywhere = logged_in(made("another", Role.ADMIN))
    for query in ("", f"?account={OTHER}", f"?name={world.other['application']}", "?name=app"):
        path = reverse("console:apps") + query
        theirs = reverse("console:app", args=[world.other["application"]])
        assert theirs not in client.get(path).content.decode()
        assert theirs in everywhere.get(path).content.decode()
    assert world.own["application"] in client.get(reverse("console:apps")).content.decode()


def test_a_bound_operator_sees_no_other_account_of_a_shared_client(world: World) -> None:
    ApiClient.objects.get(client_id="client-1").accounts.add(Account.objects.get(pk=OTHER))
    page = logged_in(made("tester", Role.ADMIN, OWN)).get(reverse("admin:voiceapps_apiclient_change", args=[world.own["client"]]))
    assert OTHER not in page.content.decode()
