from __future__ import annotations

import json
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.core.addresses import Side
from mediarelay.ng.bencode import encode
from mediarelay.ng.control import Command
from mediarelay.ng.limits import MAX_MEDIA_SOURCES, MAX_SDP, MAX_TEXT
from mediarelay.ng.media_command import MAX_DELETE_DELAY, MAX_IGNORED, NOT_SERVED, OTHER, DeleteCommand, MediaCommand
from mediarelay.sdp.rtcp_mux import RtcpMux

BARE = {"command": "offer", "call-id": "c-1", "from-tag": "a", "sdp": b"v=0\xe9"}
# As our proxy writes it.
OFFER = {
    **BARE,
    "direction": ["external", "internal"],
    "replace": ["origin", "session connection"],
    "ICE": "remove",
    "received-from": ["IP4", "192.0.2.1"],
    "flags": ["sipuri-learn-nat"],
    "sipuri-media-sources": ["198.51.100.0/24", "0.0.0.0/0", "203.0.113.9/32"],
}
# As Kamailio's module writes `rtpengine_offer("replace-origin replace-session-connection rtcp-mux-demux SIP-source-address
# ICE=remove via-branch=1 label=desk media-address=203.0.113.77 transcode-PCMA TOS=184 RTP/AVP x-unheard-of")`.
KAMAILIO = {
    "sdp": b"v=0\r\n",
    "ICE": "remove",
    "label": "desk",
    "media-address": "203.0.113.77",
    "TOS": 184,
    "flags": ["SIP-source-address", "transcode-PCMA", "x-unheard-of"],
    "replace": ["origin", "session-connection"],
    "transport-protocol": "RTP/AVP",
    "rtcp-mux": ["demux"],
    "supports": ["load limit"],
    "call-id": "k@host",
    "via-branch": "z9hG4bKk",
    "received-from": ["IP4", "198.51.100.4"],
    "from-tag": "f",
    "to-tag": "t",
    "command": "offer",
}


def ask(**changes: object) -> MediaCommand:
    """Read the minimal offer with some more keys."""
    return MediaCommand.parse(Command.parse(encode({**BARE, **changes})))


def test_an_offer_of_our_proxy() -> None:
    assert MediaCommand.parse(Command.parse(encode(OFFER))) == MediaCommand(
        call_id="c-1",
        from_tag="a",
        sdp=b"v=0\xe9",
        direction=(Side.EXTERNAL, Side.INTERNAL),
        received_from="192.0.2.1",
        origin=True,
        learn_nat=True,
        media_sources=(IPv4Network("198.51.100.0/24"), IPv4Network("203.0.113.9/32")),
    )


def test_an_offer_in_json() -> None:
    text = '{"command":"offer","call-id":"c-1","from-tag":"a","sdp":"v=0é","flags":[]}'.encode()
    assert MediaCommand.parse(Command.parse(text)) == MediaCommand(call_id="c-1", from_tag="a", sdp="v=0é".encode())


def test_an_offer_of_kamailio() -> None:
    assert MediaCommand.parse(Command.parse(encode(KAMAILIO))) == MediaCommand(
        call_id="k@host",
        from_tag="f",
        to_tag="t",
        via_branch="z9hG4bKk",
        sdp=b"v=0\r\n",
        received_from="198.51.100.4",
        label="desk",
        media_address="203.0.113.77",
        sip_source=True,
        origin=True,
        rtcp_mux=frozenset({RtcpMux.DEMUX}),
        ignored=("tos", "transport-protocol", "transcode", OTHER),
    )


@pytest.mark.parametrize(
    ("flags", "sip_source"),
    [
        ([], False),
        (["SIP source address"], True),
        (["SIP-source-address"], True),
        (["sip_source_address"], True),
        (["trust address"], False),
        (["SIP-source-address", "trust-address"], False),
        (["trust-address", "SIP-source-address"], True),
    ],
)
def test_the_last_named_source_flag_wins(flags: list[str], sip_source: bool) -> None:
    assert ask(flags=flags).sip_source is sip_source
    assert ask(flags=flags).ignored == ()


