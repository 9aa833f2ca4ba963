"""Items 21 and 26 to 28 of the threat list against a real relay, between hosts of their own.

Items 24 and 25 are in `test_media_planes.py`, 29 in `tests/unit/relay/test_one_way.py`, `test_relay.py` and
`test_offload.py`; what the proxy says when the relay has no ports is in `tests/unit/proxy/test_proxy_transports.py`.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from daemonkit.address import Address
from mediarelay.core.allocation import MAX_FAILURES
from mediarelay.core.limits import MAX_STREAMS
from mediarelay.core.ports import QUIET_SECONDS
from tests.integration.test_media_faults import Calls
from tests.integration.test_media_planes import FROM_CALLER, REPORT, Call
from tests.soak.media_sessions import PORTS, Soak
from tests.support.media_lab import CALLER, ENGINE, RELAY_INSIDE, RELAY_OUTSIDE, STRANGER, MediaLab, media_lab
from tests.support.ng import Endpoint, NgClient, packet

pytestmark = pytest.mark.daemons

FULL = {b"result": b"error", b"error-reason": b"Ran out of ports."}
PAIRS = 4
TINY = {"SIPURI_RTP_PORTS": "30000-30007", "SIPURI_RTP_INTERNAL_PORTS": "40002-40017"}
DISK_OCTETS = 8 << 20
WATCH = f"""table netdev watch {{
 counter elsewhere {{ }}
 chain leaving {{ type filter hook egress devices = {{ outside, engine }} priority 0;
  ip saddr {{ {RELAY_OUTSIDE}, {RELAY_INSIDE} }} ip daddr != {{ {CALLER}, {ENGINE} }} udp sport >= 30000 counter name elsewhere
 }}
}}"""


@pytest.fixture(scope="module", params=["userspace", "direct"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaLab]:
    with media_lab(tmp_path_factory.mktemp(f"threats-{request.param}"), request.param) as running:
        yield running
        assert "Traceback" not in running.log()


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[MediaLab]:
    """A relay with four pairs of ports outside."""
    with media_lab(tmp_path, "direct", **TINY) as running:
        yield running
        assert "Traceback" not in running.log()


def nft(lab: MediaLab, *words: str) -> str:
    command = ["ip", "netns", "exec", lab.hosts["relay"], "nft", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextmanager
def nothing_elsewhere(lab: MediaLab) -> Iterator[None]:
    """See that the relay's media ports send to nobody but the caller and the node meanwhile."""
    nft(lab, WATCH)
    try:
        yield
        assert "packets 0 bytes 0" in nft(lab, "list", "counter", "netdev", "watch", "elsewhere")
    finally:
        nft(lab, "delete", "table", "netdev", "watch")


def pairs(lab: MediaLab, side: str = "external") -> dict[str, float]:
    """Return how many pairs of a side are in each state."""
    page = lab.metrics()
    return {state: page[f'sipuri_relay_port_pairs{{side="{side}",state="{state}"}}'] for state in ("free", "in_use", "quarantined")}


def sockets(lab: MediaLab) -> int:
    """Return how many sockets of all kinds the relay's process has."""
    return sum(name.startswith("socket:") for name in lab.open_files())


def ask(ng: NgClient, call: str, sdp: bytes) -> dict[bytes, object]:
    """Make an offer from outside and return the whole reply."""
    return ng.command("offer", call_id=call, from_tag="a", sdp=sdp, direction=["external", "internal"], **FROM_CALLER)


@pytest.fixture(scope="module")
def soaked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soak]:
    with media_lab(tmp_path_factory.mktemp("soaked"), "direct", **PORTS) as running:
        yield Soak.play(running, 2_000)
        assert running.stop() == 0
        assert running.rules() == ""


# 21: no ports, no descriptors, no disk.


def test_item_21_two_thousand_short_sessions(soaked: Soak) -> None:
    assert soaked.tally.wrong == []
    assert soaked.tally.sessions == soaked.sessions


