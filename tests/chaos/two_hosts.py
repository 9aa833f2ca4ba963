"""Two hosts with every role, their data on a third, callers behind NAT: the lines of the table, and what each may cost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from daemonkit.address import Address
from tests.chaos.callers import CallPlace
from tests.chaos.faults import drained, killed, killed_twice, stopped, supervisor_killed
from tests.chaos.machine import Machine
from tests.chaos.network import ADDRESSES, HOME, at, cut, mend, name_of, wired
from tests.chaos.one_host import DOCUMENT, DRAIN_SECONDS, NOTHING
from tests.chaos.verdict import Allowed
from tests.support.backend import TestBackend
from tests.support.fleet import Application, Fleet, until
from tests.support.hanging import HangingBackend
from tests.support.netns import inside
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

DOMAIN = "sip.example"
SIP, INSIDE, CALLFLOW, NG, DNS, HTTP = 6160, 6162, 6161, 22222, 10053, 8000
START_SECONDS = 90
RESOLVE_SECONDS = 1.0
NAMED = """options {{ directory "{directory}"; pid-file "{directory}/pid"; listen-on {{ {address}; }}; listen-on-v6 {{ none; }};
  recursion yes; allow-query {{ any; }}; allow-recursion {{ any; }}; dnssec-validation no; }};
zone "{domain}" {{ type forward; forward only; forwarders port {port} {{ {a}; {b}; }}; }};
"""

HarmsTwo = Callable[[Any, float], None]


class Resolver:
    """The proxies that the customer's BIND names, asked for each second as a telephone would."""

    def __init__(self) -> None:
        self.found: list[Address] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Ask until the first answer."""
        self._thread.start()
        until(lambda: len(self.found) == 2, seconds=START_SECONDS, what="BIND names both proxies", every=0.5)

    def stop(self) -> None:
        """Stop asking."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(RESOLVE_SECONDS):
            targets = [line.split() for line in _dig("SRV", f"_sip._udp.{DOMAIN}")]
            places = [(address, int(port)) for _, _, port, name in targets for address in _dig("A", name)]
            # A telephone keeps what it knows while its resolver says nothing.
            self.found = places or self.found


def _dig(kind: str, name: str) -> list[str]:
    command = [*at("home"), "dig", "+short", "+time=1", "+tries=1", f"@{ADDRESSES['customer']}", kind, name]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line for line in ran.stdout.splitlines() if ran.returncode == 0 and not line.startswith(";")]


class TwoHosts:
    """Host a, which is harmed, host b, and what they need."""

    disk: Path | None = None
    harmed = frozenset({(ADDRESSES["a"], SIP)})
    home = name_of("home")

    def __init__(self, fleets: list[Fleet], applications: list[Application], resolver: Resolver) -> None:
        self.machine, self.other = map(Machine, fleets)
        self.application, self.hanging = applications
        self.postgres: PostgresServer
        self.redis: RedisServer
        self.place = CallPlace(HOME, [(ADDRESSES[host], SIP) for host in "ab"], lambda: list(resolver.found))

    def is_well(self) -> bool:
        """Return whether every role of both hosts is there."""
        return self.machine.is_well() and self.other.is_well()


def link_cut(host: str) -> HarmsTwo:
    """Return the fault of a host that is unplugged for a while."""

    def harm(_system: TwoHosts, seconds: float) -> None:
        cut(host)
        time.sleep(seconds)
        mend(host)

    return harm


def server_killed(which: str) -> HarmsTwo:
    """Return the fault of a server that dies, and is started again."""

    def harm(system: TwoHosts, seconds: float) -> None:
        server = getattr(system, which)
        server.stop()
        time.sleep(seconds)
        server.start()

    return harm


def server_stopped(which: str) -> HarmsTwo:
    """Return the fault of a server that says nothing for a while."""

    def harm(system: TwoHosts, seconds: float) -> None:
        server = getattr(system, which)
        server.signal(signal.SIGSTOP)
        time.sleep(seconds)
        server.signal(signal.SIGCONT)

    return harm


NO_DATABASE = Allowed(refusals=True, back_off=2.0)
ITS_CALLS = Allowed(cuts=True)
HOST_SECONDS = 8.0
"""What a host takes to start all of its roles."""
FAULTS: dict[str, tuple[HarmsTwo, Allowed]] = {
    "a proxy killed": (killed("sipproxy"), NOTHING),
    "a call flow killed": (killed("callflow"), ITS_CALLS),
    "a relay killed": (killed("mediarelay"), NOTHING),
    "workers, web and DNS killed": (killed("worker", "webhooks", "web", "sipdns"), NOTHING),
    "a proxy killed twice": (killed_twice("sipproxy"), NOTHING),
    "a call flow killed twice": (killed_twice("callflow"), ITS_CALLS),
    "a proxy stopped": (stopped("sipproxy"), NOTHING),
    "a call flow stopped": (stopped("callflow"), NOTHING),
    "a relay stopped": (stopped("mediarelay"), NOTHING),
    "a proxy drained": (drained("sipproxy"), NOTHING),
    "a call flow drained": (drained("callflow"), NOTHING),
    "a relay drained": (drained("mediarelay"), NOTHING),
    "a supervisor killed": (supervisor_killed, Allowed(cuts=True, unheard=True, back_off=HOST_SECONDS)),
    "a host cut off": (link_cut("a"), Allowed(unheard=True)),
    "the data cut off": (link_cut("data"), NO_DATABASE),
    "PostgreSQL killed": (server_killed("postgres"), NO_DATABASE),
    "PostgreSQL stopped": (server_stopped("postgres"), NO_DATABASE),
    "Redis killed": (server_killed("redis"), NOTHING),
    "Redis stopped": (server_stopped("redis"), NOTHING),
}


