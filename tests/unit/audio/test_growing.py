"""A sound that is played while it is made."""

from __future__ import annotations

from callflow.audio.agreement import Agreement, Codec
from callflow.audio.events import PlaybackFinished
from callflow.audio.octets import GrowingSound
from callflow.audio.session import AudioSession
from mediarelay.rtp.packet import RtpPacket

SOUND = bytes(range(1, 201)) * 4


def run(session: AudioSession, slots: int, now: float) -> bytes:
    """Return what so many slots carry."""
    heard = b""
    for number in range(slots):
        session.handle_timer(now + number * 0.02)
        heard += b"".join(RtpPacket.parse(data).payload for data, _ in session.datagrams_to_send())
    return heard


def test_it_waits_for_what_is_not_there_yet_and_loses_nothing() -> None:
    session = AudioSession(Agreement(("127.0.0.1", 4000), Codec.PCMU, 0, None), ssrc=1, sequence=1, timestamp=0)
    session.start(0.0)
    sound = GrowingSound(SOUND[:300])
    number = session.play(sound)
    assert run(session, 4, 0.0) == SOUND[:160] + b"\xff" * 480
    sound.append(SOUND[300:])
    assert run(session, 3, 0.08) == SOUND[160:640]
    assert list(iter(session.next_event, None)) == []
    sound.finish()
    assert run(session, 2, 0.14) == SOUND[640:800] + b"\xff" * 160
    assert list(iter(session.next_event, None)) == [PlaybackFinished(number)]


def test_one_that_ends_while_it_is_waited_for_is_over() -> None:
    session = AudioSession(Agreement(("127.0.0.1", 4000), Codec.PCMU, 0, None), ssrc=1, sequence=1, timestamp=0)
    session.start(0.0)
    sound = GrowingSound(SOUND[:160])
    first = session.play(sound)
    second = session.play(SOUND[:160])
    assert run(session, 2, 0.0) == SOUND[:160] + b"\xff" * 160
    sound.finish()
    assert run(session, 1, 0.04) == SOUND[:160]
    assert list(iter(session.next_event, None)) == [PlaybackFinished(first), PlaybackFinished(second)]
