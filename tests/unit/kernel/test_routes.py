from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.kernel.messages import Message, NetlinkError, attribute
from mediarelay.kernel.routes import (
    DEVICE_AND_ROUTE_GROUPS,
    POLICY_GROUPS,
    Device,
    Hop,
    ask_devices,
    ask_policies,
    ask_route,
    is_policy,
    read_device,
    read_hop,
)

DATA = Path(__file__).parents[2] / "data" / "netlink"
NEW_LINK, DELETED_LINK, NEW_ROUTE, DELETED_ROUTE = 16, 17, 24, 25
UNICAST, UNREACHABLE = 1, 7
ETHERNET, TUNNEL = 1, 0xFFFE
UP, LOOPBACK = 0x1, 0x8
NEIGHBOUR, GATEWAY = "192.0.2.7", "192.0.2.254"
OUT = attribute(4, pack("=I", 4))


def found_in(name: str) -> list[Message]:
    return list(Message.parse_all((DATA / name).read_bytes()))


def link(*fields: bytes, hardware: int = ETHERNET, flags: int = UP, kind: int = NEW_LINK) -> Message:
    return Message(kind, 0, 1, pack("=BxHiII", 0, hardware, 4, flags, 0) + b"".join(fields))


def route(*fields: bytes, kind: int = UNICAST, message: int = NEW_ROUTE) -> Message:
    return Message(message, 0, 1, bytes((2, 32, 0, 0, 254, 0, 0, kind)) + bytes(4) + b"".join(fields))


def test_the_questions() -> None:
    # RTM_GETLINK, REQUEST | DUMP, of no family and for no device.
    assert ask_devices(1) == bytes.fromhex("20000000 1200 0103 01000000 00000000  00 00 0000 00000000 00000000 00000000")
    # RTM_GETROUTE, REQUEST; AF_INET, 32 bits of destination; RTA_DST.
    assert ask_route(NEIGHBOUR, 2) == bytes.fromhex(
        "24000000 1a00 0100 02000000 00000000  02 20 00 00 00 00 00 00 00000000  08000100 c0000207"
    )
    # XFRM_MSG_GETPOLICY, REQUEST | DUMP; an empty xfrm_userpolicy_id.
    assert ask_policies(3) == bytes.fromhex("50000000 1500 0103 03000000 00000000") + bytes(64)


def test_the_groups_that_report_changes() -> None:
    # RTNLGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE; XFRMNLGRP_POLICY. The first group is bit 0.
    assert {number for number in range(1, 33) if DEVICE_AND_ROUTE_GROUPS >> number - 1 & 1} == {1, 5, 7, 8}
    assert {number for number in range(1, 33) if POLICY_GROUPS >> number - 1 & 1} == {4}


def test_the_devices_of_a_real_kernel() -> None:
    assert [read_device(message) for message in found_in("devices.bin")] == [
        None,  # the loopback
        Device(2, "t0", is_up=False, is_ethernet=False, mtu=1500, address="", master=0),
        Device(3, "v1", is_up=False, is_ethernet=True, mtu=1500, address="ca:33:5e:ff:de:84", master=0),
        Device(4, "v0", is_up=True, is_ethernet=True, mtu=1400, address="9e:fc:75:a6:10:c6", master=0),
        None,  # the end of the list
    ]


@pytest.mark.parametrize(
    ("message", "device"),
    [
        (link(attribute(3, b"lo\0"), flags=UP | LOOPBACK), None),
        (link(attribute(3, b"d0\0"), kind=DELETED_LINK), None),
        (link(attribute(4, pack("=I", 1500))), None),
        (link(attribute(3, b"d0\0"), attribute(4, pack("=I", 9000)), hardware=TUNNEL), Device(4, "d0", True, False, 9000, "", 0)),
        (link(attribute(3, b"d0\0"), flags=0x1002), Device(4, "d0", False, True, 0, "", 0)),
        (link(attribute(3, b"d\xff\0"), attribute(4, b"\x05")), Device(4, "d\N{REPLACEMENT CHARACTER}", True, True, 5, "", 0)),
        (
            link(attribute(3, b"d0\0"), attribute(1, b"\2\0\0\0\0\xaf"), attribute(10, pack("=I", 9))),
            Device(4, "d0", True, True, 0, "02:00:00:00:00:af", 9),
        ),
    ],
)
def test_a_device_needs_a_name_and_is_not_the_loopback(message: Message, device: Device | None) -> None:
    assert read_device(message) == device