@contextmanager
def two_hosts(directory: Path) -> Iterator[tuple[TwoHosts, TestBackend]]:
    """Start everything; this thread is on the data's host meanwhile, from where it reaches the others."""
    with ExitStack() as stack:
        stack.enter_context(wired())
        stack.enter_context(inside(name_of("data")))
        postgres, redis = PostgresServer(ADDRESSES["data"]), RedisServer(directory, ADDRESSES["data"])
        stack.callback(postgres.remove)
        for server in (postgres, redis):
            server.start()
            stack.callback(server.stop)
        with inside(name_of("customer")):
            backend = TestBackend({"/initiate": DOCUMENT}, ADDRESSES["customer"])
            hanging = HangingBackend(ADDRESSES["customer"])
        stack.callback(backend.close)
        stack.callback(hanging.close)
        fleets = [_fleet(host, directory / host, postgres.url, redis.url) for host in "ab"]
        for fleet in fleets:
            stack.callback(fleet.stop)
        _start(fleets)
        stack.enter_context(_bind(directory))
        resolver = Resolver()
        resolver.start()
        stack.callback(resolver.stop)
        called = fleets[0].application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")
        silent = fleets[0].application(callback=f"{backend.url}/initiate", status=hanging.url)
        system = TwoHosts(fleets, [called, silent], resolver)
        system.postgres, system.redis = postgres, redis
        yield system, backend


def _fleet(host: str, state: Path, database: str, redis: str) -> Fleet:
    address = ADDRESSES[host]
    state.mkdir()
    fleet = Fleet(
        state,
        environment={
            "SIPURI_NODE_NAME": host,
            "SIPURI_DATABASE_URL": database,
            "SIPURI_REDIS_URL": redis,
            "SIPURI_SIP_DOMAIN": DOMAIN,
            "SIPURI_HTTP_BIND": f"{address}:{HTTP}",
            "SIPURI_PUBLIC_URL": f"http://{address}:{HTTP}",
            "SIPURI_ALLOWED_HOSTS": address,
            "SIPURI_SIP_BIND": f"{address}:{SIP}",
            "SIPURI_SIP_INTERNAL_BIND": f"{address}:{INSIDE}",
            "SIPURI_CALLFLOW_BIND": f"{address}:{CALLFLOW}",
            "SIPURI_NG_BIND": f"{address}:{NG}",
            "SIPURI_NG_ALLOW": "198.51.100.0/24",
            "SIPURI_MEDIA_RELAYS": ",".join(f"udp:{ADDRESSES[one]}:{NG}" for one in "ab"),
            "SIPURI_MEDIA_EXTERNAL": address,
            "SIPURI_MEDIA_INTERNAL": address,
            "SIPURI_DNS_BIND": f"{address}:{DNS}",
            "SIPURI_REGION_OVERRIDES": "198.51.100.0/24=US",
            "SIPURI_GUARD_TRUSTED": f"{ADDRESSES['router']}/32",
        },
        prefix=at(host),
        drain_seconds=DRAIN_SECONDS,
    )
    fleet.http = f"http://{address}:{HTTP}"
    return fleet


def _start(fleets: list[Fleet]) -> None:
    """Prepare the database from the first host, give the other one its keys, and start both."""
    first, second = fleets
    first.prepare()
    shutil.copytree(first.state / "keys", second.state / "keys")
    for fleet in fleets:
        fleet.spawn("all")
    for fleet in fleets:
        until(fleet._ready, seconds=START_SECONDS, what=f"all roles ready, see {fleet.state}", every=0.5)


@contextmanager
def _bind(directory: Path) -> Iterator[None]:
    """Run the customer's resolver."""
    configuration = directory / "named.conf"
    places = {"address": ADDRESSES["customer"], "a": ADDRESSES["a"], "b": ADDRESSES["b"], "port": DNS}
    configuration.write_text(NAMED.format(directory=directory, domain=DOMAIN, **places), encoding="ascii")
    with (directory / "named.log").open("wb") as log:
        process = subprocess.Popen([*at("customer"), "/usr/sbin/named", "-g", "-c", str(configuration)], stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