def test_item_21_an_empty_pool_is_said_and_comes_back_whole(tiny: MediaLab) -> None:
    with tiny.ng() as ng, tiny.endpoint("caller", CALLER) as caller:
        for turn in range(2):
            for number in range(PAIRS):
                tiny.until(lambda name=f"{turn}-{number}": ask(ng, name, caller.sdp()) != FULL, what="a port is free again")  # type: ignore[misc]  # it binds the name
            assert ask(ng, "one-too-many", caller.sdp()) == FULL
            assert pairs(tiny)["in_use"] == PAIRS
            for number in range(PAIRS):
                ng.delete(f"{turn}-{number}")
        assert pairs(tiny)["in_use"] == 0
        assert sum(pairs(tiny).values()) == PAIRS
        assert sum(pairs(tiny, "internal").values()) == 2 * PAIRS


def test_item_21_without_descriptors_calls_are_refused_and_nothing_leaks(tiny: MediaLab) -> None:
    assert tiny.process is not None
    process = tiny.process.pid
    with tiny.ng() as ng, tiny.endpoint("caller", CALLER) as caller, tiny.endpoint("engine", ENGINE) as engine:
        inside = ng.offer("alive", caller.sdp(), **FROM_CALLER)
        outside = ng.answer("alive", engine.sdp())
        before, page = sockets(tiny), tiny.metrics()
        highest = max(int(name) for name in os.listdir(f"/proc/{process}/fd"))
        _, hard = resource.prlimit(process, resource.RLIMIT_NOFILE)
        # Room for one pair: the outside binds, the inside does not.
        resource.prlimit(process, resource.RLIMIT_NOFILE, (highest + 3, hard))
        assert ask(ng, "refused", caller.sdp()) == FULL
        resource.prlimit(process, resource.RLIMIT_NOFILE, (hard, hard))
        tried = tiny.metrics()["sipuri_relay_bind_failures_total"] - page["sipuri_relay_bind_failures_total"]
        assert tried <= MAX_FAILURES + 1, "one offer does not use up a pool"
        tiny.until(lambda: tiny.log().count("no_media_socket") == 1, what="the log says so")
        caller.snd(outside, packet(1))
        assert engine.rcv() == (packet(1), inside)
        assert (pairs(tiny)["in_use"], pairs(tiny, "internal")["in_use"]) == (1, 1)
        tiny.until(lambda: sockets(tiny) == before + 2, what="only the pair that was bound has sockets, and rests")
        assert tiny.metrics()["sipuri_relay_sockets"] == page["sipuri_relay_sockets"] + 2
        tiny.until(lambda: ask(ng, "later", caller.sdp()) != FULL, what="ports that did not bind are tried again")
        ng.delete("later")
        ng.delete("alive")
        assert [sum(pairs(tiny, side).values()) for side in ("external", "internal")] == [PAIRS, 2 * PAIRS]
        assert tiny.log().count("no_media_socket") == 1


def test_item_21_a_full_disk_costs_no_call(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_OCTETS}", "tmpfs", str(state)], check=True)
    try:
        with media_lab(state, "direct") as lab, ExitStack() as ends:
            calls = Calls(lab, 2, ends)
            lab.until_carried(4, calls.talk)
            fill(state / "filling")
            with ends.enter_context(lab.ng()) as ng, lab.endpoint("caller", CALLER) as caller:
                for number in range(20):
                    assert ask(ng, f"more-{number}", caller.sdp())[b"result"] == b"ok"
                calls.talk()
                calls.ng.delete("call-1")
                (state / "filling").unlink()
                for number in range(20):
                    ng.delete(f"more-{number}")
            calls.said += 1
            lab.until(lambda: "journal_written_again" in lab.log(), what="the journal is written again")
            lab.kill()
            lab.start()
            assert ng_list(lab) == [b"call-0"]
            assert lab.metrics()["sipuri_relay_kernel_flows"] == 2
            assert lab.log().count("journal_not_written") == lab.log().count("journal_written_again") == 1
            assert "Traceback" not in lab.log()
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def ng_list(lab: MediaLab) -> object:
    with lab.ng() as ng:
        return ng.command("list")[b"calls"]


