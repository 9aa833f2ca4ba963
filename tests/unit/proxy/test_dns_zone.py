from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipproxy.aio.dns_limit import COOKIE_SECONDS, Cookies
from sipproxy.aio.dns_zone import MAX_UDP_ANSWER, DnsClient, Place, Zone

DOMAIN = "sip-uri.example"
COOKIES = Cookies(b"k")
UDP = DnsClient("198.51.100.7", 1_700_000_000.0)
TCP = replace(UDP, tcp=True)
LIMITED = replace(UDP, admitted=False)
PROXIES = (("udp", "203.0.113.9", 6160), ("udp", "203.0.113.10", 6160), ("tcp", "203.0.113.9", 6160), ("tls", "203.0.113.9", 5061))


def zone(proxies: tuple[Place, ...] = PROXIES) -> Zone:
    made = Zone(DOMAIN, ttl=60, name_server="203.0.113.53", cookies=COOKIES)
    made.publish(proxies, serial=7)
    return made


def ask(made: Zone, name: str, kind: str, *, client: DnsClient = UDP, **query: Any) -> dns.message.Message:
    question = dns.message.make_query(name, kind, **query)
    answer = made.answer(question.to_wire(), client)
    assert answer is not None
    response = dns.message.from_wire(answer.wire)
    assert response.id == question.id
    assert response.flags & dns.flags.QR
    assert not response.flags & dns.flags.RA
    assert answer.rcode == dns.rcode.to_text(response.rcode())
    return response


def texts(section: list[dns.rrset.RRset]) -> set[str]:
    return {f"{rrset.name} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {record}" for rrset in section for record in rrset}


def test_the_domain_has_one_address_for_each_proxy() -> None:
    response = ask(zone(), DOMAIN, "A")
    assert response.rcode() == dns.rcode.NOERROR
    assert response.flags & dns.flags.AA
    assert texts(response.answer) == {f"{DOMAIN}. 60 A 203.0.113.9", f"{DOMAIN}. 60 A 203.0.113.10"}


def test_the_service_has_one_target_for_each_proxy_and_its_address_beside_it() -> None:
    response = ask(zone(), f"_sip._udp.{DOMAIN}", "SRV")
    assert texts(response.answer) == {
        f"_sip._udp.{DOMAIN}. 60 SRV 10 60 6160 ip-203-0-113-9.{DOMAIN}.",
        f"_sip._udp.{DOMAIN}. 60 SRV 10 60 6160 ip-203-0-113-10.{DOMAIN}.",
    }
    assert f"ip-203-0-113-9.{DOMAIN}. 60 A 203.0.113.9" in texts(response.additional)
    assert texts(ask(zone(), f"ip-203-0-113-10.{DOMAIN}", "A").answer) == {f"ip-203-0-113-10.{DOMAIN}. 60 A 203.0.113.10"}


def test_each_transport_has_the_proxies_that_speak_it() -> None:
    tcp, tls = ask(zone(), f"_sip._tcp.{DOMAIN}", "SRV"), ask(zone(), f"_sips._tcp.{DOMAIN}", "SRV")
    assert texts(tcp.answer) == {f"_sip._tcp.{DOMAIN}. 60 SRV 10 60 6160 ip-203-0-113-9.{DOMAIN}."}
    assert texts(tls.answer) == {f"_sips._tcp.{DOMAIN}. 60 SRV 10 60 5061 ip-203-0-113-9.{DOMAIN}."}


def test_names_are_compared_without_case() -> None:
    response = ask(zone(), "_SIP._uDp.Sip-URI.exAMPle", "SRV")
    assert len(texts(response.answer)) == 2


def test_the_zone_describes_itself() -> None:
    assert texts(ask(zone(), DOMAIN, "NS").answer) == {f"{DOMAIN}. 60 NS ns.{DOMAIN}."}
    assert texts(ask(zone(), DOMAIN, "SOA").answer) == {f"{DOMAIN}. 60 SOA ns.{DOMAIN}. hostmaster.{DOMAIN}. 7 3600 600 86400 60"}
    assert texts(ask(zone(), f"ns.{DOMAIN}", "A").answer) == {f"ns.{DOMAIN}. 60 A 203.0.113.53"}


