"""The system on which an operator's tasks are done: every role, two proxies, customers whose telephones call, and an attacker.

It has a network of its own, so that callers come from addresses as they are in life. Needs root.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from callflow.aio.phone import CallFailed, Phone, PhoneCall
from daemonkit.address import Address
from tests.support.backend import Document, TestBackend
from tests.support.fleet import ACCOUNT, Application, Fleet, until
from tests.support.live import LiveCaller, Talker
from tests.support.netns import alone
from voiceapps.services.delivery.attempts import RETRY_SECONDS

DOMAIN = "sip.voice.example"
PROXIES: tuple[Address, Address] = (("198.51.100.1", 5060), ("198.51.100.2", 5060))
BACKEND, TAXI_BACKEND = "192.0.2.80", "192.0.2.81"
CLINIC, CLINIC_OLD, HOTEL, HOTEL_MEDIA, TAXI, DENTIST, ATTACKER = (
    *("203.0.113.44", "203.0.113.40", "203.0.113.20", "203.0.113.21", "198.51.100.70", "198.51.100.90", "192.0.2.66"),
)
ROLES = ("web", "worker", "sipproxy", "mediarelay", "callflow", "sipdns")
HOLD = '<Response><SpeakSentence>Please hold the line.</SpeakSentence><Pause duration="600"/></Response>'
GREETING = (
    "<Response><SpeakSentence>Good evening, this is the Harbour Hotel. Please say your room number, or hold the line for the front desk."
    "</SpeakSentence></Response>"
)
BROKEN: dict[str, Document | int] = {"/taxi": 500, "/taxi/status": 500}
SECONDS = 30
OPERATOR, PASSWORD = "olga", "harbour-light-4711"  # noqa: S105  # of no value
ADD_OPERATOR = f"""
from django.contrib.auth.models import User
from voiceapps.rules.people.roles import Role
from voiceapps.services.audit import Actor
from voiceapps.services.people import operators
user = User(username={OPERATOR!r})
user.set_password({PASSWORD!r})
operators.add(user, Role.OPERATOR, None, actor=Actor("bootstrap"))
"""
T = TypeVar("T")


class Telephones:
    """Telephones at any address, in a loop of a thread of its own: the browser's driver has the test's."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._phones: list[Phone] = []
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def call(self, source: str, number: str, application: Application, *, proxy: Address = PROXIES[0]) -> PhoneCall:
        """Place a call, and return it answered; raises CallFailed."""
        return self._do(self._call(source, number, application, proxy))

    def attempt(self, source: str, number: str, application: Application) -> int:
        """Place a call and hang up at once; return the final status."""
        try:
            self.hang_up(self.call(source, number, application))
        except CallFailed as refused:
            return refused.status
        return 200

    def hang_up(self, call: PhoneCall) -> None:
        """Hang up."""
        self._do(call.hang_up())

    def wait_ended(self, call: PhoneCall) -> None:
        """Wait until the application has hung up."""
        self._do(call.wait_ended(SECONDS))

    def close(self) -> None:
        """Hang up all calls."""
        for phone in self._phones:
            self._do(phone.close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _call(self, source: str, number: str, application: Application, proxy: Address) -> PhoneCall:
        phone = Phone(proxy=proxy, local_host=source)
        await phone.open()
        self._phones.append(phone)
        username = application.application_id if application.password else ""
        return await phone.call(application.sip_uri, username=username, password=application.password, from_user=number)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)


@dataclass
class TaskSystem:
    """The roles of two hosts, the customers' servers, their applications by name, and the telephones of their callers."""

    fleet: Fleet
    backend: TestBackend
    taxi: TestBackend
    """That of a customer, which answers 500."""
    phones: Telephones
    applications: dict[str, Application] = field(default_factory=dict)
    held: PhoneCall = field(init=False)
    """A call through the second proxy that is up."""

    def add(self, name: str, url: str, **fields: object) -> Application:
        """Make an application that is asked at a URL."""
        body = {
            "applicationName": name,
            "callInitiatedCallbackUrl": url,
            "inboundSipCallsEnabled": True,
            **(fields or {"passwordAuthEnabled": True}),
        }
        data = self.fleet.api("POST", f"/v2/accounts/{ACCOUNT}/voice-applications", body)["data"]
        made = self.applications[name] = Application(data["applicationId"], data["sipUri"], data.get("sipAuthPassword", ""))
        return made

    def wait_between_tries(self) -> None:
        """Wait until the taxi's server is not about to be asked again: the next try is far, and none is on its way."""

        def is_between() -> bool:
            tries = len(self.taxi.of("disconnect"))
            return tries > 1 and time.monotonic() - self.taxi.seen_at[-1] < RETRY_SECONDS[tries - 1] / 2

        until(is_between, seconds=40, what="a time between two tries")

    def now(self, name: str) -> dict[str, Any]:
        """Return an application as the API shows it now."""
        data: dict[str, Any] = self.fleet.api("GET", self._path(name))["data"]
        return data

    def change(self, name: str, **fields: object) -> None:
        """Change an application as its customer does."""
        self.fleet.api("PATCH", self._path(name), fields)

    def _path(self, name: str) -> str:
        return f"/v2/accounts/{ACCOUNT}/voice-applications/{self.applications[name].application_id}"


