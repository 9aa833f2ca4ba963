"""Keys in offers and answers: where the audio is encrypted, where it must not be, and where it has to be."""

from __future__ import annotations

import base64

import pytest

from callflow.secure.sdes import Crypto, KeyRing, Suite
from callflow.sip.call_context import UserAgentConfig
from callflow.sip.events import CallArrived, CallEstablished, OutgoingCallFailed
from callflow.sip.outgoing import Destination
from callflow.sip.sdp_answer import NEEDS_KEYS, NEEDS_TLS, LocalSession, RemoteSdp, SdpError
from callflow.sip.user_agent import UserAgent
from sipproxy.headers.call_headers import MediaSecurity
from tests.unit.user_agent.link import FACTS, PHONE, PHONE_MEDIA, SERVER, SERVER_MEDIA, WALL, Link, server, tokens
from voiceapps.rules.media_settings import SecureMedia

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
KEY = bytes(range(30))
CRYPTO = f"a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(KEY).decode()}\r\n"
OPTIONAL, REQUIRED, PLAIN = MediaSecurity.OPTIONAL, MediaSecurity.REQUIRED, MediaSecurity.PLAIN


def audio(profile: str, port: int = 4000, keys: str = CRYPTO) -> str:
    return f"m=audio {port} {profile} 0\r\n{keys}"


def answered(offer: str, security: MediaSecurity) -> tuple[str, Crypto | None]:
    session = LocalSession(("127.0.0.1", 5000), 7, security, KeyRing(lambda octets: b"o" * octets))
    body, media = session.answer(RemoteSdp.parse((HEAD + offer).encode(), security))
    return body.decode(), media.keys.theirs if media.keys else None


@pytest.mark.parametrize("security", [OPTIONAL, REQUIRED])
@pytest.mark.parametrize("profile", ["RTP/SAVP", "rtp/savp", "RTP/SAVPF", "RTP/AVP", "RTP/AVPF"])
def test_keys_are_answered_by_our_own(security: MediaSecurity, profile: str) -> None:
    body, theirs = answered(audio(profile), security)
    assert theirs == Crypto(4, Suite.AES_CM_128_80, KEY)
    assert f"m=audio 5000 {profile} 0\r\n" in body
    assert f"a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(b'o' * 30).decode()}\r\n" in body


def test_plain_calls_take_no_keys() -> None:
    body, theirs = answered(audio("RTP/AVP"), PLAIN)
    assert theirs is None
    assert "crypto" not in body
    body, theirs = answered(audio("RTP/SAVP") + audio("RTP/AVP", 4002), PLAIN)
    assert "m=audio 0 RTP/SAVP 0\r\n" in body
    assert "m=audio 5000 RTP/AVP 0\r\n" in body


def test_optional_calls_go_on_without_keys() -> None:
    unknown = "a=crypto:1 F8_128_HMAC_SHA1_80 inline:AAAA\r\n"
    for keys in ("", unknown):
        body, theirs = answered(audio("RTP/AVP", keys=keys), OPTIONAL)
        assert theirs is None
        assert "crypto" not in body
    body, theirs = answered(audio("RTP/SAVP", keys=unknown) + audio("RTP/AVP", 4002, keys=""), OPTIONAL)
    assert theirs is None
    assert "m=audio 0 RTP/SAVP 0\r\n" in body


def test_required_calls_pass_plain_streams_over() -> None:
    body, theirs = answered(audio("RTP/AVP", keys="") + audio("RTP/SAVP", 4002), REQUIRED)
    assert theirs is not None
    assert "m=audio 0 RTP/AVP 0\r\n" in body


@pytest.mark.parametrize(
    ("offer", "security", "sentence"),
    [
        (audio("RTP/SAVP"), PLAIN, "The description has no G.711 audio over plain RTP."),
        (audio("RTP/SAVP", keys=""), OPTIONAL, NEEDS_KEYS),
        (audio("RTP/AVP", keys=""), REQUIRED, NEEDS_KEYS),
        (audio("RTP/AVP", keys=CRYPTO.replace("_80", "_80X")), REQUIRED, NEEDS_KEYS),
        (audio("RTP/SAVP"), MediaSecurity.IMPOSSIBLE, NEEDS_TLS),
        ("m=video 4000 RTP/SAVP 34\r\n" + CRYPTO, REQUIRED, "The description has no G.711 audio over plain RTP."),
    ],
)
def test_what_is_refused_says_why(offer: str, security: MediaSecurity, sentence: str) -> None:
    with pytest.raises(SdpError) as caught:
        answered(offer, security)
    assert (caught.value.status, caught.value.reason) == (488, sentence)