@pytest.mark.parametrize(
    ("name", "kind", "rcode"),
    [
        (DOMAIN, "AAAA", dns.rcode.NOERROR),
        (DOMAIN, "SRV", dns.rcode.NOERROR),
        (f"_udp.{DOMAIN}", "SRV", dns.rcode.NOERROR),
        (f"_sip._udp.{DOMAIN}", "A", dns.rcode.NOERROR),
        (f"_sip._udp.{DOMAIN}", "NAPTR", dns.rcode.NOERROR),
        (f"_tcp.{DOMAIN}", "SRV", dns.rcode.NOERROR),
        (f"_sip._sctp.{DOMAIN}", "SRV", dns.rcode.NXDOMAIN),
        (f"ip-192-0-2-1.{DOMAIN}", "A", dns.rcode.NXDOMAIN),
        (f"a.b.c.{DOMAIN}", "A", dns.rcode.NXDOMAIN),
    ],
)
def test_missing_names_are_denied_with_the_soa(name: str, kind: str, rcode: dns.rcode.Rcode) -> None:
    response = ask(zone(), name, kind)
    assert response.rcode() == rcode
    assert response.flags & dns.flags.AA
    assert response.answer == []
    assert [rrset.rdtype for rrset in response.authority] == [dns.rdatatype.SOA]


@pytest.mark.parametrize(
    ("name", "kind", "query"),
    [
        ("example", "A", {}),
        ("example.org", "A", {}),
        (f"x{DOMAIN}", "A", {}),
        (".", "NS", {}),
        (DOMAIN, "AXFR", {}),
        (DOMAIN, "IXFR", {}),
        ("version.bind", "TXT", {"rdclass": "CH"}),
        (DOMAIN, "A", {"rdclass": "CH"}),
    ],
)
def test_nothing_is_resolved_for_others(name: str, kind: str, query: dict[str, Any]) -> None:
    response = ask(zone(), name, kind, **query)
    assert response.rcode() == dns.rcode.REFUSED
    assert not response.flags & dns.flags.AA
    assert response.answer == response.authority == []


def test_any_gets_one_set() -> None:
    assert len(ask(zone(), DOMAIN, "ANY").answer) == 1


def test_an_empty_pool_is_no_data() -> None:
    empty = zone(())
    for name, kind in ((DOMAIN, "A"), (f"_sip._udp.{DOMAIN}", "SRV"), (f"_sips._tcp.{DOMAIN}", "SRV")):
        response = ask(empty, name, kind)
        assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])
    assert ask(empty, f"ip-203-0-113-9.{DOMAIN}", "A").rcode() == dns.rcode.NXDOMAIN


def test_a_name_server_without_an_address_is_no_data() -> None:
    response = ask(Zone(DOMAIN, ttl=60, name_server=None, cookies=COOKIES), f"ns.{DOMAIN}", "A")
    assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])


def test_large_answers_are_cut_to_what_the_client_takes() -> None:
    many = zone(tuple(("udp", f"203.0.113.{number}", 6160) for number in range(1, 101)))
    cut = ask(many, DOMAIN, "A")
    assert cut.flags & dns.flags.TC
    assert len(cut.to_wire()) <= 512
    wide = dns.message.make_query(DOMAIN, "A", use_edns=0, payload=4096)
    answer = many.answer(wide.to_wire(), UDP)
    assert answer is not None
    assert len(answer.wire) <= MAX_UDP_ANSWER
    whole = ask(many, DOMAIN, "A", client=TCP)
    assert not whole.flags & dns.flags.TC
    assert len(texts(whole.answer)) == 100


def test_extensions_of_another_version_are_named() -> None:
    assert ask(zone(), DOMAIN, "A", use_edns=1).rcode() == dns.rcode.BADVERS
    assert ask(zone(), DOMAIN, "A", use_edns=0).edns == 0


