"""The rules by which the kernel forwards flows from device to device, past everything else.

Theory of operation. A packet that arrives at a device passes a chain there before anything else looks at it. If its
ends are in the map, it gets all of its new addresses and ports at once, with the class of service that all our packets
have, and is handed to the neighbour that the map names; routing, filters and connection tracking do not see it. Any
other packet goes on, to the rules of `script` or to our sockets: a flow that cannot be here loses nothing but speed.

nft reads one value from a map at a time, so nft only makes the table and the chains; `direct_rules` gives the two rules
that search the map, as the kernel's own expressions: one search, two writes.

Only packets meant for this machine are taken, by their hardware address: that of the device, or of the bridge that the
device is a port of. Frames with a VLAN tag are not taken, as the tag would leave with the packet: they come next to the
VLAN's own device, which has a chain of its own.
"""

from __future__ import annotations

from mediarelay.config import RelayConfig
from mediarelay.kernel.routes import Device
from mediarelay.kernel.rules import Expressions, Header, all_but_one_in, combine, forward, load, log, look_up, store
from mediarelay.kernel.script import PLAIN_RTP, SAMPLE_OCTETS, SAMPLED, table_name

CHAIN, MAP = "to_far", "m_direct"
LONGEST_PACKET = 1_280
"""Octets with all headers; a device that we use passes this much without fragmenting it."""
_SHORTEST_DATAGRAM = 26
"""Octets with the UDP header. A shorter packet comes in a padded frame, and the padding would be counted."""
_PRIORITY = 100
# The registers of the rules: what a packet has, what it gets, and where it goes.
_ENDS, _NEW_ENDS, _GATEWAY, _DEVICE, _DRAWN, _SERVICE = 0, 4, 7, 8, 12, 13
_SOURCE, _DESTINATION, _PORTS = range(3)
# Offsets of the source in the IPv4 header, which the destination follows, and of the ports in UDP's.
_SOURCE_AT, _DESTINATION_AT, _PORTS_AT = 12, 16, 0
_OTHER_BITS = 0xFF03
"""Of the first two octets of an IPv4 header all but those of the class of service."""


def direct_table_name(config: RelayConfig) -> str:
    """Return the name of a relay's table at the devices."""
    return f"{table_name(config)}_direct"


def delete_direct_script(config: RelayConfig) -> str:
    """Return the script that removes the table, whether it exists or not."""
    name = direct_table_name(config)
    return f"table netdev {name}\ndelete table netdev {name}\n"


def create_direct_script(config: RelayConfig) -> str:
    """Return the script that makes the table, empty and at no device, replacing an existing one.

    The map leads from two addresses and two ports to two others, the next hop and its device.
    """
    ends = "ipv4_addr . ipv4_addr . mark"
    return f"""{delete_direct_script(config)}table netdev {direct_table_name(config)} {{
 map {MAP} {{ type {ends} : {ends} . ipv4_addr . iface_index; size {config.max_kernel_flows}; counter; }}
 chain {CHAIN} {{
 }}
}}
"""


def attach_script(config: RelayConfig, device: Device, master: Device | None) -> str:
    """Return the script that lets the table look at what arrives at a device, after the filters that others have there."""
    table, chain = direct_table_name(config), _chain_of(device.index)
    # A bridge passes its ports' packets through the rules of `script` before it takes them for its own.
    for_us = f"ether daddr {master.address}" if master is not None else "meta pkttype unicast"
    # IPv4 without options, so that the headers have a known length and are not counted as payload.
    plain = f"meta length <= {LONGEST_PACKET} @nh,0,8 0x45 udp dport >= {config.lowest_port} udp length >= {_SHORTEST_DATAGRAM}"
    return f"""add chain netdev {table} {chain} {{ type filter hook ingress device "{device.name}" priority {_PRIORITY}; }}
flush chain netdev {table} {chain}
add rule netdev {table} {chain} {for_us} ether type ip {plain} {PLAIN_RTP} jump {CHAIN}
"""


def detach_script(config: RelayConfig, index: int) -> str:
    """Return the script that removes the chain of a device that is gone."""
    return f"delete chain netdev {direct_table_name(config)} {_chain_of(index)}\n"


def direct_rules(config: RelayConfig) -> tuple[Expressions, Expressions]:
    """Return the rules of `CHAIN`: the first rewrites and sends most packets, the second copies the others before it does so.

    Each successful search is counted, so each packet may be searched for once only.
    """
    search = (
        load(_ENDS + _SOURCE, Header.NETWORK, _SOURCE_AT, 4),
        load(_ENDS + _DESTINATION, Header.NETWORK, _DESTINATION_AT, 4),
        load(_ENDS + _PORTS, Header.TRANSPORT, _PORTS_AT, 4),
        look_up(MAP, _ENDS, _NEW_ENDS),
    )
    send = (
        load(_SERVICE, Header.NETWORK, 0, 2),
        combine(_SERVICE, _OTHER_BITS.to_bytes(2, "big"), bytes((0, config.dscp << 2))),
        store(_SERVICE, Header.NETWORK, 0, 2),
        store(_NEW_ENDS + _SOURCE, Header.NETWORK, _SOURCE_AT, 8),
        store(_NEW_ENDS + _PORTS, Header.TRANSPORT, _PORTS_AT, 4),
        forward(_DEVICE, _GATEWAY),
    )
    copy = log(config.log_group, SAMPLE_OCTETS)
    return (*all_but_one_in(SAMPLED, _DRAWN), *search, *send), (*search, copy, *send)


def _chain_of(index: int) -> str:
    return f"from_{index}"
