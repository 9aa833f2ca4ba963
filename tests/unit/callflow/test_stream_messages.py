"""The messages of streams, those of public clients among them."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.aio.streams.messages import (
    Clear,
    Mark,
    MessageError,
    PlayAudio,
    mark_message,
    media_message,
    parse_message,
    start_message,
    stop_message,
)

AUDIO = bytes(range(160))
PAYLOAD = base64.b64encode(AUDIO).decode()


def play(content_type: str | None = "audio/pcmu", payload: object = PAYLOAD) -> str:
    media = {"payload": payload} | ({} if content_type is None else {"contentType": content_type})
    return json.dumps({"eventType": "playAudio", "media": media})


@pytest.mark.parametrize(
    ("content_type", "rate"),
    [
        (None, None),
        ("audio/pcmu", None),
        ("audio/PCMU;rate=8000", None),
        ("audio/pcm;rate=8000;channels=1;bit-depth=16;endian=little;encoding=signed", 8_000),
        ("audio/pcm; rate=16000; channels=1; bit-depth=16; endian=little; encoding=signed", 16_000),
        ("audio/pcm;rate=24000;channels=1;bit-depth=16;endian=little;encoding=signed", 24_000),
        ("audio/pcm;rate=24000", 24_000),
        ("audio/pcm", 8_000),
        ('Audio/PCM ; Rate="16000"', 16_000),
        ("audio/pcm; rate*=a; rate*0=b", 8_000),
    ],
)
def test_audio_of_each_format(content_type: str | None, rate: int | None) -> None:
    assert parse_message(play(content_type)) == PlayAudio(AUDIO, rate)


def test_the_other_messages() -> None:
    assert parse_message('{"eventType": "clear"}') == Clear()
    assert parse_message('{"eventType": "mark", "name": "done"}') == Mark("done")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "It is not JSON."),
        ("[" * 100_000, "It has more than 100 parts."),
        ("[1]", "It is no JSON object."),
        ("{}", "eventType must be playAudio, clear or mark."),
        ('{"eventType": {"a": 1}}', "eventType must be playAudio"),
        ('{"eventType": "playAudio"}', "playAudio needs media with contentType and payload."),
        ('{"eventType": "playAudio", "media": []}', "playAudio needs media"),
        (play(payload=7), "playAudio needs media"),
        (play(payload="no base64!"), "The payload is not base64."),
        (play(payload="ü"), "The payload is not base64."),
        (play("audio/pcm", base64.b64encode(b"odd").decode()), "The payload ends in half a sample."),
        (play("audio/pcm;rate=44100"), "contentType must be audio/pcmu, or audio/pcm of 8, 16 or 24 kHz"),
        (play("audio/pcm;rate=16000;channels=2"), "contentType must be"),
        (play("audio/pcm;rate=16000;endian=big"), "contentType must be"),
        (play("audio/mpeg"), "contentType must be"),
        (play("audio/pcmu;rate=16000"), "contentType must be"),
        (play(";;;=;" * 50), "contentType must be"),
        ('{"eventType": [' + "0," * 200 + "0]}", "It has more than 100 parts."),
        ("[" * 200, "It has more than 100 parts."),
        ('{"eventType": [0, 0]}', "eventType must be playAudio, clear or mark."),
        (play("a/b;x=" + ";" * 500_000), "contentType is too long, or holds more than ASCII."),
        (play("\ud800"), "contentType is too long, or holds more than ASCII."),
        ('{"eventType": "mark"}', "A mark needs a name of at most 256 characters."),
        (json.dumps({"eventType": "mark", "name": "x" * 257}), "A mark needs a name"),
    ],
)
def test_what_cannot_be_understood(text: str, sentence: str) -> None:
    with pytest.raises(MessageError) as caught:
        parse_message(text)
    assert str(caught.value).startswith(sentence)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part)))
def test_any_json_is_a_message_or_none(value: object) -> None:
    for text in (json.dumps(value), json.dumps({"eventType": "playAudio", "media": value}), json.dumps({"eventType": value})):
        try:
            parse_message(text)
        except MessageError as error:
            assert str(error).endswith(".")


def test_what_we_send() -> None:
    assert json.loads(media_message("inbound", 7, AUDIO)) == {
        "eventType": "media",
        "track": "inbound",
        "sequenceNumber": "7",
        "payload": PAYLOAD,
    }
    assert json.loads(start_message({"callId": "c-1"}, {"a": "ü"})) == {
        "eventType": "start",
        "metadata": {"callId": "c-1"},
        "streamParams": {"a": "ü"},
    }
    assert "streamParams" not in json.loads(start_message({}, {}))
    assert json.loads(stop_message({"callId": "c-1"})) == {"eventType": "stop", "metadata": {"callId": "c-1"}}
    assert json.loads(mark_message('"done"')) == {"eventType": "mark", "name": '"done"'}
