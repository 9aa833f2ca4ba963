"""Who listens to a leg, and what each hears of both directions."""

from __future__ import annotations

from callflow.audio.frames import SILENCE_FRAME
from callflow.audio.sender import MAX_SKIPPED
from callflow.audio.taps import Taps
from tests.unit.audio.test_session import FAR, audio, started

FRAME = bytes(range(160))


def test_a_tap_hears_from_its_attaching_to_its_detaching() -> None:
    taps, heard = Taps(), list[bytes]()
    assert not taps
    taps(b"before")
    taps.attach(heard.append)
    taps(b"one")
    taps.attach(heard.append)
    taps(b"two")
    taps.detach(heard.append)
    taps(b"after")
    taps.detach(heard.append)
    assert heard == [b"one", b"two", b"two"]


def test_a_tap_may_leave_while_it_hears() -> None:
    taps, heard = Taps(), list[bytes]()

    def once(frame: bytes) -> None:
        heard.append(frame)
        taps.detach(once)

    taps.attach(once)
    taps.attach(heard.append)
    taps(b"1")
    taps(b"2")
    assert heard == [b"1", b"1", b"2"]


def test_the_outbound_direction_is_what_the_far_end_hears() -> None:
    made, clock = started()
    made.play(FRAME * 2)
    clock.run(0.099)
    assert made.frames_out == [FRAME, FRAME, SILENCE_FRAME, SILENCE_FRAME, SILENCE_FRAME]
    made.send_digits("1", duration_ms=40, gap_ms=0)
    made.play(FRAME)
    clock.run(0.12)
    # Two packets of the digit and three of its end are silence to who listens.
    assert made.frames_out[5:] == [SILENCE_FRAME] * 5 + [FRAME]


def test_slots_that_nobody_sent_are_silence() -> None:
    made, clock = started()
    clock.run(0.019)
    clock.now += 10.0
    clock.run(0.02)
    assert len(made.frames_out) == 502
    clock.now += 200.0
    clock.run(0.02)
    assert len(made.frames_out) <= 502 + MAX_SKIPPED + 2


def test_both_directions_are_as_long_as_the_time() -> None:
    made, clock = started()
    for number in range(1, 201):
        clock.run(0.02)
        if number % 7:
            made.receive_datagram(audio(number), FAR, clock.now)
    made.flush(clock.now)
    assert abs(len(made.frames_in) - len(made.frames_out)) <= 1
    assert len(made.frames_in) == 200
