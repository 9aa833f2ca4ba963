"""What holds of a relayed call on either plane, between hosts of their own: who is heard by whom, packet by packet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from daemonkit.address import Address
from tests.support.media_lab import (
    CALLER,
    ENGINE,
    INSIDE_PORTS,
    MOVED_CALLER,
    OUTSIDE_PORTS,
    RELAY_INSIDE,
    RELAY_OUTSIDE,
    STRANGER,
    MediaLab,
    media_lab,
)
from tests.support.ng import Endpoint, NgClient, media_of, packet

pytestmark = pytest.mark.daemons

EXPEDITED = 46
REPORT = b"\x80\xc9\0\1\0\0\0\7"
FROM_CALLER = {"received-from": ["IP4", CALLER]}


@pytest.fixture(scope="module", params=["userspace", "kernel", "direct"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaLab]:
    with media_lab(tmp_path_factory.mktemp(f"lab-{request.param}"), request.param) as running:
        yield running
        assert running.stop() == 0
        assert running.rules() == "", "a drained relay leaves nothing in the kernel"


class Call:
    """A call between a caller and a node, with the ends' sockets and the relay's ports."""

    def __init__(self, lab: MediaLab, name: str) -> None:
        self.lab, self.name = lab, name
        self._ends = ExitStack()
        self.ng: NgClient = self._ends.enter_context(lab.ng())
        self.caller = self.open("caller", CALLER)
        self.engine = self.open("engine", ENGINE)
        self.said = 0
        self.inside: Address = self.ng.offer(name, self.caller.sdp(), **FROM_CALLER)
        self.outside: Address = self.ng.answer(name, self.engine.sdp())

    def __enter__(self) -> Call:
        return self

    def __exit__(self, *_: object) -> None:
        self.ng.delete(self.name)
        self._ends.close()

    def open(self, host: str, address: str, port: int = 0) -> Endpoint:
        """Return a socket that is closed with the call."""
        return self._ends.enter_context(self.lab.endpoint(host, address, port))

    def talk(self) -> None:
        """Send one packet each way and see that both arrive, from the right place, as they were."""
        self.said += 1
        there, back = packet(self.said, os.urandom(160)), packet(self.said, os.urandom(160), ssrc=9)
        self.caller.snd(self.outside, there)
        assert self.engine.rcv() == (there, self.inside)
        self.engine.snd(self.inside, back)
        assert self.caller.rcv() == (back, self.outside)

    def settle(self) -> None:
        """Talk until the plane that the lab is for has the call."""
        self.lab.until_carried(2, self.talk)

    def reoffer(self, caller: Endpoint, *lines: str, **fields: object) -> None:
        """Send a re-INVITE's offer of the caller and the answer of the node."""
        fields = {"to-tag": "b", **FROM_CALLER, **fields}
        assert self.ng.offer(self.name, caller.sdp(*lines), **fields) == self.inside
        assert self.ng.answer(self.name, self.engine.sdp()) == self.outside

    def totals(self) -> dict[bytes, int]:
        """Return what the relay has counted of RTP."""
        totals = self.ng.command("query", call_id=self.name)[b"totals"]
        assert isinstance(totals, dict)
        rtp: dict[bytes, int] = totals[b"RTP"]
        return rtp


def test_every_packet_arrives_and_is_counted(lab: MediaLab) -> None:
    with Call(lab, "exact") as call:
        call.settle()
        for _ in range(100):
            call.talk()
        assert call.said > 100
        totals = call.ng.delete("exact")[b"totals"]
        assert isinstance(totals, dict)
        assert totals[b"RTP"] == {b"packets": 2 * call.said, b"bytes": 2 * 172 * call.said, b"errors": 0}


def test_the_relay_goes_first_only_where_packets_pass_through_it(lab: MediaLab) -> None:
    assert lab.goes_first() is (lab.plane == "userspace")


def test_rtcp_and_what_is_no_plain_rtp_pass_beside_the_kernel(lab: MediaLab) -> None:
    with Call(lab, "beside") as call:
        call.settle()
        with_extension = b"\x90" + packet(1)[1:12] + b"\xbe\xde\0\1\0\0\0\0" + bytes(160)
        call.caller.snd(call.outside, with_extension)
        assert call.engine.rcv() == (with_extension, call.inside)
        reporter = call.open("caller", CALLER)
        heard = call.open("engine", ENGINE, call.engine.address[1] + 1)
        reporter.snd((call.outside[0], call.outside[1] + 1), REPORT)
        assert heard.rcv() == (REPORT, (call.inside[0], call.inside[1] + 1))
        call.caller.snd(call.outside, REPORT)
        assert heard.rcv()[0] == REPORT
        call.caller.snd(call.outside, b"\x40junk")
        call.talk()


def test_every_packet_leaves_with_one_class_of_service_whatever_it_came_with(lab: MediaLab) -> None:
    with Call(lab, "served") as call:
        reporter = call.open("caller", CALLER)
        heard = call.open("engine", ENGINE, call.engine.address[1] + 1)
        for end in (call.caller, call.engine, reporter):
            end.serve(34)
        for settled in (False, True):
            if settled:
                call.settle()
            call.said += 1
            there, back = packet(call.said), packet(call.said, ssrc=9)
            call.caller.snd(call.outside, there)
            assert call.engine.rcv_served() == (there, EXPEDITED)
            call.engine.snd(call.inside, back)
            assert call.caller.rcv_served() == (back, EXPEDITED)
            reporter.snd((call.outside[0], call.outside[1] + 1), REPORT)
            assert heard.rcv_served() == (REPORT, EXPEDITED)


