"""The zone of the SIP domain: A and SRV records of the live proxies, prebuilt whenever the pool changes.

The domain itself has one A record for each proxy; `_sip._udp`, `_sip._tcp` and `_sips._tcp` below it have one SRV record for
each proxy that speaks the transport (RFC 3263 4.1). Its target is a name made of the proxy's address (`ip-203-0-113-9`),
because an SRV target must be a name. All answers are authoritative. Queries for names outside the zone are refused: this server is
no resolver.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from sipproxy.aio.dns_limit import Cookies

MAX_UDP_ANSWER = 1232
"""Octets of a UDP answer, whatever the client allows: larger ones may be fragmented and amplify reflection attacks."""
MIN_UDP_ANSWER = 512
HEADER_OCTETS = 12

PRIORITY = 10
WEIGHT = 60

SERVICES = {"udp": ("_sip", "_udp"), "tcp": ("_sip", "_tcp"), "tls": ("_sips", "_tcp")}

Place = tuple[str, str, int]
"""Where a proxy is: transport, IPv4 address, port."""
Records = Mapping[dns.rdatatype.RdataType, dns.rrset.RRset]


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """An answer's octets and its response code."""

    wire: bytes
    rcode: str


@dataclass(frozen=True, slots=True)
class DnsClient:
    """Who asks, and what it may get."""

    source_ip: str
    now: float
    """Seconds of the wall clock: cookies outlive the process that made them."""
    tcp: bool = False
    admitted: bool = True
    """Whether its network has not had too many answers; without that, only a cookie of ours gets it a whole one."""