# 26: descriptions that lie.


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "0.1.2.3", "10.0.0.9", "127.0.0.1", "169.254.169.254", "192.168.1.5", "224.0.0.1", "239.255.1.2", "255.255.255.255"]
    + [RELAY_OUTSIDE, RELAY_INSIDE, STRANGER],
)
def test_item_26_a_caller_who_lies_makes_nobody_hear_us(lab: MediaLab, host: str) -> None:
    with Call(lab, "other") as other, lab.ng() as ng, lab.endpoint("caller", CALLER) as caller, lab.endpoint("engine", ENGINE) as engine:
        port = {RELAY_OUTSIDE: other.outside[1], RELAY_INSIDE: other.inside[1]}.get(host, 5004)
        with nothing_elsewhere(lab):
            shown = ng.offer("lie", caller.sdp(f"a=rtcp:{port + 1} IN IP4 {host}", host=host, port=port), **FROM_CALLER)
            assert shown[0] == ("0.0.0.0" if host == "0.0.0.0" else RELAY_INSIDE), "only a hold is passed on"
            inside = (RELAY_INSIDE, shown[1])
            outside = ng.answer("lie", engine.sdp())
            for number in range(20):
                engine.snd(inside, packet(number, ssrc=9))
                engine.snd((RELAY_INSIDE, inside[1] + 1), REPORT)
            # Where its SIP comes from it may speak, and is heard from then on.
            caller.snd(outside, packet(1))
            assert engine.rcv() == (packet(1), inside)
            engine.snd(inside, packet(20, ssrc=9))
            # Before it may come what the relay had not read yet when the caller spoke.
            while (heard := caller.rcv()) != (packet(20, ssrc=9), outside):
                assert heard[1] == outside
            other.talk()
        ng.delete("lie")
        assert (other.caller.waiting(), other.engine.waiting()) == ([], [])


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.1.5", "224.0.0.1", "255.255.255.255", RELAY_OUTSIDE, RELAY_INSIDE])
def test_item_26_nor_does_one_who_forges_his_address_too(lab: MediaLab, host: str) -> None:
    with Call(lab, "other") as other, lab.ng() as ng, lab.endpoint("engine", ENGINE) as engine:
        port = {RELAY_OUTSIDE: other.outside[1], RELAY_INSIDE: other.inside[1]}.get(host, 5004)
        forged = other.caller.sdp(host=host, port=port)
        with nothing_elsewhere(lab):
            inside = ng.offer("forged", forged, **{"received-from": ["IP4", host]})
            ng.answer("forged", engine.sdp())
            for number in range(20):
                engine.snd(inside, packet(number, ssrc=9))
            other.talk()
        ng.delete("forged")
        assert (other.caller.waiting(), other.engine.waiting()) == ([], [])


@pytest.mark.parametrize("host", ["224.0.0.1", "255.255.255.255", RELAY_OUTSIDE, RELAY_INSIDE])
def test_item_26_not_even_a_node_makes_a_loop(lab: MediaLab, host: str) -> None:
    with Call(lab, "other") as other, lab.ng() as ng, lab.endpoint("caller", CALLER) as caller, lab.endpoint("engine", ENGINE) as engine:
        port = {RELAY_OUTSIDE: other.outside[1], RELAY_INSIDE: other.inside[1]}.get(host, 5004)
        with nothing_elsewhere(lab):
            ng.offer("loop", caller.sdp(), **FROM_CALLER)
            outside = ng.answer("loop", engine.sdp(host=host, port=port))
            for number in range(20):
                caller.snd(outside, packet(number))
            other.talk()
        ng.delete("loop")
        assert (other.caller.waiting(), other.engine.waiting()) == ([], [])


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("RTP/AVP 0 101", "", b"A media line is malformed."),
        ("m=audio ", "m=audio 7", b"A port in the session description is malformed."),
        ("c=IN IP4", "c=IN IP6", b"The media address is IPv6, which is not supported."),
        ("t=0 0", "t=0 0\r\n" + "a=x\r\n" * 2000, b"The session description has too many lines."),
    ],
)
def test_item_26_a_description_too_big_or_broken_is_refused_and_costs_no_port(lab: MediaLab, old: str, new: str, reason: bytes) -> None:
    before = pairs(lab)
    with lab.ng() as ng, lab.endpoint("caller", CALLER, 10_000) as caller:
        body = caller.sdp().replace(old.encode(), new.encode())
        assert ask(ng, "wrong", body) == {b"result": b"error", b"error-reason": reason}
    assert pairs(lab)["in_use"] == before["in_use"] == 0
    assert ng_list(lab) == []