@pytest.mark.parametrize(
    ("name", "address", "hop"),
    [
        ("route_link.bin", NEIGHBOUR, Hop(4, NEIGHBOUR)),
        ("route_gateway.bin", "198.51.100.4", Hop(4, GATEWAY)),
        ("route_local.bin", "192.0.2.1", None),
        ("route_broadcast.bin", "192.0.2.255", None),
        ("route_ipv6_gateway.bin", "10.1.2.3", None),
        ("route_encapsulated.bin", "10.7.1.1", None),
    ],
)
def test_the_routes_of_a_real_kernel(name: str, address: str, hop: Hop | None) -> None:
    (message,) = found_in(name)
    assert read_hop(message, address) == hop


@pytest.mark.parametrize(
    ("message", "hop"),
    [
        (route(OUT), Hop(4, NEIGHBOUR)),
        (route(OUT, attribute(5, b"\xc0\0\2\xfe")), Hop(4, GATEWAY)),
        (route(), None),
        (route(attribute(5, b"\xc0\0\2\xfe")), None),
        (route(OUT, kind=UNREACHABLE), None),
        (route(OUT, attribute(18, pack("=H16x", 10))), None),
        (route(OUT, attribute(22, b"")), None),
        (route(OUT, message=DELETED_ROUTE), None),
    ],
)
def test_only_a_way_over_ipv4_with_a_device_is_plain(message: Message, hop: Hop | None) -> None:
    assert read_hop(message, NEIGHBOUR) == hop


def test_the_broken_twins_are_refused() -> None:
    with pytest.raises(NetlinkError, match="A netlink attribute is truncated"):
        list(map(read_device, found_in("devices_broken.bin")))
    for name in ("route_link_broken.bin", "route_gateway_broken.bin"):
        (message,) = found_in(name)
        with pytest.raises(NetlinkError, match="A netlink attribute is truncated"):
            read_hop(message, NEIGHBOUR)


def test_an_ipsec_policy_of_a_real_kernel() -> None:
    assert [is_policy(message) for message in found_in("policies.bin")] == [True, False]
    assert [is_policy(message) for message in found_in("route_link.bin")] == [False]


@given(st.sampled_from([NEW_LINK, NEW_ROUTE]), st.binary(max_size=80))
def test_any_octets_are_something_or_refused(kind: int, payload: bytes) -> None:
    message = Message(kind, 0, 1, payload)
    try:
        device, hop = read_device(message), read_hop(message, NEIGHBOUR)
    except NetlinkError:
        return
    assert device is None or (kind == NEW_LINK and len(payload) > 16)
    assert hop is None or (kind == NEW_ROUTE and len(payload) > 12)


FIELDS = st.lists(st.tuples(st.sampled_from([1, 3, 4, 5, 10, 18, 22]), st.binary(max_size=6)), max_size=5)


@given(FIELDS, st.sampled_from([UNICAST, UNREACHABLE]))
def test_fields_of_any_width_are_a_device_and_a_way_or_none(fields: list[tuple[int, bytes]], kind: int) -> None:
    raw = [attribute(number, value) for number, value in fields]
    has = dict(fields)
    device, hop = read_device(link(*raw)), read_hop(route(*raw, kind=kind), NEIGHBOUR)
    assert (device is not None) == (3 in has)
    assert (hop is not None) == (kind == UNICAST and 4 in has and 18 not in has and 22 not in has)
    if hop is not None:
        assert (hop.gateway == NEIGHBOUR) == (len(has.get(5, b"")) != 4 or has[5] == b"\xc0\0\2\7")
