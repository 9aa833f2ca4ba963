"""Our side: `runsipproxy` and `runmediarelay` as an operator starts them, with PostgreSQL."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.signalling.ports import free_ports
from bench.signalling.postgres import Postgres
from bench.signalling.stack import OUR_ADDRESS, REALM, SIPP_ADDRESS, Caller
from tests.support.fleet import ACCOUNT, ROOT, START_SECONDS, Fleet, until

DATABASE = "sipuri"
ROLES = ("mediarelay", "sipproxy")
STORE_DAYS = "SIPURI_MESSAGE_STORE_DAYS"
MAKE_APPLICATION = f"""
from voiceapps.models import Account
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.services import applications
from voiceapps.services.audit import Actor
fields = {{"name": "Bench", "initiated_url": "https://a.example/"}}
patch = InboundSipPatch(enabled=True, password_auth=True)
made = applications.create(Account.objects.get(pk={ACCOUNT!r}), fields, patch, actor=Actor("bench"))
result = [str(made.application.pk), made.application.sip_uri, made.sip_password]"""


@dataclass
class Daemons(Fleet):
    """The roles on the bench's own ports, each under Python's profiler if there is a directory for the profiles."""

    profile_dir: Path | None = None

    def spawn(self, role: str) -> None:
        """Start one role; a profile is written when it ends."""
        (self.metrics[role],) = free_ports(1, socket.SOCK_STREAM)
        profile = ["-m", "cProfile", "-o", str(self.profile_dir / f"{role}.prof")] if self.profile_dir else []
        command = ["manage.py", f"run{role}", "--metrics-port", str(self.metrics[role]), "--drain-seconds", "3"]
        with (self.state / f"{role}.log").open("ab") as log:
            self.processes[role] = subprocess.Popen(
                [*self.prefix, sys.executable, *profile, *command], cwd=ROOT, env=self.env, stdout=log, stderr=log, start_new_session=True
            )

    def spawn_all(self) -> None:
        """Start every role; returns when all are ready for calls."""
        for role in self.roles:
            self.spawn(role)
        until(self._ready, seconds=START_SECONDS, what=f"our daemons ready, see {self.state}", every=0.3)


class Ours:
    """Our proxy and relay, running."""

    name = "ours"
    database = DATABASE

    def __init__(self, postgres: Postgres, fleet: Daemons, caller: Caller) -> None:
        self._postgres = postgres
        self._fleet = fleet
        self.caller = caller

    def parts(self) -> dict[str, int]:
        """Return the process trees of both daemons."""
        return {f"run{role}": self._fleet.processes[role].pid for role in ROLES}

    def rows(self) -> int:
        """Return the calls in the database."""
        return self._postgres.count(DATABASE, "voiceapps_call")

    @contextmanager
    def without(self, *names: str) -> Iterator[None]:
        """Run without some environment variables for a while."""
        before = dict(self._fleet.env)
        self._restart({name: value for name, value in before.items() if name not in names})
        try:
            yield
        finally:
            self._restart(before)

    def _restart(self, environment: Mapping[str, str]) -> None:
        self._fleet.stop()
        self._fleet.env = dict(environment)
        self._fleet.spawn_all()


@contextmanager
def ours(postgres: Postgres, directory: Path, *, profile_dir: Path | None = None) -> Iterator[Ours]:
    """Run our side on ports of its own, without storing messages, as an operator with a real load would."""
    directory.mkdir()
    if profile_dir:
        profile_dir.mkdir(parents=True, exist_ok=True)
    (callee,) = free_ports(1)
    fleet = Daemons(directory, ROLES, {"SIPURI_DATABASE_URL": postgres.create(DATABASE), STORE_DAYS: "0"}, profile_dir=profile_dir)
    fleet.env |= _addresses(callee)
    if profile_dir:
        # The profile is of the process that is started: with workers it would be the supervisor's.
        fleet.env["SIPURI_SIP_WORKERS"] = "1"
    fleet.prepare()
    application_id, sip_uri, password = fleet.python(MAKE_APPLICATION)
    try:
        fleet.spawn_all()
        host, _, port = fleet.env["SIPURI_SIP_BIND"].partition(":")
        yield Ours(postgres, fleet, Caller((host, int(port)), sip_uri, application_id, callee, password))
    finally:
        fleet.stop()


def _addresses(callee: int) -> dict[str, str]:
    sip, inside, ng = free_ports(3)
    return {
        "SIPURI_SIP_DOMAIN": REALM,
        "SIPURI_SIP_BIND": f"{OUR_ADDRESS}:{sip}",
        "SIPURI_SIP_PUBLIC_ADDRESS": f"{OUR_ADDRESS}:{sip}",
        "SIPURI_SIP_INTERNAL_BIND": f"{OUR_ADDRESS}:{inside}",
        "SIPURI_NG_BIND": f"{OUR_ADDRESS}:{ng}",
        "SIPURI_MEDIA_RELAYS": f"udp:{OUR_ADDRESS}:{ng}",
        "SIPURI_MEDIA_EXTERNAL": OUR_ADDRESS,
        "SIPURI_MEDIA_INTERNAL": OUR_ADDRESS,
        "SIPURI_CALLFLOW_TARGETS": f"sip:{SIPP_ADDRESS}:{callee}",
        "SIPURI_GUARD_TRUSTED": "127.0.0.0/8",
        "SIPURI_SIP_WORKERS": str(os.cpu_count() or 1),
    }
