"""Kamailio next to the running proxy: as the caller's border controller, and as the next hop towards the callee."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet import free_ports
from tests.support.kamailio import Certificate, Sbc, kamailio, make_certificate, proxy_address, tls_environment
from tests.support.sipp import ANSWER, INSIDE, OFFER, OUTSIDE, Party, Scene, Stage, beside, callee, changed, has, never_says, says, scene

TRANSPORTS = ("udp", "tcp", "tls")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene"), targets=1, **tls_environment(certificate)) as made:
        yield made


@pytest.fixture(scope="module", params=TRANSPORTS)
def in_front_sbc(
    here: Scene, certificate: Certificate, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Sbc]:
    """Kamailio between the callers and the proxy, to which it speaks the transport."""
    place, proxy = tmp_path_factory.mktemp("sbc"), proxy_address(here.fleet, request.param)
    shown = certificate if request.param == "tls" else None
    with kamailio(place, proxy=proxy, callee=here.port, transport=request.param, certificate=shown) as made:
        yield made


@pytest.fixture(scope="module")
def before_sbc(here: Scene, certificate: Certificate) -> Iterator[Scene]:
    """A proxy whose only target is Kamailio."""
    with beside(here, targets=free_ports(1), **tls_environment(certificate)) as made:
        yield made


@pytest.fixture(scope="module")
def sbc(here: Scene, before_sbc: Scene, certificate: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sbc]:
    """That Kamailio; as sipp knows no TLS, it is also in front, for the callers who want to speak it."""
    place, proxy = tmp_path_factory.mktemp("sbc"), proxy_address(before_sbc.fleet, "tls")
    with kamailio(place, proxy=proxy, callee=here.port, behind=before_sbc.port, transport="tls", certificate=certificate) as made:
        yield made


@pytest.fixture
def in_front(here: Scene, in_front_sbc: Sbc, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path, in_front_sbc.front)
    yield stage
    stage.close()


@pytest.fixture(params=TRANSPORTS)
def behind(before_sbc: Scene, sbc: Sbc, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = Stage(tmp_path, sbc.front) if request.param == "tls" else Stage(tmp_path, before_sbc.fleet.sip, request.param)
    yield stage
    stage.close()


def talking(here: Scene) -> tuple[Party, Party]:
    first = here.caller().sends("INVITE", body=OFFER).gets(100).gets(180).gets(200, OUTSIDE).acks()
    return first, callee().gets("INVITE", INSIDE).answers(180).answers(200, body=ANSWER).gets("ACK")


def call_with_changes(here: Scene, stage: Stage, *, by_caller: bool) -> None:
    """Play a call in which each party holds or resumes, and one hangs up."""
    first, second = talking(here)
    first.sends("INVITE", body=changed(OFFER, "a=sendonly")).gets(100).gets(200, OUTSIDE, says("a=recvonly")).acks()
    second.gets("INVITE", INSIDE, says("a=sendonly")).answers(200, body=changed(ANSWER, "a=recvonly")).gets("ACK")
    second.sends("INVITE", body=changed(ANSWER, "a=sendrecv", version=3)).gets(100).gets(200, INSIDE).acks()
    first.gets("INVITE", OUTSIDE, says("a=sendrecv")).answers(200, body=changed(OFFER, version=3)).gets("ACK")
    one, other = (first, second) if by_caller else (second, first)
    one.sends("BYE").gets(200)
    other.gets("BYE").answers(200)
    stage.call(first, (here.port, second))
    assert here.end_of(stage) == ["success", "caller_hangup" if by_caller else "application_hangup", 200]


def cancelled_call(here: Scene, stage: Stage) -> None:
    """Play a call that is given up while it rings."""
    first = here.caller().sends("INVITE", body=OFFER).gets(100).gets(180).cancels().gets(200).gets(487).acks(failure=True)
    second = callee().gets("INVITE").answers(180).gets("CANCEL").answers(200).answers(487, to="INVITE").gets("ACK")
    stage.call(first, (here.port, second))
    assert here.end_of(stage) == ["client_error", "caller_cancelled", 487]


# In front of the proxy.


@pytest.mark.parametrize("by_caller", [True, False])
def test_in_front_a_call_with_a_change_by_each_party(here: Scene, in_front: Stage, by_caller: bool) -> None:
    call_with_changes(here, in_front, by_caller=by_caller)


def test_in_front_a_cancelled_call(here: Scene, in_front: Stage) -> None:
    cancelled_call(here, in_front)


def test_in_front_a_refused_call(here: Scene, in_front: Stage) -> None:
    first = here.caller().sends("INVITE", body=OFFER).gets(100).gets(486).acks(failure=True)
    in_front.call(first, (here.port, callee().gets("INVITE", INSIDE).answers(486).gets("ACK")))
    assert here.end_of(in_front) == ["upstream_error", "target_refused", 486]


# Behind it: the proxy's target.


@pytest.mark.parametrize("by_caller", [True, False])
def test_behind_a_call_with_a_change_by_each_party(here: Scene, behind: Stage, by_caller: bool) -> None:
    call_with_changes(here, behind, by_caller=by_caller)


def test_behind_a_cancelled_call(here: Scene, behind: Stage) -> None:
    cancelled_call(here, behind)


def test_behind_nothing_of_it_shows(here: Scene, behind: Stage, sbc: Sbc) -> None:
    party = here.caller(never_says(f":{sbc.behind[1]}[^0-9]")).sends("INVITE", body=OFFER).gets(100).gets(180, has("Record-Route"))
    behind.call(party.gets(486).acks(failure=True), (here.port, callee().gets("INVITE").answers(180).answers(486).gets("ACK")))