def test_other_operations_are_not_implemented() -> None:
    update = dns.message.make_query(DOMAIN, "SOA")
    update.set_opcode(dns.opcode.NOTIFY)
    answer = zone().answer(update.to_wire(), UDP)
    assert answer is not None
    assert dns.message.from_wire(answer.wire).rcode() == dns.rcode.NOTIMP


@pytest.mark.parametrize("wire", [b"", b"\0" * 11, b"\0\1\x80\0" + bytes(8)])
def test_messages_that_must_not_be_answered(wire: bytes) -> None:
    assert zone().answer(wire, UDP) is None


@pytest.mark.parametrize(
    "wire", [b"\x12\x34\1\0" + bytes(8), b"\x12\x34\1\0\0\1" + bytes(6), b"\x12\x34\1\0\0\1" + bytes(6) + b"\xff" * 30]
)
def test_malformed_queries_get_a_bare_formerr(wire: bytes) -> None:
    answer = zone().answer(wire, UDP)
    assert answer is not None
    assert answer.wire == b"\x12\x34\x81\x01" + bytes(8)


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"\0\1\0\0\0\1\0\0\0\0\0\0" + tail), st.booleans())
def test_any_octets_are_handled(wire: bytes, tcp: bool) -> None:
    answer = zone().answer(wire, replace(UDP, tcp=tcp))
    assert answer is None or dns.message.from_wire(answer.wire).flags & dns.flags.QR


@given(st.data())
def test_damaged_queries_are_handled(data: st.DataObject) -> None:
    wire = bytearray(dns.message.make_query(f"_sip._udp.{DOMAIN}", "SRV", use_edns=0).to_wire())
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    zone().answer(bytes(wire), UDP)


# Networks that had too many answers, and cookies.


def cookie_of(response: dns.message.Message) -> dns.edns.CookieOption:
    (option,) = response.options
    assert isinstance(option, dns.edns.CookieOption)
    return option


def with_cookie(server: bytes = b"", client: DnsClient = UDP) -> dns.message.Message:
    return ask(zone(), DOMAIN, "A", client=client, use_edns=0, options=[dns.edns.CookieOption(b"12345678", server)])


def test_a_network_that_had_too_many_answers_is_sent_to_tcp() -> None:
    question = dns.message.make_query(f"_sip._udp.{DOMAIN}", "SRV").to_wire()
    response = ask(zone(), f"_sip._udp.{DOMAIN}", "SRV", client=LIMITED)
    assert response.flags & dns.flags.TC
    assert response.answer == response.authority == response.additional == []
    assert len(response.to_wire()) == len(question)


def test_a_client_with_a_cookie_of_ours_gets_its_answer_all_the_same() -> None:
    given = cookie_of(with_cookie())
    assert (given.client, len(given.server)) == (b"12345678", 16)
    response = with_cookie(given.server, LIMITED)
    assert response.answer
    assert not response.flags & dns.flags.TC
    assert cookie_of(response).server == given.server


@pytest.mark.parametrize(
    ("client", "change"),
    [
        (replace(LIMITED, source_ip="198.51.100.8"), lambda server: server),
        (replace(LIMITED, now=LIMITED.now + COOKIE_SECONDS + 1), lambda server: server),
        (replace(LIMITED, now=LIMITED.now - COOKIE_SECONDS - 1), lambda server: server),
        (LIMITED, lambda server: server[:-1] + bytes([server[-1] ^ 1])),
        (LIMITED, lambda server: server + b"x"),
        (LIMITED, lambda server: b""),
    ],
)
def test_a_cookie_is_good_for_its_client_and_an_hour(client: DnsClient, change: Callable[[bytes], bytes]) -> None:
    server = cookie_of(with_cookie()).server
    response = with_cookie(change(server), client)
    assert response.flags & dns.flags.TC
    assert not response.answer


@pytest.mark.parametrize("octets", [b"", b"1234567", b"123456789", bytes(41)])
def test_a_malformed_cookie_is_an_error(octets: bytes) -> None:
    query = dns.message.make_query(DOMAIN, "A", use_edns=0, options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, octets)])
    answer = zone().answer(query.to_wire(), UDP)
    assert answer is not None
    assert answer.rcode == "FORMERR"