@pytest.mark.parametrize(
    "changes", [{"replace": ["origin"]}, {"flags": ["replace-origin"]}, {"flags": ["replace origin"]}, {"replace": "origin"}]
)
def test_the_origin_is_replaced_on_demand(changes: dict[str, object]) -> None:
    assert ask(**changes).origin
    assert ask(**changes).ignored == ()


@pytest.mark.parametrize("changes", [{"replace": ["zero-address"]}, {"replace": ["zero address"]}, {"flags": ["replace-zero-address"]}])
def test_the_address_of_nobody_is_replaced_on_demand(changes: dict[str, object]) -> None:
    assert (ask(**changes).zero_address, ask(**changes).ignored) == (True, ())


def test_wishes_about_multiplexing_come_in_a_list_or_as_flags() -> None:
    assert ask(flags=["rtcp-mux-offer", "rtcp mux reject"]).rtcp_mux == {RtcpMux.OFFER, RtcpMux.REJECT}
    everything = ask(**{"rtcp-mux": ["offer", "require", "demux", "accept", "reject", "sometimes"]})
    assert everything.rtcp_mux == set(RtcpMux)
    assert everything.ignored == (OTHER,)


def test_a_label_has_two_names() -> None:
    assert ask(**{"from label": "desk"}).label == "desk"
    assert ask(label="desk").label == "desk"


@pytest.mark.parametrize("key", ["ICE", "ice"])
def test_of_ice_only_removal_is_supported(key: str) -> None:
    assert ask(**{key: "remove"}).ignored == ()
    assert ask(**{key: "force"}).ignored == ("ice",)


@pytest.mark.parametrize(
    ("flags", "ignored"),
    [
        (["symmetric", "strict source", "port-latching", "original sendrecv", "reject-ICE"], ()),
        (["asymmetric", "loop-protect", "asymmetric"], ("asymmetric", "loop-protect")),
        (["SDES-off", "SDES-no-AES_CM_128", "codec-mask-opus", "endpoint-learning-off", "T38-decode", "T.38-decode", "OSRTP-offer"],
         ("sdes", "codec", "endpoint-learning", "t38", "t.38", "osrtp")),
        (["one-that-nobody-knows", "key=value", "another", ""], (OTHER,)),
    ],
)  # fmt: skip
def test_unsupported_flags_are_named(flags: list[str], ignored: tuple[str, ...]) -> None:
    assert ask(flags=flags).ignored == ignored


def test_names_of_unsupported_flags_are_bounded() -> None:
    every = sorted(NOT_SERVED)
    assert len(every) > MAX_IGNORED
    assert ask(flags=every).ignored == tuple(every[:MAX_IGNORED])
    assert ask(**dict.fromkeys(every[:3], 0)).ignored == tuple(every[:3])