@pytest.mark.parametrize(
    ("lines", "served"),
    [
        (["m=audio 5004 RTP/AVP 0"] * 50, MAX_STREAMS),
        (["m=audio 70000 RTP/AVP 0"], 1),
        (["m=audio 5004 RTP/AVP 0", "c=IN IP6 ::1"], 1),
    ],
)
def test_item_26_of_too_many_or_broken_streams_some_are_served_and_the_audio_is_one(lab: MediaLab, lines: list[str], served: int) -> None:
    with Call(lab, "wide") as call:
        call.reoffer(call.caller, *lines)
        assert pairs(lab)["in_use"] == 1
        body = ask(call.ng, "wider", call.caller.sdp(*lines))[b"sdp"]
        assert pairs(lab)["in_use"] == 1 + served
        assert isinstance(body, bytes)
        ports = [int(line.split()[1]) for line in body.split(b"\r\n") if line.startswith(b"m=")]
        assert [port > 0 for port in ports] == [True] * served + [False] * (len(ports) - served)
        call.ng.delete("wider")
        call.talk()
    assert pairs(lab)["in_use"] == 0


def test_item_26_a_thousand_codecs_and_many_dead_streams_are_borne(lab: MediaLab) -> None:
    codecs = [f"a=rtpmap:{96 + number % 32} codec{number}/8000" for number in range(1000)]
    dead = ["m=video 0 RTP/AVP 97"] * 30
    with Call(lab, "wide") as call:
        call.reoffer(call.caller, *codecs, *dead)
        call.talk()


def test_item_26_an_odd_port_and_no_rtcp_are_a_call_like_any(lab: MediaLab) -> None:
    with lab.ng() as ng, lab.endpoint("caller", CALLER, 5005) as caller, lab.endpoint("engine", ENGINE) as engine:
        inside = ng.offer("odd", caller.sdp(), **FROM_CALLER)
        outside = ng.answer("odd", engine.sdp())
        assert (inside[1] % 2, outside[1] % 2) == (0, 0)
        caller.snd(outside, packet(1))
        assert engine.rcv() == (packet(1), inside)
        ng.delete("odd")


# 27: packets that are none.

BYE = b"\x81\xcb\0\1\0\0\0\7"
BROKEN = (
    b"",
    b"\x80",
    packet(1)[:11],
    b"\x00" + packet(1)[1:],
    b"\x40" + packet(1)[1:],
    b"\xc0" + packet(1)[1:],
    b"\x8f" + bytes(11 + 4 * 14),
    b"\x90" + packet(1)[1:12] + b"\xbe\xde\xff\xff" + bytes(160),
    b"\xa0" + packet(1)[1:-1] + b"\xff",
    b"\x80\xc9\0\0",
    b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
    b"\x16\xfe\xff" + bytes(40),
    b"\x40" + os.urandom(1399),
)
SOUND = (
    packet(65535),
    packet(0),
    packet(1, ssrc=0xDEADBEEF),
    packet(2, payload_type=99),
    packet(3, b""),
    packet(4, bytes(1488)),
    packet(5, bytes(1600)),
    packet(6, bytes(9000)),
    b"\x90" + packet(7)[1:12] + b"\xbe\xde\0\1\0\0\0\0" + bytes(160),
)