class Zone:
    """The records of one domain; `name_server` is the address of the NS record's name, if it has one."""

    def __init__(self, domain: str, *, ttl: int, name_server: str | None, cookies: Cookies) -> None:
        self._cookies = cookies
        self._origin = dns.name.from_text(domain)
        self._ttl = ttl
        self._name_server = name_server
        self._names: dict[dns.name.Name, Records] = {}
        self._targets: dict[dns.name.Name, dns.rrset.RRset] = {}
        self._soa = self._build_soa(1)
        self.publish((), serial=1)

    def publish(self, places: Sequence[Place], *, serial: int) -> None:
        """Replace all records by those of these proxies; `serial` is that of the SOA record."""
        hosts = sorted({str(IPv4Address(host)) for _, host, _ in places})
        self._soa = self._build_soa(serial)
        ns = self._child("ns")
        apex = {dns.rdatatype.SOA: self._soa, dns.rdatatype.NS: self._rrset(self._origin, "NS", ns.to_text())}
        names: dict[dns.name.Name, Records] = {self._origin: apex, ns: {}, self._child("_udp"): {}, self._child("_tcp"): {}}
        self._targets = {self._child(_label(host)): self._rrset(self._child(_label(host)), "A", host) for host in hosts}
        names |= {name: {dns.rdatatype.A: rrset} for name, rrset in self._targets.items()}
        if self._name_server:
            names[ns] = {dns.rdatatype.A: self._rrset(ns, "A", self._name_server)}
        if hosts:
            apex[dns.rdatatype.A] = self._rrset(self._origin, "A", *hosts)
        for transport, labels in SERVICES.items():
            service = self._child(*labels)
            found = {(host, port) for spoken, host, port in places if spoken == transport}
            names[service] = {dns.rdatatype.SRV: self._build_srv(service, found)} if found else {}
        self._names = names

    def answer(self, wire: bytes, client: DnsClient) -> DnsAnswer | None:
        """Return the answer to a query; None for a message that must not be answered: a response, or less than a header."""
        if len(wire) < HEADER_OCTETS or wire[2] & 0x80:
            return None
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return _bare_error(wire, dns.rcode.FORMERR)
        if query.opcode() != dns.opcode.QUERY:
            return _bare_error(wire, dns.rcode.NOTIMP)
        if len(query.question) != 1:
            return _bare_error(wire, dns.rcode.FORMERR)
        response = dns.message.make_response(query, our_payload=MAX_UDP_ANSWER)
        known = self._take_cookie(query, response, client)
        if client.admitted or known:
            self._fill(query, response)
        else:
            response.flags |= dns.flags.TC
        return DnsAnswer(_render(query, response, tcp=client.tcp), dns.rcode.to_text(response.rcode()))

    def _take_cookie(self, query: dns.message.Message, response: dns.message.Message, client: DnsClient) -> bool:
        """Give a client that sent a cookie a new one, and return whether it brought one of ours."""
        brought = next((option for option in query.options if isinstance(option, dns.edns.CookieOption)), None)
        if brought is None or query.edns > 0:
            return False
        server = self._cookies.make(brought.client, client.source_ip, client.now)
        response.use_edns(0, payload=MAX_UDP_ANSWER, options=[dns.edns.CookieOption(brought.client, server)])
        return self._cookies.is_ours(brought.client, brought.server, client.source_ip, client.now)

    def _fill(self, query: dns.message.Message, response: dns.message.Message) -> None:
        question = query.question[0]
        if query.edns > 0:
            response.set_rcode(dns.rcode.BADVERS)
            return
        foreign = question.rdclass != dns.rdataclass.IN or not question.name.is_subdomain(self._origin)
        if foreign or question.rdtype in (dns.rdatatype.AXFR, dns.rdatatype.IXFR):
            response.set_rcode(dns.rcode.REFUSED)
            return
        response.flags |= dns.flags.AA
        records = self._names.get(question.name)
        rrset = _matching(records, question.rdtype) if records else None
        if rrset is None:
            response.authority.append(self._soa)
            response.set_rcode(dns.rcode.NXDOMAIN if records is None else dns.rcode.NOERROR)
            return
        response.answer.append(rrset)
        if rrset.rdtype == dns.rdatatype.SRV:
            response.additional.extend(self._targets[record.target] for record in rrset)

    def _build_soa(self, serial: int) -> dns.rrset.RRset:
        ns, mailbox = self._child("ns").to_text(), self._child("hostmaster").to_text()
        return self._rrset(self._origin, "SOA", f"{ns} {mailbox} {serial} 3600 600 86400 {self._ttl}")

    def _build_srv(self, name: dns.name.Name, places: Iterable[tuple[str, int]]) -> dns.rrset.RRset:
        values = [f"{PRIORITY} {WEIGHT} {port} {self._child(_label(host)).to_text()}" for host, port in sorted(places)]
        return self._rrset(name, "SRV", *values)

    def _child(self, *labels: str) -> dns.name.Name:
        return dns.name.Name([*(label.encode() for label in labels), *self._origin.labels])

    def _rrset(self, name: dns.name.Name, kind: str, *values: str) -> dns.rrset.RRset:
        return dns.rrset.from_text(name, self._ttl, "IN", kind, *values)


def _bare_error(wire: bytes, rcode: dns.rcode.Rcode) -> DnsAnswer:
    """Return an answer that is only a header: the rest of such a query cannot be trusted."""
    flags = bytes((0x80 | wire[2] & 0x79, rcode))
    return DnsAnswer(wire[:2] + flags + bytes(8), dns.rcode.to_text(rcode))


def _label(host: str) -> str:
    return "ip-" + host.replace(".", "-")


def _matching(records: Records, rdtype: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
    """Return the records of the type; ANY gets one record set (RFC 8482)."""
    if rdtype == dns.rdatatype.ANY:
        return next(iter(records.values()))
    return records.get(rdtype)


def _render(query: dns.message.Message, response: dns.message.Message, *, tcp: bool) -> bytes:
    allowed = max(MIN_UDP_ANSWER, query.payload) if query.edns >= 0 else MIN_UDP_ANSWER
    size = 65_535 if tcp else min(allowed, MAX_UDP_ANSWER)
    return response.to_wire(max_size=size, prefer_truncation=True)
