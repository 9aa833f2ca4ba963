"""Stored messages as a capture file, which an independent reader parses."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pcap import Captured, read_capture
from tests.unit.voiceapps.builders import STARTED, application, facts
from voiceapps.reads import call_report as module
from voiceapps.rules.diagnosis.pcap import StoredMessage, capture
from voiceapps.rules.reports import CallAdmitted, LadderMessage
from voiceapps.services.reports import write_reports

AT = datetime(2026, 11, 23, 4, 5, 6, 789_012, UTC)
CALLER, OURS = "198.51.100.7:5080", "203.0.113.5:6160"
ADDRESSES = st.builds("{}:{}".format, st.ip_addresses(v=4), st.integers(0, 65_535))
MESSAGES = st.builds(
    StoredMessage,
    at=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    transport=st.sampled_from(("UDP", "TCP", "TLS")),
    source=ADDRESSES,
    destination=ADDRESSES,
    text=st.text(max_size=60),
)


def message(transport: str = "UDP", text: str = "BYE", *, source: str = CALLER, destination: str = OURS) -> StoredMessage:
    return StoredMessage(AT, transport, source, destination, text)


def read(*messages: StoredMessage) -> list[Captured]:
    return read_capture(b"".join(capture(messages)))


@settings(max_examples=50)
@given(st.lists(MESSAGES, max_size=4))
def test_any_messages_survive_a_round_trip(messages: list[StoredMessage]) -> None:
    for packet, sent in zip(read(*messages), messages, strict=True):
        assert packet.payload.decode() == sent.text
        assert (packet.protocol == 17) == (sent.transport == "UDP")
        assert ("{}:{}".format(*packet.source), "{}:{}".format(*packet.destination)) == (sent.source, sent.destination)
        assert datetime.fromtimestamp(packet.microseconds // 1_000_000, UTC).replace(microsecond=packet.microseconds % 1_000_000) == sent.at


def test_no_messages_make_a_valid_file() -> None:
    assert read() == []


def test_a_stream_has_no_gap_in_either_direction() -> None:
    back = {"source": OURS, "destination": CALLER}
    packets = read(
        message("TCP", "INVITE"), message("TCP", "100é", **back), message("UDP"), message("TLS", "ACK"), message("TCP", "x", **back)
    )
    streams = [(packet.sequence, packet.acknowledged) for packet in packets if packet.protocol == 6]
    assert streams == [(1, 1), (1, 7), (7, 6), (6, 10)]


def test_a_udp_checksum_is_never_zero() -> None:
    plain = b"".join(capture([message(source="198.51.100.7:0")]))
    (free,) = struct.unpack_from("!H", plain, 24 + 16 + 20 + 6)
    # With this source port the sum is zero, which would mean that there is no checksum.
    assert read(message(source=f"198.51.100.7:{free}"))[0].source[1] == free


@pytest.mark.parametrize("address", ["", "a:1", ":0", "nonsense", "1.2.3.4:x", "[::1]:5060"])
def test_an_invalid_address_becomes_zero(address: str) -> None:
    (packet,) = read(message(source=address))
    assert packet.source == ("0.0.0.0", 0)


def test_the_longest_message_fits() -> None:
    (packet,) = read(message("TCP", "\ufffd" * 40_000))
    assert len(packet.payload) == 65_535 - 40


@pytest.mark.django_db
def test_a_capture_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MESSAGES", 3)
    call = facts(application())
    texts = [LadderMessage(call.call_id, STARTED + number, "caller", CALLER, OURS, "OPTIONS", f"OPTIONS {number}") for number in range(5)]
    write_reports([CallAdmitted(call, "p"), *reversed(texts)])
    packets = read_capture(b"".join(capture(module.call_messages(call.call_id))))
    assert [packet.payload for packet in packets] == [b"OPTIONS 0", b"OPTIONS 1", b"OPTIONS 2"]
