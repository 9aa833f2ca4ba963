"""Real daemons; what needs a Debian package or root says so and fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.backend import TestBackend
from tests.support.fleet import Fleet, until
from tests.support.kamailio import make_certificate, tls_environment
from tests.support.postgres_server import PostgresServer

PACKAGES = {
    "sipp": "sip-tester",
    "baresip": "baresip",
    "dig": "bind9-dnsutils",
    "ip": "iproute2",
    "nft": "nftables",
    "espeak-ng": "espeak-ng",
    "kamailio": "kamailio",
    "linphonec": "linphone-cli",
    "rtpengine": "rtpengine-daemon",
}


# Where the minutes go; what is begun first is not waited for last.
LONG = ("test_nat", "test_load", "test_chaos", "test_statements", "test_demo", "test_services", "test_races", "test_rtpengine")
WAITING = ("test_nat", "test_load", "test_chaos")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.daemons)
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Gives a worker the tests of a file together, as they share what they start, and one worker those that wait more than they work."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "waiting" if Path(file).stem in WAITING else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def packages() -> None:
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing:
        pytest.exit(f"These tests need Debian packages: apt-get install --no-install-recommends {' '.join(missing)}", returncode=1)


@pytest.fixture(scope="session")
def root() -> None:
    if os.geteuid() != 0:
        pytest.fail("This test makes network namespaces and needs root.")


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, which the test may stop and start."""
    server = PostgresServer()
    server.start()
    yield server
    server.stop()
    server.remove()


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Every role under `runall`, as `make up` starts them."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        fleet.start()
        yield fleet
    finally:
        codes = fleet.stop()
    assert set(codes.values()) == {0}, fleet.log()[-4000:]


@pytest.fixture(scope="module")
def secured(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One more proxy of the system, which has a certificate."""
    certificate = make_certificate(tmp_path_factory.mktemp("certificate"))
    names = {"SIPURI_MEDIA_RELAYS": fleet.env["SIPURI_MEDIA_RELAYS"], "SIPURI_NODE_NAME": "secured"}
    made = Fleet(fleet.state, ("sipproxy",), {**names, **tls_environment(certificate)})
    try:
        made.spawn("sipproxy")
        until(made._ready, seconds=30, what="the second proxy", every=0.1)
        yield made
    finally:
        codes = made.stop()
    assert codes["sipproxy"] == 0, made.log("sipproxy")[-4000:]


@pytest.fixture
def make_fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Fleets of a test's own."""
    fleets: list[Fleet] = []

    def make(*roles: str, prefix: tuple[str, ...] = (), **environment: str) -> Fleet:
        state = tmp_path / f"fleet-{len(fleets)}"
        state.mkdir()
        fleet = Fleet(state, roles or ("all",), environment, prefix)
        fleets.append(fleet)
        return fleet

    yield make
    for fleet in fleets:
        fleet.stop()


@pytest.fixture
def backend() -> Iterator[TestBackend]:
    backend = TestBackend({})
    yield backend
    backend.close()
