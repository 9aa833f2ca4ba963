"""Places of connections: their counts come back to nothing, whatever order strangers and callers come and go in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemonkit.address import Address
from sipproxy.aio import places
from sipproxy.aio.places import NoRoomError, Places

ADDRESSES: list[Address] = [(f"198.51.{network}.{host}", port) for network in (100, 101) for host in (1, 2) for port in range(5060, 5064)]


@given(st.lists(st.tuples(st.sampled_from(ADDRESSES), st.sampled_from(["come", "know", "leave"]))))
def test_no_cap_is_passed_and_no_caller_leaves_for_another(steps: list[tuple[Address, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "MAX_CONNECTIONS", 6)
        patch.setattr(places, "MAX_CONNECTIONS_PER_SOURCE", 3)
        patch.setattr(places, "MAX_STRANGERS_PER_NETWORK", 4)
        held, callers, there = Places(), set[Address](), list[Address]()
        for address, step in steps:
            if step == "come" and address not in there:
                come(held, address, callers, there)
            elif address in there and step == "know":
                held.know(address)
                callers.add(address)
            elif address in there and step == "leave":
                held.leave(address)
                there.remove(address)
                callers.discard(address)
            check(held, callers, there)
        for address in there:
            held.leave(address)
        assert (len(held), held._per_source, held._of_source, held._of_network, held._strangers) == (0, {}, {}, {}, {})


def come(held: Places, address: Address, callers: set[Address], there: list[Address]) -> None:
    try:
        leaving = held.who_leaves(address, trusted=False)
    except NoRoomError:
        assert callers
        return
    if leaving is not None:
        assert leaving not in callers
        # The oldest of some group that the new one belongs to, or of all.
        assert leaving == min((held for held in there if held not in callers and shares(held, address, leaving)), key=there.index)
        held.leave(leaving)
        there.remove(leaving)
    held.take(address, trusted=False)
    there.append(address)


def shares(held: Address, address: Address, leaving: Address) -> bool:
    """Return whether a connection is of the narrowest group that the new one and the leaving one share."""
    if leaving[0] == address[0]:
        return held[0] == address[0]
    if leaving[0].rpartition(".")[0] == address[0].rpartition(".")[0]:
        return held[0].rpartition(".")[0] == address[0].rpartition(".")[0]
    return True


def check(held: Places, callers: set[Address], there: list[Address]) -> None:
    assert len(held) == len(there) <= 6
    for host, _ in there:
        assert sum(address[0] == host for address in there) <= 3
        network = host.rpartition(".")[0]
        assert sum(address[0].startswith(f"{network}.") and address not in callers for address in there) <= 4
