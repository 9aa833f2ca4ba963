from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipproxy.sip import CSeq, NameAddr, PeerError, SipUri, Via
from sipproxy.sip.grammar import format_params, parse_params, quote, split_values, unquote, with_param
from sipproxy.sip.limits import MAX_PARAMS, MAX_VALUES
from sipproxy.sip.names import COMPACT, key, key_of
from sipproxy.sip.status import reason_phrase
from sipproxy.sip.uri import put_param, take_param, unescape

tokens = st.text("abcXYZ019-.!%*_+`'~", min_size=1, max_size=8)
hosts = st.one_of(st.sampled_from(["h", "example.com.", "192.0.2.1", "[2001:db8::1]"]), st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True))
ports = st.one_of(st.none(), st.integers(0, 65_535))
quoted = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=9).map(quote)
params = st.lists(st.tuples(tokens, st.one_of(st.none(), tokens, quoted)), max_size=4).map(tuple)
plain_params = st.lists(st.tuples(tokens, st.one_of(st.none(), tokens)), max_size=4).map(tuple)


@given(st.builds(Via, st.sampled_from(["UDP", "TCP", "X-1"]), hosts, ports, params))
def test_via_round_trip(value: Via) -> None:
    assert Via.parse(str(value)) == value


@given(st.builds(SipUri, st.sampled_from(["sip", "sips"]), st.one_of(st.none(), tokens), hosts, ports, plain_params))
def test_uri_round_trip(value: SipUri) -> None:
    assert SipUri.parse(str(value)) == value


@given(st.builds(NameAddr, st.one_of(st.just(""), tokens, quoted), st.builds(lambda u, h: f"sip:{u}@{h}", tokens, hosts), params))
def test_nameaddr_round_trip(value: NameAddr) -> None:
    assert NameAddr.parse(str(value)) == value
    assert [NameAddr.parse(part) for part in split_values(f"{value} , {value}")] == [value, value]


@given(st.builds(CSeq, st.integers(0, 2**31 - 1), tokens))
def test_cseq_round_trip(value: CSeq) -> None:
    assert CSeq.parse(str(value)) == value


@given(params)
def test_params_round_trip(value: tuple[tuple[str, str | None], ...]) -> None:
    assert parse_params(format_params(value)[1:]) == value


@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_quoting_round_trip(text: str) -> None:
    assert unquote(quote(text)) == text


@given(st.text(max_size=60))
def test_values_parse_or_are_refused(text: str) -> None:
    for parse in (Via.parse, SipUri.parse, NameAddr.parse, CSeq.parse, parse_params, split_values):
        try:
            parse(text)
        except PeerError:
            continue


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:a@h:99999",
        "sip:a@h:\u0661",
        "sip:a b@h",
        "sip:a\x00@h",
        "sip:a@h;\x01",
        "sip:a@h?\x7f",
        "sip:a@h;;",
        "sip:[::1",
        "nonsense",
    ],
)
def test_bad_uris(raw: str) -> None:
    with pytest.raises(PeerError) as caught:
        SipUri.parse(raw)
    assert caught.value.status == 400


def test_uri_parts() -> None:
    uri = SipUri.parse("sip:User;par=u%40example.net@EXAMPLE.com.:5070;transport=udp;lr?Route=%3Csip:x%3E")
    assert uri.user_key == "user;par=u@example.net"
    assert (uri.host_key, uri.port, uri.param("lr"), uri.headers) == ("example.com", 5070, "", "Route=%3Csip:x%3E")
    assert uri.param("maddr") is None
    assert str(uri) == "sip:User;par=u%40example.net@EXAMPLE.com.:5070;transport=udp;lr?Route=%3Csip:x%3E"


def test_unescaping_is_done_once_and_never_to_control_octets() -> None:
    assert unescape("a%2541%00%0d%41") == "a%41%00%0dA"


@pytest.mark.parametrize(
    "raw", ["<sip:a@b", 'Bob "x" <sip:a@b>', '"a <sip:a@b>', "a, b <sip:a@b>", "sip:a@b?x", "<a>", "", "<sip:a@b> x", "<sip:a@b>;=1"]
)
def test_bad_addresses(raw: str) -> None:
    with pytest.raises(PeerError):
        NameAddr.parse(raw)


def test_address_parts() -> None:
    value = NameAddr.parse('"a, \\"b\\" <c>" <sip:a@b;x=1>;tag=1;q="2"')
    assert (value.tag, value.param("q"), value.sip_uri.param("x")) == ("1", '"2"', "1")
    assert NameAddr.parse("sip:a@b;tag=9").tag == "9"
    assert value.with_tag("2").tag == "2"
    assert NameAddr.parse("tel:+1").uri == "tel:+1"


