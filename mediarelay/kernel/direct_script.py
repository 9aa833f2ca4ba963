"""The rules by which the kernel forwards flows from device to device, past everything else.

Theory of operation. What arrives at a device goes through a chain there before anything else looks at it. A packet whose
ends are in the map gets all of its new addresses and ports at once and is handed to the neighbour that the map names;
routing, filters and connection tracking do not see it. What is not in the map goes on, to the rules of `kernel_script`
or to our sockets: a flow that cannot be here loses nothing but speed.

nft reads one value from a map at a time, so it makes the table and the chains, and `direct_rules` gives the two rules
that search the map in the kernel's own terms: one search, two writes.

Only what is meant for this machine is taken, by its hardware address: that of the device, or of the bridge that the
device is a port of. And nothing with a VLAN tag, which would leave with the packet: the device of the VLAN, to which it
comes next, has a chain of its own.
"""

from __future__ import annotations

from mediarelay.config import RelayConfig
from mediarelay.kernel.routes import Device
from mediarelay.kernel.rules import Expressions, Header, all_but_one_in, forward, load, log, look_up, store
from mediarelay.kernel.script import PLAIN_RTP, SAMPLE_OCTETS, SAMPLED, table_name

CHAIN, MAP = "to_far", "m_direct"
LONGEST_PACKET = 1_280
"""Octets with all headers; a device of ours passes that much without cutting it up."""
_SHORTEST_DATAGRAM = 26
"""Octets with the header of UDP: what is shorter comes in a frame that is filled up, and would be counted with the filling."""
_PRIORITY = 100
# The registers of the rules: what a packet has, what it gets, and where it goes.
_ENDS, _NEW_ENDS, _GATEWAY, _DEVICE, _DRAWN = 0, 4, 7, 8, 12
_SOURCE, _DESTINATION, _PORTS = range(3)
# Where IPv4 has its source, which its destination follows, and UDP its ports.
_SOURCE_AT, _DESTINATION_AT, _PORTS_AT = 12, 16, 0


def direct_table_name(config: RelayConfig) -> str:
    """Return the name of a relay's table at the devices."""
    return f"{table_name(config)}_direct"


def delete_direct_script(config: RelayConfig) -> str:
    """Return what removes the table, whether it is there or not."""
    name = direct_table_name(config)
    return f"table netdev {name}\ndelete table netdev {name}\n"


def create_direct_script(config: RelayConfig) -> str:
    """Return what makes the table, empty and at no device, in place of one that is there.

    From two addresses and two ports the map leads to others, to the next hop and to its device.
    """
    ends = "ipv4_addr . ipv4_addr . mark"
    return f"""{delete_direct_script(config)}table netdev {direct_table_name(config)} {{
 map {MAP} {{ type {ends} : {ends} . ipv4_addr . iface_index; size {config.max_kernel_flows}; counter; }}
 chain {CHAIN} {{
 }}
}}
"""


def attach_script(config: RelayConfig, device: Device, master: Device | None) -> str:
    """Return what has the table look at what arrives at a device, after the filters that others have there."""
    table, chain = direct_table_name(config), _chain_of(device.index)
    # A bridge gives its ports' packets to the rules of `kernel_script` before it takes them for its own.
    for_us = f"ether daddr {master.address}" if master is not None else "meta pkttype unicast"
    # IPv4 without options, so that what is counted as a header is one.
    plain = f"meta length <= {LONGEST_PACKET} @nh,0,8 0x45 udp dport >= {config.lowest_port} udp length >= {_SHORTEST_DATAGRAM}"
    return f"""add chain netdev {table} {chain} {{ type filter hook ingress device "{device.name}" priority {_PRIORITY}; }}
flush chain netdev {table} {chain}
add rule netdev {table} {chain} {for_us} ether type ip {plain} {PLAIN_RTP} jump {CHAIN}
"""


def detach_script(config: RelayConfig, index: int) -> str:
    """Return what removes the chain of a device that is gone."""
    return f"delete chain netdev {direct_table_name(config)} {_chain_of(index)}\n"


def direct_rules(config: RelayConfig) -> tuple[Expressions, Expressions]:
    """Return the rules of `CHAIN`: most packets are rewritten and sent by the first, the second copies them before.

    Each search that finds something is counted, so there is one for each packet.
    """
    search = (
        load(_ENDS + _SOURCE, Header.NETWORK, _SOURCE_AT, 4),
        load(_ENDS + _DESTINATION, Header.NETWORK, _DESTINATION_AT, 4),
        load(_ENDS + _PORTS, Header.TRANSPORT, _PORTS_AT, 4),
        look_up(MAP, _ENDS, _NEW_ENDS),
    )
    send = (
        store(_NEW_ENDS + _SOURCE, Header.NETWORK, _SOURCE_AT, 8),
        store(_NEW_ENDS + _PORTS, Header.TRANSPORT, _PORTS_AT, 4),
        forward(_DEVICE, _GATEWAY),
    )
    copy = log(config.log_group, SAMPLE_OCTETS)
    return (*all_but_one_in(SAMPLED, _DRAWN), *search, *send), (*search, copy, *send)


def _chain_of(index: int) -> str:
    return f"from_{index}"