def test_a_refused_reinvite_changes_nothing(lab: MediaLab) -> None:
    with Call(lab, "refused") as call:
        call.settle()
        board = call.open("caller", MOVED_CALLER)
        fields: dict[str, object] = {"from-tag": "a", "to-tag": "b", "direction": ["external", "internal"]}
        fields |= {"received-from": ["IP4", MOVED_CALLER], "sdp": board.sdp()}
        reply = call.ng.command("offer", call_id="refused", **fields)
        assert reply[b"sipuri-provisional"] == 1
        for number in range(20):
            board.snd(call.outside, packet(number, b"too early"))
            call.talk()
        assert call.ng.command("sipuri-withdraw", call_id="refused", from_tag="a") == {b"result": b"ok"}
        for _ in range(20):
            call.talk()
        call.settle()
        assert (board.waiting(), call.engine.waiting()) == ([], [])


def test_a_stranger_hears_nothing_and_is_not_heard(lab: MediaLab) -> None:
    ports = [(RELAY_OUTSIDE, port) for port in range(*OUTSIDE_PORTS)] + [(RELAY_INSIDE, port) for port in range(*INSIDE_PORTS)]
    with lab.endpoint("stranger", STRANGER) as thief:

        def spray(number: int) -> None:
            for place in ports:
                thief.snd(place, packet(number, b"stolen", ssrc=(7, 9)[number % 2]))
                thief.snd(place, REPORT)

        spray(0)
        with Call(lab, "private") as call:
            spray(1)
            call.talk()
            spray(2)
            call.settle()
            spray(call.said)
            for _ in range(20):
                call.talk()
            spray(call.said + 1)
            call.talk()
            assert (call.caller.waiting(), call.engine.waiting()) == ([], [])
        assert thief.waiting() == []


def test_a_new_port_of_the_phones_router_is_followed(lab: MediaLab) -> None:
    with Call(lab, "rebound") as call:
        call.settle()
        old, call.caller = call.caller, call.open("caller", CALLER)
        sent, heard = list[bytes](), list[bytes]()

        def speak() -> bool:
            """Send from the new port until the node hears it."""
            sent.append(packet(call.said + len(sent) + 1))
            call.caller.snd(call.outside, sent[-1])
            heard.extend(call.engine.waiting())
            return bool(heard)

        lab.until(speak, what="the node hears the new port")
        while heard[-1] != sent[-1]:
            heard.append(call.engine.rcv()[0])
        assert heard == sent[-len(heard) :], "from the take-over on nothing is lost"
        call.said += len(sent)
        for _ in range(3):
            call.talk()
        call.settle()
        call.engine.snd(call.inside, packet(call.said + 1, ssrc=9))
        assert call.caller.rcv()[0] == packet(call.said + 1, ssrc=9)
        assert old.waiting() == []


def test_hold_and_resume_lose_nothing(lab: MediaLab) -> None:
    with Call(lab, "held") as call:
        call.settle()
        call.reoffer(call.caller, "a=sendonly")
        before = call.totals()
        call.caller.snd(call.outside, packet(call.said + 1, b"music"))
        assert call.engine.rcv() == (packet(call.said + 1, b"music"), call.inside)
        call.reoffer(call.caller, "a=sendrecv")
        call.said += 1
        call.talk()
        assert before[b"packets"] <= call.totals()[b"packets"]
        totals = call.ng.delete("held")[b"totals"]
        assert isinstance(totals, dict)
        assert totals[b"RTP"][b"packets"] == 2 * call.said - 1


def test_a_new_address_needs_a_reinvite(lab: MediaLab) -> None:
    with Call(lab, "moved") as call:
        call.settle()
        moved = call.open("caller", MOVED_CALLER)
        for number in range(20):
            moved.snd(call.outside, packet(number, b"too early"))
        call.talk()
        old = call.caller
        call.reoffer(moved, **{"received-from": ["IP4", MOVED_CALLER]})
        call.caller = moved
        for _ in range(10):
            call.talk()
        call.settle()
        old.snd(call.outside, packet(1, b"too late"))
        call.talk()
        assert (old.waiting(), call.engine.waiting()) == ([], [])


def test_a_transfer_by_reinvite_moves_the_node(lab: MediaLab) -> None:
    with Call(lab, "transferred") as call:
        call.settle()
        old, call.engine = call.engine, call.open("engine", ENGINE)
        offered = call.ng.command(
            "offer", call_id="transferred", from_tag="b", to_tag="a", sdp=call.engine.sdp(), direction=["internal", "external"]
        )
        assert media_of(offered) == call.outside
        answered = call.ng.command(
            "answer", call_id="transferred", from_tag="b", to_tag="a", sdp=call.caller.sdp(), **{"received-from": ["IP4", CALLER]}
        )
        assert media_of(answered) == call.inside
        for _ in range(10):
            call.talk()
        call.settle()
        assert old.waiting() == []


def test_early_media_is_heard_from_its_first_packet(lab: MediaLab) -> None:
    with Call(lab, "early") as call:
        for number in range(5):
            call.engine.snd(call.inside, packet(number, b"ringing", ssrc=9))
            assert call.caller.rcv() == (packet(number, b"ringing", ssrc=9), call.outside)
        call.settle()


def test_a_deleted_call_is_silent_at_once(lab: MediaLab) -> None:
    with Call(lab, "over") as call:
        call.settle()
        call.ng.delete("over")
        for number in range(10):
            call.caller.snd(call.outside, packet(call.said + number))
            call.engine.snd(call.inside, packet(call.said + number, ssrc=9))
        call.ng.command("ping")
        with Call(lab, "next") as other:
            other.talk()
        assert (call.caller.waiting(), call.engine.waiting()) == ([], [])
        assert lab.metrics()["sipuri_relay_kernel_flows"] == 0
