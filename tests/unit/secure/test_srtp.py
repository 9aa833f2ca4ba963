"""Packets of a secured call: what the keys open, and what is forged, damaged or replayed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callflow.secure.sdes import Crypto, Keys, Suite
from callflow.secure.srtp import MAX_PACKET, MAX_SOURCES, SecureChannel, SrtpError
from mediarelay.rtp.packet import RtpPacket

RTCP = bytes.fromhex("80c90001 00000007".replace(" ", ""))


def crypto(octet: int, suite: Suite = Suite.AES_CM_128_80) -> Crypto:
    return Crypto(1, suite, bytes((octet,)) * suite.octets)


def ends(suite: Suite = Suite.AES_CM_128_80) -> tuple[SecureChannel, SecureChannel]:
    one, other = crypto(1, suite), crypto(2, suite)
    return SecureChannel(Keys(one, other)), SecureChannel(Keys(other, one))


def packet(sequence: int, ssrc: int = 7, payload: bytes = b"\x55" * 160) -> bytes:
    return bytes(RtpPacket(0, sequence, sequence * 160, ssrc, payload, marker=False))


@pytest.mark.parametrize("suite", list(Suite))
def test_both_directions_and_both_kinds_come_through(suite: Suite) -> None:
    caller, callee = ends(suite)
    for sender, receiver in ((caller, callee), (callee, caller)):
        sealed = sender.seal(packet(1), is_rtcp=False)
        assert sealed[:12] == packet(1)[:12]
        assert b"\x55" * 8 not in sealed
        assert receiver.open(sealed, is_rtcp=False) == packet(1)
        report = sender.seal(RTCP, is_rtcp=True)
        assert receiver.open(report, is_rtcp=True) == RTCP
    assert caller.refused == callee.refused == 0


def test_what_is_damaged_forged_or_replayed_is_counted_and_not_heard() -> None:
    caller, callee = ends()
    sealed = caller.seal(packet(1), is_rtcp=False)
    damaged = sealed[:-1] + bytes((sealed[-1] ^ 1,))
    forged = SecureChannel(Keys(crypto(3), crypto(4))).seal(packet(2), is_rtcp=False)
    assert callee.open(sealed, is_rtcp=False) == packet(1)
    hostile = [damaged, forged, sealed, packet(2), b"", sealed[:11], bytes(MAX_PACKET + 1)]
    for data in hostile:
        with pytest.raises(SrtpError):
            callee.open(data, is_rtcp=False)
    with pytest.raises(SrtpError):
        callee.open(RTCP, is_rtcp=True)
    assert callee.refused == len(hostile) + 1
    assert callee.open(caller.seal(packet(3), is_rtcp=False), is_rtcp=False) == packet(3)


def test_sequence_numbers_may_wrap_and_packets_may_overtake() -> None:
    caller, callee = ends()
    numbers = [65_533, 65_534, 65_535, 0, 1, 2]
    sealed = [caller.seal(packet(number), is_rtcp=False) for number in numbers]
    for at in (0, 2, 1, 4, 3, 5):
        assert callee.open(sealed[at], is_rtcp=False) == packet(numbers[at])


def test_after_a_change_of_keys_the_old_one_opens_what_was_on_its_way() -> None:
    caller, callee = ends()
    late = [caller.seal(packet(number), is_rtcp=False) for number in (1, 2, 3)]
    assert callee.open(late[0], is_rtcp=False) == packet(1)
    caller.agree(Keys(crypto(5), crypto(2)))
    callee.agree(Keys(crypto(2), crypto(5)))
    assert callee.open(late[1], is_rtcp=False) == packet(2)
    assert callee.open(caller.seal(packet(4), is_rtcp=False), is_rtcp=False) == packet(4)
    with pytest.raises(SrtpError):
        callee.open(late[2], is_rtcp=False)
    # Our own direction kept its key, and goes on.
    assert caller.open(callee.seal(packet(1), is_rtcp=False), is_rtcp=False) == packet(1)


@pytest.mark.parametrize("tag", [1, 2])
def test_the_same_keys_again_go_on_whatever_their_tag(tag: int) -> None:
    caller, callee = ends()
    first = caller.seal(packet(65_535), is_rtcp=False)
    assert callee.open(first, is_rtcp=False) == packet(65_535)
    assert callee.open(caller.seal(packet(0), is_rtcp=False), is_rtcp=False) == packet(0)
    caller.agree(Keys(replace(crypto(1), tag=tag), replace(crypto(2), tag=tag)))
    callee.agree(Keys(replace(crypto(2), tag=tag), replace(crypto(1), tag=tag)))
    with pytest.raises(SrtpError):
        callee.open(first, is_rtcp=False)
    # The count of wraps goes on: a sender that had begun anew would not be understood.
    assert callee.open(caller.seal(packet(1), is_rtcp=False), is_rtcp=False) == packet(1)


def test_a_peer_has_only_so_many_sources() -> None:
    caller, callee = ends()
    for ssrc in range(MAX_SOURCES):
        callee.open(caller.seal(packet(1, ssrc), is_rtcp=False), is_rtcp=False)
    with pytest.raises(SrtpError):
        callee.open(caller.seal(packet(1, 99), is_rtcp=False), is_rtcp=False)
    assert callee.open(caller.seal(packet(2, 5), is_rtcp=False), is_rtcp=False) == packet(2, 5)