def test_a_session_keeps_its_keys_and_follows_new_ones() -> None:
    session = LocalSession(("127.0.0.1", 5000), 7, OPTIONAL, KeyRing(lambda octets: b"o" * octets))
    first, media = session.answer(RemoteSdp.parse((HEAD + audio("RTP/SAVP")).encode(), OPTIONAL))
    again, same = session.answer(RemoteSdp.parse((HEAD + audio("RTP/SAVP")).encode(), OPTIONAL))
    assert (again, same) == (first, media)
    renewed = audio("RTP/SAVP", keys=CRYPTO.replace(base64.b64encode(KEY).decode(), base64.b64encode(KEY[::-1]).decode()))
    _, new = session.answer(RemoteSdp.parse((HEAD + renewed).encode(), OPTIONAL))
    assert new.keys is not None
    assert media.keys is not None
    assert (new.keys.ours, new.keys.theirs.key) == (media.keys.ours, KEY[::-1])


@pytest.mark.parametrize(
    ("setting", "by_tls", "word"),
    [
        (SecureMedia.OFF, True, "plain"),
        (SecureMedia.OPTIONAL, True, "optional"),
        (SecureMedia.OPTIONAL, False, "plain"),
        (SecureMedia.REQUIRED, True, "required"),
        (SecureMedia.REQUIRED, False, "impossible"),
    ],
)
def test_keys_are_believed_only_by_tls(setting: SecureMedia, by_tls: bool, word: str) -> None:
    assert MediaSecurity.of(setting, by_tls=by_tls) == word


class Calling:
    """A phone of ours that calls our server; the proxy between them says how secure the call is."""

    def __init__(self, offers: MediaSecurity, says: MediaSecurity) -> None:
        config = UserAgentConfig(PHONE)
        self.phone = UserAgent(config, new_token=tokens("p"), new_key=lambda octets: b"p" * octets, wall=lambda: WALL)
        self.server = server()
        self.link = Link({PHONE: self.phone, SERVER: self.server})
        self.link.facts = FACTS if says is PLAIN else f"{FACTS};media={says}"
        self.phone.place(Destination("sip:app-1@sip.example.com", SERVER, "alice", None, offers), PHONE_MEDIA, self.link.now)
        self.link.run(1)
        (self.arrived,) = self.link.take(SERVER, CallArrived)


@pytest.mark.parametrize("security", [OPTIONAL, REQUIRED])
def test_two_agents_agree_on_keys(security: MediaSecurity) -> None:
    calling = Calling(security, security)
    assert calling.arrived.problem is None
    calling.server.answer(calling.arrived.call, SERVER_MEDIA, calling.link.now)
    calling.link.run(1)
    (there,) = calling.link.take(SERVER, CallEstablished)
    (here,) = calling.link.take(PHONE, CallEstablished)
    assert here.media.keys is not None
    assert there.media.keys is not None
    assert (here.media.keys.ours, here.media.keys.theirs) == (there.media.keys.theirs, there.media.keys.ours)


def test_our_own_refresh_of_an_encrypted_session_keeps_its_keys() -> None:
    node = LocalSession(("127.0.0.1", 5000), 7, OPTIONAL, KeyRing(lambda octets: b"n" * octets))
    phone = LocalSession(("127.0.0.1", 4000), 8, OPTIONAL, KeyRing(lambda octets: b"p" * octets))
    first, at_node = node.answer(RemoteSdp.parse((HEAD + audio("RTP/SAVP")).encode(), OPTIONAL))
    assert b"a=crypto:4 " in first
    # The node repeats its description (RFC 4028 section 7.4), in which the only tag is the caller's.
    answer, _ = phone.answer(RemoteSdp.parse(node.repeat(), OPTIONAL))
    refreshed = node.take_answer(RemoteSdp.parse(answer, OPTIONAL))
    assert refreshed.keys is not None
    assert at_node.keys is not None
    assert refreshed.keys.ours == at_node.keys.ours


@pytest.mark.parametrize(("offers", "says"), [(PLAIN, REQUIRED), (REQUIRED, PLAIN), (REQUIRED, MediaSecurity.IMPOSSIBLE)])
def test_a_call_that_cannot_be_as_secure_as_it_has_to_be_arrives_with_a_problem(offers: MediaSecurity, says: MediaSecurity) -> None:
    calling = Calling(offers, says)
    assert calling.arrived.problem is not None
    assert calling.arrived.problem.status == 488
    calling.server.hang_up(calling.arrived.call, calling.link.now, calling.arrived.problem.status)
    calling.link.run(1)
    (failed,) = calling.link.take(PHONE, OutgoingCallFailed)
    assert failed.status == 488
