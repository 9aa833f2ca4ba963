"""The kernel maps of one relay: flows in, flows out, and their counters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from socket import inet_aton, inet_ntoa
from struct import Struct

from daemonkit.address import Address
from mediarelay.aio.netlink import NETFILTER, NetlinkSocket
from mediarelay.kernel.flow import Check, Counts, KernelFlow, Tally
from mediarelay.kernel.set_elements import MAX_ASKED, Element, Family, SetChange, Table, dump, get, in_parts, read_elements, write_batch

HEADER_OCTETS = 28
"""Octets of the IP and UDP headers, which the kernel counts and the relay does not."""
_FLOW, _DADDR, _DPORT, _SADDR, _SPORT = "m_flow", "m_daddr", "m_dport", "m_saddr", "m_sport"

_MARK = Struct("=I")
_PORT = Struct("!H")
_KEY_PORT = Struct("!HH")


class KernelTable:
    """The flows in one table; every method raises KernelRefused if the kernel refuses."""

    def __init__(self, name: str) -> None:
        self._table = Table(Family.IPV4, name)
        self._netlink = NetlinkSocket(NETFILTER)
        self._tally = Tally()

    def close(self) -> None:
        """Close the socket to the kernel; the table stays."""
        self._netlink.close()

    def install(self, flows: Sequence[KernelFlow]) -> None:
        """Add flows, all or none."""
        for part in in_parts(flows):
            marks = [_MARK.pack(flow.mark) for flow in part]
            ends = {
                _DADDR: [inet_aton(flow.target[0]) for flow in part],
                _DPORT: [_PORT.pack(flow.target[1]) for flow in part],
                _SADDR: [inet_aton(flow.via[0]) for flow in part],
                _SPORT: [_PORT.pack(flow.via[1]) for flow in part],
            }
            changes = [SetChange(name, add=list(zip(marks, values, strict=True))) for name, values in ends.items()]
            keys = SetChange(_FLOW, add=[(_key(flow), mark) for flow, mark in zip(part, marks, strict=True)])
            self._change([*changes, keys])

    def end(self, flows: Sequence[KernelFlow]) -> dict[int, Counts]:
        """Remove flows; return their last counts by mark.

        Their keys are removed first: nothing is counted after that, so the counts are complete.
        """
        counts: dict[int, Counts] = {}
        for part in in_parts(flows):
            marks = [_MARK.pack(flow.mark) for flow in part]
            self._change([SetChange(_FLOW, delete=[_key(flow) for flow in part])])
            counts |= _counts(self._get(_SADDR, marks))
            self._change([SetChange(name, delete=marks) for name in (_DADDR, _DPORT, _SADDR, _SPORT)])
        self._tally.forget(counts)
        return counts

    def read_counts(self) -> list[int]:
        """Read the counters of all flows; return the marks of flows whose counts have grown since the last reading."""
        return self._tally.read((_mark(key), packets, octets - HEADER_OCTETS * packets) for key, _, packets, octets in self._dump(_SADDR))

    def counts(self, mark: int) -> Counts:
        """Return what had left of a flow at the last reading."""
        return self._tally.of(mark)

    def check(self, flows: Sequence[KernelFlow]) -> dict[int, Check]:
        """Return, by mark, what came in and what left of some flows."""
        found: dict[int, Check] = {}
        for part in in_parts(flows):
            came = {_mark(element.data): element.packets for element in self._get(_FLOW, [_key(flow) for flow in part])}
            left = _counts(self._get(_SADDR, [_MARK.pack(flow.mark) for flow in part]))
            found |= {mark: Check(came.get(mark, 0), counts) for mark, counts in left.items()}
        return found

    def flows(self) -> dict[int, KernelFlow]:
        """Return every flow by mark; raises KernelRefused if there is no table."""
        ends = {name: {_mark(element.key): element.data for element in self._dump(name)} for name in (_DADDR, _DPORT, _SADDR, _SPORT)}
        found = {}
        for element in self._dump(_FLOW):
            mark = _mark(element.data)
            if all(mark in values for values in ends.values()):
                source, local = _read_key(element.key)
                via = inet_ntoa(ends[_SADDR][mark]), _port(ends[_SPORT][mark])
                target = inet_ntoa(ends[_DADDR][mark]), _port(ends[_DPORT][mark])
                found[mark] = KernelFlow(mark, source, local, via, target)
        return found

    def _change(self, changes: Sequence[SetChange]) -> None:
        self._netlink.ask(write_batch(self._table, changes, self._netlink.next_sequence()))

    def _get(self, name: str, keys: Sequence[bytes]) -> list[Element]:
        parts = in_parts(keys, MAX_ASKED)
        return [element for part in parts for element in self._elements(get(self._table, name, part, self._netlink.next_sequence()))]

    def _dump(self, name: str) -> list[Element]:
        return self._elements(dump(self._table, name, self._netlink.next_sequence()))

    def _elements(self, question: bytes) -> list[Element]:
        return list(read_elements(self._netlink.ask(question)))


def counts_of(element: Element) -> Counts:
    """Return an element's counters, without the octets of headers."""
    return Counts(element.packets, element.octets - HEADER_OCTETS * element.packets)


def _counts(elements: Iterable[Element]) -> dict[int, Counts]:
    return {_mark(element.key): counts_of(element) for element in elements}


def _key(flow: KernelFlow) -> bytes:
    # Each part of a concatenation is padded to whole words.
    ends = (inet_aton(host) + _KEY_PORT.pack(port, 0) for host, port in (flow.source, flow.local))
    return b"".join(ends)


def _read_key(key: bytes) -> tuple[Address, Address]:
    return (inet_ntoa(key[:4]), _port(key[4:6])), (inet_ntoa(key[8:12]), _port(key[12:14]))


def _mark(raw: bytes) -> int:
    return int(_MARK.unpack(raw)[0])


def _port(raw: bytes) -> int:
    return int(_PORT.unpack(raw[:2])[0])