def test_item_27_what_is_no_packet_stops_here_and_what_is_one_passes(lab: MediaLab) -> None:
    with Call(lab, "firm") as call:
        call.settle()
        for data in (*BROKEN, *SOUND):
            call.caller.snd(call.outside, data)
            call.caller.snd((call.outside[0], call.outside[1] + 1), data)
        heard = Counter(call.engine.rcv()[0] for _ in SOUND)
        assert heard == Counter(SOUND)
        # The two planes take ways of different length: only now is it sure that nothing follows.
        for _ in range(5):
            call.talk()
        assert call.engine.waiting() == []


def test_item_27_a_stranger_says_goodbye_for_nobody(lab: MediaLab) -> None:
    with Call(lab, "bye") as call, lab.endpoint("stranger", STRANGER) as thief, lab.endpoint("caller", CALLER) as neighbour:
        call.settle()
        for port in (call.outside, call.inside):
            for data in (BYE, REPORT + BYE, *BROKEN, *SOUND):
                thief.snd(port, data)
                thief.snd((port[0], port[1] + 1), data)
        neighbour.snd(call.outside, BYE)
        for _ in range(5):
            call.talk()
        assert (call.caller.waiting(), call.engine.waiting(), thief.waiting()) == ([], [], [])
        assert ng_list(lab) == [b"bye"]


def test_item_27_floods_of_digits_pass_and_floods_of_strangers_do_not(lab: MediaLab) -> None:
    digit = b"\5\x0a\0\xa0"
    with Call(lab, "flood") as call, lab.endpoint("stranger", STRANGER) as thief:
        call.settle()
        heard = list[bytes]()
        for burst in range(10):
            for number in range(50):
                thief.snd(call.outside, packet(50 * burst + number, digit, payload_type=101))
                call.caller.snd(call.outside, packet(50 * burst + number, digit, payload_type=101))
            heard += [call.engine.rcv()[0] for _ in range(50)]
        assert heard == [packet(number, digit, payload_type=101) for number in range(500)]
        call.talk()
        assert ng_list(lab) == [b"flood"]


# 28: a port has two lives.


def test_item_28_late_packets_of_one_call_never_reach_the_next(tiny: MediaLab) -> None:
    with ExitStack() as ends:
        ng = ends.enter_context(tiny.ng())
        engine = ends.enter_context(tiny.endpoint("engine", ENGINE))
        first, second = (ends.enter_context(tiny.endpoint("caller", CALLER)) for _ in range(2))
        held = {ng_call(ng, f"call-{number}", first, engine)[0]: f"call-{number}" for number in range(PAIRS)}
        port, name = next(iter(held.items()))
        for number in range(5):
            first.snd(port, packet(number))
            engine.rcv()
        ng.delete(name)
        late = iter(range(5, 60_000))

        over = time.monotonic() + 1.25 * QUIET_SECONDS

        def in_vain() -> bool:
            """Ask for a port while the old call speaks on."""
            first.snd(port, packet(next(late), b"late"))
            assert ask(ng, "next", second.sdp()) == FULL, "a port that still gets packets is nobody's, scarce as they are"
            return time.monotonic() > over

        tiny.until(in_vain, what="more than the time that a silent port has to wait")
        tiny.until(lambda: ask(ng, "next", second.sdp()) != FULL, what="the port of a call that has fallen silent")
        outside = ng.answer("next", engine.sdp())
        assert outside == port
        second.snd(port, packet(1, b"mine"))
        assert engine.rcv()[0] == packet(1, b"mine")
        for _ in range(20):
            first.snd(port, packet(next(late), b"late"))
        second.snd(port, packet(2, b"mine"))
        assert engine.rcv()[0] == packet(2, b"mine")
        assert (first.waiting(), engine.waiting()) == ([], [])


def ng_call(ng: NgClient, name: str, caller: Endpoint, engine: Endpoint) -> tuple[Address, Address]:
    """Set a call up and return the relay's port outside and inside."""
    inside = ng.offer(name, caller.sdp(), **FROM_CALLER)
    return ng.answer(name, engine.sdp()), inside


def test_item_21_after_two_thousand_sessions_nothing_is_left(soaked: Soak) -> None:
    # The last of this file: the quarantine goes by while the others run.
    assert soaked.leftovers() == []
