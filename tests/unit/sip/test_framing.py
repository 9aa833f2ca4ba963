from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipproxy.sip import PeerError
from sipproxy.sip.framing import PING, StreamFraming
from sipproxy.sip.limits import MAX_DATAGRAM, MAX_STREAM_HEAD

OPTIONS = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n"
MESSAGE = b"MESSAGE sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK2\r\nl :\r\n 7\r\n\r\n\r\n\r\nabc"


@given(st.lists(st.sampled_from((OPTIONS, MESSAGE, PING)), max_size=5), st.lists(st.integers(1, 40), min_size=1))
def test_however_the_octets_arrive_the_messages_are_the_same(wanted: list[bytes], cuts: list[int]) -> None:
    framing, got, stream, turn = StreamFraming(), [], b"".join(wanted), 0
    while stream:
        size = cuts[turn % len(cuts)]
        got += framing.feed(stream[:size])
        stream, turn = stream[size:], turn + 1
    assert got == wanted
    assert framing.is_between_messages


def test_a_single_line_break_between_messages_is_skipped() -> None:
    assert StreamFraming().feed(b"\r\n" + OPTIONS) == [OPTIONS]


def test_half_a_message_is_kept() -> None:
    framing = StreamFraming()
    assert framing.feed(MESSAGE[:-1]) == []
    assert not framing.is_between_messages
    assert framing.feed(MESSAGE[-1:]) == [MESSAGE]


@pytest.mark.parametrize(
    ("stream", "status"),
    [
        (OPTIONS.replace(b"Content-Length: 0\r\n", b""), 400),
        (OPTIONS.replace(b"Length: 0", b"Length: -1"), 400),
        (OPTIONS.replace(b"Length: 0", b"Length: 0x10"), 400),
        (OPTIONS.replace(b"Length: 0", b"Length: 0\r\nl: 5"), 400),
        (OPTIONS.replace(b"Length: 0", b"Length: %d" % MAX_DATAGRAM), 513),
        (OPTIONS.replace(b"Length: 0", b"Length: 99999999999"), 400),
        (b"x" * (MAX_STREAM_HEAD + 1), 513),
        (b"x" * (MAX_STREAM_HEAD + 1) + b"\r\n\r\n", 513),
    ],
)
def test_a_stream_that_cannot_be_cut_is_refused(stream: bytes, status: int) -> None:
    with pytest.raises(PeerError) as refused:
        StreamFraming().feed(stream)
    assert refused.value.status == status