@given(st.lists(st.text(max_size=12) | st.sampled_from(sorted(NOT_SERVED)), max_size=30))
def test_names_of_unsupported_flags_come_from_a_closed_set(flags: list[str]) -> None:
    ignored = ask(flags=[flag.encode("utf-8", "surrogatepass") for flag in flags]).ignored
    assert set(ignored) <= NOT_SERVED | {OTHER}
    assert len(set(ignored)) == len(ignored) <= MAX_IGNORED


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"call-id": b""}, "The command has no call-id."),
        ({"call-id": 7}, "The call-id must be text."),
        ({"from-tag": "x" * (MAX_TEXT + 1)}, "The from-tag is too long."),
        ({"to-tag": b"\xff"}, "The to-tag is not UTF-8."),
        ({"via-branch": ["z"]}, "The via-branch must be text."),
        ({"label": 5}, "The label must be text."),
        ({"ICE": 5}, "The ice must be text."),
        ({"sdp": 7}, "The sdp must be text."),
        ({"sdp": b"v" * (MAX_SDP + 1)}, "The sdp is too long."),
        ({"direction": ["external"]}, "The direction must name two of the interfaces external and internal."),
        ({"direction": ["external", "pub"]}, "The direction must name two of the interfaces external and internal."),
        ({"direction": {}}, "The direction must be a list of texts."),
        ({"flags": [5]}, "The flags must be a list of texts."),
        ({"replace": 5}, "The replace must be a list of texts."),
        ({"rtcp-mux": [["offer"]]}, "The rtcp-mux must be a list of texts."),
        ({"media-address": "2001:db8::1"}, "The media-address must be an IPv4 address."),
        ({"media address": "10.0.0.256"}, "The media-address must be an IPv4 address."),
        ({"media-address": "relay.example"}, "The media-address must be an IPv4 address."),
        ({"address-family": "IP6"}, "The address-family must be IP4; IPv6 is not supported."),
        ({"address family": "inet"}, "The address-family must be IP4; IPv6 is not supported."),
        ({"sipuri-media-sources": ["198.51.100.1/24"]}, "The sipuri-media-sources must be IPv4 networks."),
        ({"sipuri-media-sources": ["2001:db8::/32"]}, "The sipuri-media-sources must be IPv4 networks."),
        ({"sipuri-media-sources": 5}, "The sipuri-media-sources must be a list of texts."),
        (
            {"sipuri-media-sources": ["198.51.100.0/24"] * (MAX_MEDIA_SOURCES + 1)},
            "The sipuri-media-sources has too many networks.",
        ),
        ({"received-from": ["IP4"]}, "The received-from must hold a family and an address."),
        ({"received-from": "192.0.2.1"}, "The received-from must hold a family and an address."),
        ({"received-from": [["IP4"], 1]}, "The received-from must be a list of texts."),
        ({"received-from": ["IP4", "host"]}, "The received-from must be an IPv4 address."),
    ],
)
def test_an_invalid_offer_is_refused_with_a_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        ask(**change)


@pytest.mark.parametrize("received", [["IP6", "::1"], ["?", "192.0.2.1"], []])
def test_only_an_ipv4_source_is_used(received: object) -> None:
    assert ask(**{"received-from": received}).received_from is None


@pytest.mark.parametrize("family", ["address family", "address-family"])
def test_ipv4_is_the_address_family(family: str) -> None:
    assert ask(**{family: "IP4"}).ignored == ()


def test_a_delete() -> None:
    fields = {"command": "delete", "call-id": "c-1", "received-from": ["IP4", "192.0.2.1"]}
    assert DeleteCommand.parse(Command.parse(encode(fields))) == DeleteCommand(call_id="c-1")
    fields |= {"from-tag": "a", "to-tag": "b", "via-branch": "z", "delete delay": "30", "flags": ["fatal"]}
    assert DeleteCommand.parse(Command.parse(json.dumps(fields).encode())) == DeleteCommand(
        call_id="c-1", from_tag="a", to_tag="b", via_branch="z", delay=30, fatal=True
    )
    assert ask(flags=["fatal"]).ignored == ("fatal",), "it says something of a delete only"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"call-id": ""}, "The command has no call-id."),
        ({"from-tag": 5}, "The from-tag must be text."),
        ({"delete-delay": MAX_DELETE_DELAY + 1}, "The delete-delay is not within 0-3600 seconds."),
        ({"delete-delay": -1}, "The delete-delay is not within 0-3600 seconds."),
        ({"delete-delay": "soon"}, "The delete-delay must be an integer."),
    ],
)
def test_an_invalid_delete_is_refused_with_a_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        DeleteCommand.parse(Command.parse(encode({"command": "delete", "call-id": "c-1", **change})))


def test_the_longest_delay_is_accepted() -> None:
    assert DeleteCommand.parse(Command.parse(encode({"call-id": "c", "delete-delay": MAX_DELETE_DELAY}))).delay == MAX_DELETE_DELAY
