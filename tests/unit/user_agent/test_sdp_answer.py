"""Session descriptions: what is accepted, and what our answers and offers say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.secure.sdes import KeyRing
from callflow.sip.sdp_answer import LocalSession, RemoteSdp, SdpError
from sipproxy.headers.call_headers import MediaSecurity

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
AUDIO = "m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"


def plain() -> LocalSession:
    return LocalSession(("127.0.0.1", 5000), 7, MediaSecurity.PLAIN, KeyRing(bytes))


def test_other_streams_are_refused_in_place() -> None:
    offer = RemoteSdp.parse((HEAD + "m=video 4 RTP/AVP 34\r\nc=IN IP4 192.0.2.9\r\n" + AUDIO + "m=audio 6 RTP/AVP 0\r\n").encode())
    body, media = plain().answer(offer)
    assert media.address == ("192.0.2.1", 40000)
    assert [line for line in body.decode().split("\r\n") if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 34",
        "m=audio 5000 RTP/AVP 0 101",
        "m=audio 0 RTP/AVP 0",
    ]


def test_a_refused_stream_without_formats_gets_one() -> None:
    offer = RemoteSdp.parse((HEAD + AUDIO + "m=video 0 RTP/AVP\r\nm=video 4 RTP/AVP\r\n").encode())
    body, _ = plain().answer(offer)
    assert body.endswith(b"m=video 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 0\r\n")


@pytest.mark.parametrize("profile", ["RTP/AVP", "RTP/AVPF", "rtp/avp", "Rtp/Avpf"])
def test_plain_rtp_is_taken_under_each_of_its_names(profile: str) -> None:
    offer = RemoteSdp.parse((HEAD + AUDIO.replace("RTP/AVP", profile) + "a=rtcp-fb:* trr-int 5000\r\n").encode())
    body, media = plain().answer(offer)
    assert media.payload_type == 0
    assert f"m=audio 5000 {profile} 0 101\r\n".encode() in body
    assert b"rtcp-fb" not in body


@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/RTP/AVP", "RTP/AVPX"])
def test_encrypted_and_unknown_profiles_are_refused(profile: str) -> None:
    keys = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n"
    with pytest.raises(SdpError) as caught:
        RemoteSdp.parse((HEAD + AUDIO.replace("RTP/AVP", profile) + keys).encode()).audio()
    assert caught.value.status == 488


def test_the_first_stream_that_can_be_served_is_taken() -> None:
    head = HEAD.replace("c=IN IP4 192.0.2.1\r\n", "")
    secure, named, good = "RTP/SAVP", "c=IN IP4 phone.example.net\r\n", "c=IN IP4 192.0.2.9\r\n"
    streams = AUDIO.replace("RTP/AVP", secure) + good + AUDIO + named + AUDIO.replace("40000", "40008") + good + AUDIO + good
    body, media = plain().answer(RemoteSdp.parse((head + streams).encode()))
    assert media.address == ("192.0.2.9", 40008)
    assert [line.split()[1] for line in body.decode().split("\r\n") if line.startswith("m=")] == ["0", "0", "5000", "0"]


def test_the_codec_of_an_answer_to_our_offer_stays_in_use() -> None:
    session = plain()
    session.offer()
    assert session.take_answer(RemoteSdp.parse((HEAD + "m=audio 40000 RTP/AVP 8\r\n").encode())).payload_type == 8
    _, media = session.answer(RemoteSdp.parse((HEAD + "m=audio 40000 RTP/AVP 0 8\r\n").encode()))
    assert media.payload_type == 8


def test_a_streams_own_address_and_direction_win() -> None:
    media = RemoteSdp.parse((HEAD + "a=inactive\r\n" + AUDIO + "c=IN IP4 192.0.2.9/1\r\na=recvonly\r\n").encode()).audio()
    assert (media.address[0], media.direction, media.held, media.listens) == ("192.0.2.9", "recvonly", True, True)
    session = RemoteSdp.parse((HEAD + "a=sendonly\r\n" + AUDIO).encode()).audio()
    assert (session.direction, session.listens) == ("sendonly", False)


def test_the_codec_in_use_stays_if_it_is_offered() -> None:
    session = plain()
    chosen = []
    for formats in ("8 0", "0 8", "0"):
        offer = RemoteSdp.parse((HEAD + f"m=audio 40000 RTP/AVP {formats}\r\n").encode())
        chosen.append(session.answer(offer)[1].payload_type)
    assert chosen == [8, 8, 0]


@pytest.mark.parametrize(
    ("formats", "maps", "taken"),
    [
        ("96", ["96 PCMU/8000"], (96, 0)),
        ("97 101", ["97 pcma/8000/1", "101 telephone-event/8000"], (97, 8)),
        ("98 96 0", ["98 opus/48000/2", "96 PCMA/8000"], (96, 8)),
        ("0 96", ["0 PCMU/8000", "96 PCMU/8000"], (0, 0)),
        ("101", ["101 PCMU/8000"], (101, 0)),
        ("97 8", ["97 PCMU/16000"], (8, 8)),
        ("97 8", ["97 PCMU/8000/2"], (8, 8)),
    ],
)
def test_a_codec_may_have_another_number(formats: str, maps: list[str], taken: tuple[int, int]) -> None:
    attributes = "".join(f"a=rtpmap:{text}\r\n" for text in maps)
    offer = RemoteSdp.parse((HEAD + f"m=audio 40000 RTP/AVP {formats}\r\n" + attributes).encode())
    body, media = plain().answer(offer)
    assert (media.payload_type, media.codec) == taken
    name = {0: "PCMU", 8: "PCMA"}[taken[1]]
    assert f"a=rtpmap:{taken[0]} {name}/8000\r\n".encode() in body
    assert body.count(b" PCM") == 1
    assert f"m=audio 5000 RTP/AVP {taken[0]}".encode() in body


def test_the_codec_in_use_stays_under_another_number() -> None:
    session = plain()
    taken = []
    for formats in ("96", "0 96", "8 0", "97 8"):
        maps = "a=rtpmap:96 PCMU/8000\r\na=rtpmap:97 PCMU/8000\r\n"
        offer = RemoteSdp.parse((HEAD + f"m=audio 40000 RTP/AVP {formats}\r\n" + maps).encode())
        taken.append(session.answer(offer)[1].payload_type)
    assert taken == [96, 96, 0, 97]


def test_an_answer_may_give_our_codec_another_number() -> None:
    session = plain()
    session.offer()
    media = session.take_answer(RemoteSdp.parse((HEAD + "m=audio 40000 RTP/AVP 96\r\na=rtpmap:96 PCMA/8000\r\n").encode()))
    assert (media.payload_type, media.codec) == (96, 8)


def test_an_offer_without_events_gets_none() -> None:
    offer = RemoteSdp.parse((HEAD + "m=audio 40000 RTP/AVP 8 0\r\n").encode())
    body, media = plain().answer(offer)
    assert media.event_payload_type is None
    assert b"telephone-event" not in body


def test_events_are_taken_at_our_clock_rate_only() -> None:
    maps = "a=rtpmap:96 telephone-event/48000\r\na=rtpmap:97 Telephone-Event/8000\r\na=rtpmap:98 telephone-event/8000\r\n"
    for formats, chosen in (("0 96 97 98", 97), ("0 96 98", 98), ("0 96", None)):
        description = HEAD + f"m=audio 40000 RTP/AVP {formats}\r\n" + maps
        assert RemoteSdp.parse(description.encode()).audio().event_payload_type == chosen


def test_the_version_grows_only_with_changes() -> None:
    session = plain()
    assert b"o=- 7 1 " in session.repeat()
    assert b"o=- 7 1 " in session.offer()
    answer, _ = session.answer(RemoteSdp.parse((HEAD + AUDIO).encode()))
    assert b"o=- 7 2 " in answer
    assert session.repeat() == answer


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello",
        HEAD,
        HEAD + "m=audio x RTP/AVP 0\r\n",
        HEAD + "m=audio 99999 RTP/AVP 0\r\n",
        HEAD + "m=audio 4000 RTP/AVP\r\n",
        HEAD + "m=audio 4000 RTP/SAVP 0\r\n",
        HEAD + "m=audio 4000 RTP/AVP 96\r\n",
        HEAD + "m=audio 4000 RTP/AVP 97\r\na=rtpmap:96 PCMU/8000\r\n",
        HEAD.replace("192.0.2.1", "phone.example.net") + AUDIO,
        HEAD.replace("IP4", "IP6") + AUDIO,
        HEAD.replace("v=0", "v=1") + AUDIO,
    ],
)
def test_unusable_descriptions(body: str) -> None:
    with pytest.raises(SdpError):
        RemoteSdp.parse(body.encode()).audio()


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_raise_sdp_error(data: bytes) -> None:
    for body in (data, b"v=0\r\nm=audio " + data, HEAD.encode() + AUDIO.encode() + data):
        try:
            plain().answer(RemoteSdp.parse(body))
        except SdpError as error:
            assert str(error).endswith(".")