@contextmanager
def task_system(state: Path) -> Iterator[TaskSystem]:
    """Start it, have everything happen that the tasks are about, and stop it."""
    if os.geteuid() != 0:
        pytest.fail("These tests make a network of their own and need root.")
    with ExitStack() as stack:
        addresses = (*(host for host, _ in PROXIES), BACKEND, TAXI_BACKEND, CLINIC, CLINIC_OLD, HOTEL, HOTEL_MEDIA, TAXI, DENTIST, ATTACKER)
        stack.enter_context(alone(*addresses))
        one, two = _hosts(state)
        stack.callback(one.stop)
        stack.callback(two.stop)
        one.prepare()
        for host in (one, two):
            for role in host.roles:
                host.spawn(role)
        backend, taxi = TestBackend({"/hotel": GREETING, "/dentist": HOLD}, BACKEND), TestBackend(BROKEN, TAXI_BACKEND)
        stack.callback(backend.close)
        stack.callback(taxi.close)
        phones = Telephones()
        stack.callback(phones.close)
        one.wait_ready()
        two.wait_ready()
        system = TaskSystem(one, backend, taxi, phones)
        _furnish(system)
        system.held = phones.call(DENTIST, "+15550142", system.applications["Old Town Dental"], proxy=PROXIES[1])
        _have_calls(system)
        yield system


def _hosts(state: Path) -> tuple[Fleet, Fleet]:
    shared = {
        "SIPURI_SIP_DOMAIN": DOMAIN,
        "SIPURI_MEDIA_EXTERNAL": PROXIES[0][0],
        "SIPURI_REGION_OVERRIDES": "203.0.113.0/24=US,198.51.100.0/24=US,192.0.2.0/24=NL",
    }
    hosts = []
    for number, address in enumerate(PROXIES, 1):
        own = {"SIPURI_NODE_NAME": f"edge-{number}", "SIPURI_SIP_BIND": "{}:{}".format(*address)}
        host = Fleet(state, ROLES if number == 1 else ("sipproxy",), {**shared, **own})
        host.sip = address
        hosts.append(host)
    hosts[1].env["SIPURI_MEDIA_RELAYS"] = hosts[0].env["SIPURI_MEDIA_RELAYS"]
    return hosts[0], hosts[1]


def _furnish(system: TaskSystem) -> None:
    """Make the operator, the customers' applications, and their past."""
    url = system.backend.url
    system.add("Harbour Hotel", f"{url}/hotel")
    system.add("Riverside Clinic", f"{url}/hotel", allowedSourceIps=[f"{CLINIC_OLD}/32"])
    system.add("Old Town Dental", f"{url}/dentist")
    system.add("Northgate Taxi", f"{system.taxi.url}/taxi", passwordAuthEnabled=True, callInitiatedFallbackUrl=f"{url}/hotel")
    ids = {name: application.application_id for name, application in system.applications.items()}
    system.fleet.python(f"{ADD_OPERATOR}\nfrom tests.browser.past import write\nresult = write({ids!r})")
    # From now on: of the past nobody is told.
    for name in ids:
        system.change(name, callStatusCallbackUrl=f"{system.now(name)['callInitiatedCallbackUrl']}/status")


def _have_calls(system: TaskSystem) -> None:
    """Have everybody call: some are served, some refused, and one is not heard."""
    phones, applications = system.phones, system.applications
    hotel, taxi = applications["Harbour Hotel"], applications["Northgate Taxi"]
    with LiveCaller(PROXIES[0], password=hotel.password, host=HOTEL, shown=HOTEL) as unheard:
        unheard.talker.socket.close()
        # Its audio leaves by another address than its description says: a PBX with two networks.
        unheard.talker = Talker(HOTEL_MEDIA)
        unheard.call(hotel.sip_uri)
        served = [phones.call(TAXI, "+15550163", taxi), phones.call(HOTEL, "+15550120", hotel)]
        for _ in range(3):
            phones.attempt(CLINIC, "+15550177", applications["Riverside Clinic"])
        for number in ("100", "1000", "admin"):
            phones.attempt(ATTACKER, number, Application(hotel.application_id, f"sip:{number}@{DOMAIN}", "guessed"))
        for _ in range(2):
            phones.attempt(ATTACKER, "100", Application(hotel.application_id, hotel.sip_uri, "guessed"))
        for call in served:
            phones.wait_ended(call)
        until(lambda: unheard.ended, seconds=SECONDS, what="the end of the call that is not heard")
