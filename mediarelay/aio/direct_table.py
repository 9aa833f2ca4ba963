"""The map that sends flows from device to device, and its counters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from socket import inet_aton
from struct import Struct

from mediarelay.aio.kernel_table import HEADER_OCTETS, counts_of
from mediarelay.aio.netlink import NETFILTER, KernelRefused, NetlinkSocket
from mediarelay.kernel.direct_script import CHAIN, MAP
from mediarelay.kernel.flow import Counts, KernelFlow, Tally
from mediarelay.kernel.messages import NetlinkError
from mediarelay.kernel.routes import Hop
from mediarelay.kernel.rules import Expressions, new_rule
from mediarelay.kernel.set_elements import MAX_ASKED, Element, Family, SetChange, Table, batch, dump, in_parts, read_elements, write_batch

_PORTS = Struct("!HH")
_INDEX = Struct("=I")


class DirectTable:
    """The flows in one table at the devices; every method raises KernelRefused if the kernel refuses."""

    def __init__(self, name: str) -> None:
        self._table = Table(Family.NETDEV, name)
        self._netlink = NetlinkSocket(NETFILTER)
        self._marks: dict[bytes, int] = {}
        self._tally = Tally()

    def __contains__(self, flow: KernelFlow) -> bool:
        """Return whether a flow goes from device to device."""
        return _key(flow) in self._marks

    def close(self) -> None:
        """Close the socket to the kernel; the table stays."""
        self._netlink.close()

    def is_there(self) -> bool:
        """Return whether the kernel has the table."""
        try:
            self._dump()
        except (KernelRefused, NetlinkError):
            return False
        return True

    def write_rules(self, rules: Iterable[Expressions]) -> None:
        """Fill the chain that searches the map."""
        sequence = self._netlink.next_sequence()
        self._netlink.ask(batch([new_rule(self._table, CHAIN, rule, sequence) for rule in rules], sequence))

    def install(self, flows: Sequence[tuple[KernelFlow, Hop]]) -> None:
        """Add flows, each with its hop."""
        for part in in_parts(flows):
            self._change(SetChange(MAP, add=[(_key(flow), _value(flow, hop)) for flow, hop in part]))
            self._marks |= {_key(flow): flow.mark for flow, _ in part}

    def end(self, flows: Iterable[KernelFlow]) -> dict[int, Counts]:
        """Remove those of the flows that are here; return their last counts by mark."""
        counts = {}
        for part in in_parts([key for key in map(_key, flows) if key in self._marks], MAX_ASKED):
            for element in self._change(SetChange(MAP, delete=part), echo=True):
                counts[self._marks.pop(element.key)] = counts_of(element)
        self._tally.forget(counts)
        return counts

    def read_counts(self) -> list[int]:
        """Read the counters of all flows; return the marks of flows whose counts have grown since the last reading."""
        marks = self._marks
        found = ((marks[key], packets, octets - HEADER_OCTETS * packets) for key, _, packets, octets in self._dump() if key in marks)
        return self._tally.read(found)

    def counts(self, mark: int) -> Counts:
        """Return what had left of a flow at the last reading."""
        return self._tally.of(mark)

    @property
    def active(self) -> int:
        """The number of flows that have been seen to go this way."""
        return len(self._tally)

    def adopt(self, flows: Sequence[tuple[KernelFlow, Hop]]) -> None:
        """Keep the elements of an earlier process that match these flows and hops, and delete all others."""
        expected = {_key(flow): (_value(flow, hop), flow.mark) for flow, hop in flows}
        there = self._dump()
        self._marks = {key: expected[key][1] for key, value, *_ in there if key in expected and expected[key][0] == value}
        for part in in_parts([element.key for element in there if element.key not in self._marks]):
            self._change(SetChange(MAP, delete=part))

    def _dump(self) -> list[Element]:
        return list(read_elements(self._netlink.ask(dump(self._table, MAP, self._netlink.next_sequence()))))

    def _change(self, change: SetChange, *, echo: bool = False) -> list[Element]:
        question = write_batch(self._table, [change], self._netlink.next_sequence(), echo=echo)
        return list(read_elements(self._netlink.ask(question)))


def _key(flow: KernelFlow) -> bytes:
    return inet_aton(flow.source[0]) + inet_aton(flow.local[0]) + _PORTS.pack(flow.source[1], flow.local[1])


def _value(flow: KernelFlow, hop: Hop) -> bytes:
    ends = inet_aton(flow.via[0]) + inet_aton(flow.target[0]) + _PORTS.pack(flow.via[1], flow.target[1])
    return ends + inet_aton(hop.gateway) + _INDEX.pack(hop.device)
