"""What is found of addresses, sources, ports and names."""

from __future__ import annotations

import socket
import threading

import pytest

from sipuri_project.doctor import addresses, names, ports, sources
from sipuri_project.doctor.addresses import Side
from voiceapps.rules.diagnosis.verdicts import Level

GOOD, DOUBTFUL, BAD = Level.GOOD, Level.DOUBTFUL, Level.BAD
SIP, MEDIA = "SIPURI_SIP_PUBLIC_ADDRESS", "SIPURI_MEDIA_EXTERNAL"


@pytest.mark.parametrize(
    ("side", "production", "levels", "says"),
    [
        (Side("SIP", "203.0.113.5", "203.0.113.5", SIP), True, [GOOD], "Callers are told 203.0.113.5 for SIP."),
        (Side("SIP", "10.0.0.5", "203.0.113.5", SIP), True, [GOOD], "a NAT has to forward to 10.0.0.5"),
        (Side("SIP", "10.0.0.5", "10.0.0.5", SIP), True, [DOUBTFUL], "RFC 1918 private range"),
        (Side("media", "127.0.0.1", "127.0.0.1", MEDIA), True, [BAD], "loopback"),
        (Side("media", "127.0.0.1", "127.0.0.1", MEDIA), False, [GOOD], "enough for a trial"),
        (Side("SIP", "203.0.113.77", "203.0.113.77", SIP), True, [DOUBTFUL, GOOD], "No interface of this machine has 203.0.113.77"),
        (Side("SIP", "0.0.0.0", "203.0.113.77", SIP), True, [GOOD], "Callers are told 203.0.113.77"),
    ],
)
def test_the_address_that_callers_are_told(side: Side, production: bool, levels: list[Level], says: str) -> None:
    found = list(addresses.judge(side, ("127.0.0.1", "203.0.113.5", "10.0.0.5"), production=production))
    assert [finding.level for finding in found] == levels
    assert says in found[0].sentence


def test_what_mends_an_address_names_the_form_of_its_variable() -> None:
    sip, media = (next(addresses.judge(Side("x", "10.0.0.5", "10.0.0.5", name), ("10.0.0.5",), production=True)) for name in (SIP, MEDIA))
    assert ":PORT" in sip.fix
    assert "LOCAL!PUBLIC" in media.fix


MANY = {f"203.0.113.{number}": 1 for number in range(10)}


@pytest.mark.parametrize(
    ("seen", "trusted", "level", "says"),
    [
        ({}, (), GOOD, "Too few"),
        ({"172.17.0.1": 4}, (), GOOD, "Too few calls to tell: 4."),
        (MANY, (), GOOD, "10 addresses"),
        ({"172.17.0.1": 99, "203.0.113.9": 1}, (), BAD, "99 of the newest 100 calls and refused attempts came from 172.17.0.1, an inner"),
        ({"203.0.113.1": 99, "203.0.113.9": 1}, (), BAD, "the router of this machine"),
        ({"203.0.113.200": 99}, (), GOOD, "1 addresses"),
        ({"172.17.0.1": 50, **MANY}, (), GOOD, "11 addresses"),
        ({"127.0.0.1": 99}, (), GOOD, "1 addresses"),
        ({"10.0.0.9": 99}, ("10.0.0.0/24",), GOOD, "1 addresses"),
    ],
)
def test_sources_that_something_rewrites(seen: dict[str, int], trusted: tuple[str, ...], level: Level, says: str) -> None:
    found = sources.judge(seen, "203.0.113.1", trusted)
    assert found.level is level
    assert says in found.sentence


def test_the_router_is_read_from_the_kernels_table() -> None:
    table = "Iface\tDestination\tGateway\tFlags\neth0\t0011A8C0\t00000000\t0001\neth0\t00000000\t010011AC\t0003\n"
    assert sources.gateway(table) == "172.17.0.1"
    assert sources.gateway(table.splitlines()[0]) == ""


@pytest.mark.parametrize(
    ("ephemeral", "taken", "level"),
    [
        ((32_768, 60_999), "", DOUBTFUL),
        ((32_768, 60_999), "30000-40000", GOOD),
        ((32_768, 60_999), "20000-35000,35001-40000", GOOD),
        ((32_768, 60_999), "30000-39999", DOUBTFUL),
        ((50_000, 60_999), "", GOOD),
        ((40_000, 60_999), "", DOUBTFUL),
    ],
)
def test_ports_that_the_kernel_may_give_to_others(ephemeral: tuple[int, int], taken: str, level: Level) -> None:
    found = ports.judge_range("SIPURI_RTP_PORTS", (30_000, 40_000), ephemeral, ports.reserved(taken))
    assert found.level is level
    assert ("ip_local_reserved_ports=30000-40000" in found.fix) == (level is DOUBTFUL)


def test_a_relay_and_a_proxy_that_do_not_answer() -> None:
    where = "127.0.0.1", 9
    assert ports.judge_relay(where, "").level is GOOD
    assert "no answer" in ports.judge_relay(where, "no answer.").sentence
    assert ports.judge_relay(where, "no answer.").level is BAD
    assert (ports.judge_sip(where, True).level, ports.judge_sip(where, False).level) == (GOOD, BAD)


def test_whatever_a_proxy_says_to_an_options_is_an_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as proxy:
        proxy.bind(("127.0.0.1", 0))
        asked: list[bytes] = []

        def answer() -> None:
            text, phone = proxy.recvfrom(65_535)
            asked.append(text)
            proxy.sendto(b"SIP/2.0 483 Too Many Hops\r\n\r\n", phone)

        thread = threading.Thread(target=answer)
        thread.start()
        assert ports.sip_answers(proxy.getsockname(), "sip.example")
        thread.join()
    assert asked[0].startswith(b"OPTIONS sip:sip.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:")
    assert asked[0].endswith(b"\r\n\r\n")


def test_a_port_that_nobody_has_is_no_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    assert not ports.sip_answers(address, "sip.example")


ONE, TWO = frozenset({"203.0.113.5"}), frozenset({"203.0.113.5", "203.0.113.6"})


@pytest.mark.parametrize(
    ("answered", "level", "says"),
    [
        (ONE, GOOD, "answers 203.0.113.5"),
        (TWO, BAD, "203.0.113.5, 203.0.113.6"),
        (frozenset(), BAD, "nothing"),
        (None, BAD, "none answers"),
    ],
)
def test_what_our_own_dns_answers(answered: frozenset[str] | None, level: Level, says: str) -> None:
    found = names.judge_ours(ONE, answered)
    assert found.level is level
    assert says in found.sentence


@pytest.mark.parametrize(
    ("answered", "level", "says"),
    [
        (ONE, GOOD, "leads to 203.0.113.5"),
        (frozenset(), DOUBTFUL, "finds no address"),
        (frozenset({"192.0.2.1"}), BAD, "where none of the proxies is"),
        (TWO, DOUBTFUL, "leads also to 203.0.113.6"),
    ],
)
def test_what_the_world_is_answered(answered: frozenset[str], level: Level, says: str) -> None:
    found = names.judge_world(ONE, answered)
    assert found.level is level
    assert says in found.sentence