@pytest.mark.parametrize(
    "raw", ["SIP/2.0/UDP", "SIP/2.0/UDP :]", "SIP/3.0/UDP h", "HTTP/2.0/UDP h", "SIP/2.0/UDP h:70000", "SIP/2.0/UDP h;;branch=1"]
)
def test_bad_vias(raw: str) -> None:
    with pytest.raises(PeerError):
        Via.parse(raw)


def test_via_accepts_spaces_where_the_grammar_does() -> None:
    via = Via.parse("SIP / 2.0 / UDP  host : 5070 ; branch=z9hG4bKx ;rport")
    assert (via.sent_by, via.branch, via.has_rfc3261_branch) == ("host:5070", "z9hG4bKx", True)
    assert not Via.parse("SIP/2.0/UDP h;branch=z9hG4bK").has_rfc3261_branch


def test_where_a_request_came_from_decides_where_its_responses_go() -> None:
    plain = Via.parse("SIP/2.0/UDP pbx.example:5070;branch=z9hG4bKx")
    assert plain.seen_from("192.0.2.7", 40_000).reply_address() == ("192.0.2.7", 5070)
    asked = Via.parse("SIP/2.0/UDP 192.0.2.7;rport;branch=z9hG4bKx").seen_from("192.0.2.7", 40_000)
    assert asked.reply_address() == ("192.0.2.7", 40_000)
    assert str(asked) == "SIP/2.0/UDP 192.0.2.7;rport=40000;branch=z9hG4bKx;received=192.0.2.7"
    same = Via.parse("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKx")
    assert same.seen_from("192.0.2.7", 40_000) == same
    assert same.reply_address() == ("192.0.2.7", 5060)


def test_a_forged_received_is_overwritten() -> None:
    via = Via.parse("SIP/2.0/UDP 192.0.2.7;received=198.51.100.1;rport=1")
    assert via.seen_from("192.0.2.7", 40_000).reply_address() == ("192.0.2.7", 40_000)


def test_limits_of_lists() -> None:
    with pytest.raises(PeerError):
        parse_params(";".join(["a"] * (MAX_PARAMS + 1)))
    with pytest.raises(PeerError):
        split_values(",".join(["a"] * (MAX_VALUES + 1)))
    with pytest.raises(PeerError):
        split_values(",".join(["<a>"] * (MAX_VALUES + 1)))
    with pytest.raises(PeerError):
        parse_params('a="')


def test_commas_within_quotes_and_brackets_do_not_split() -> None:
    assert split_values('"a,b" <sip:c,d@e>, <sip:f@g>') == ['"a,b" <sip:c,d@e>', "<sip:f@g>"]


def test_setting_a_parameter_keeps_its_place() -> None:
    assert with_param((("A", "1"), ("b", None)), "a", "2") == (("A", "2"), ("b", None))


def test_names() -> None:
    assert {key(letter) for letter in COMPACT} == set(COMPACT.values())
    assert key_of(b"VIA \t") == key_of(b"v") == "via"
    assert key_of(b"X-A") == "x-a"
    assert key_of(b" X") is key_of(b"") is key_of(b"a b") is None


def test_reasons() -> None:
    assert reason_phrase(487) == "Request Terminated"
    assert reason_phrase(499) == "Unknown"


@given(st.builds(SipUri, st.sampled_from(["sip", "sips"]), st.one_of(st.none(), tokens), hosts, ports, plain_params, st.just("a=1")))
def test_a_parameter_is_put_in_and_taken_out_without_a_trace(value: SipUri) -> None:
    written = put_param(str(value), "sipuri-x", "abc")
    assert SipUri.parse(written).param("sipuri-x") == "abc"
    assert take_param(written, "sipuri-x") == (str(value), "abc")


@pytest.mark.parametrize(
    ("uri", "left"),
    [
        ("sip:a;x=1@b;x=2;y", ("sip:a;x=1@b;y", "2")),
        ("sip:a;x=1@b", ("sip:a;x=1@b", "")),
        ("sip:b;x=2?x=3", ("sip:b?x=3", "2")),
        ("sip:b;xx=2", ("sip:b;xx=2", "")),
        ("tel:+1;x=2", ("tel:+1", "2")),
        ("", ("", "")),
    ],
)
def test_only_the_parameter_itself_is_taken(uri: str, left: tuple[str, str]) -> None:
    assert take_param(uri, "x") == left
