import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.ng.bencode import MAX_DEPTH, MAX_LENGTH, decode, encode

bencode2 = pytest.importorskip("bencode2")

VALUES = st.recursive(
    st.integers(-(10**18), 10**18) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def test_an_offer() -> None:
    offer = {"command": "offer", "call-id": "c-1", "replace": ["origin"], "sdp": b"v=0\r\n", "n": -3}
    raw = b"d7:call-id3:c-17:command5:offer1:ni-3e7:replacel6:origine3:sdp5:v=0\r\ne"
    assert encode(offer) == raw
    assert decode(raw) == {b"call-id": b"c-1", b"command": b"offer", b"n": -3, b"replace": [b"origin"], b"sdp": b"v=0\r\n"}


def test_text_is_utf8() -> None:
    assert encode("µ") == b"2:\xc2\xb5"


def test_keys_in_any_order_are_read_because_rtpengine_writes_them_so() -> None:
    assert decode(b"d6:result2:ok3:sdp0:4:arg10:e") == {b"result": b"ok", b"sdp": b"", b"arg1": b""}


@pytest.mark.parametrize(
    "raw",
    [b"", b"i", b"ie", b"i-0e", b"i00e", b"i01e", b"i+1e", b"i1", b"i 1e", b"i12345678901234567890e", b"5:abcd", b"05:abcde",
     b"-1:", b"1", b"999999:", b"l", b"li1e", b"d", b"d1:ae", b"di1e1:ae", b"d1:a1:b1:a1:ce", b"x", b"i1ei2e", b"e", b"1:ab"],
)  # fmt: skip
def test_malformed_documents_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        decode(raw)


def test_depth_is_bounded_both_ways() -> None:
    assert decode(b"l" * MAX_DEPTH + b"e" * MAX_DEPTH)
    with pytest.raises(ValueError, match="nested too deeply"):
        decode(b"l" * (MAX_DEPTH + 1) + b"e" * (MAX_DEPTH + 1))
    value: list[object] = []
    for _ in range(MAX_DEPTH):
        value = [value]
    with pytest.raises(ValueError, match="nested too deeply"):
        encode(value)


def test_length_is_bounded_both_ways() -> None:
    with pytest.raises(ValueError, match="too long"):
        decode(b"l" + b"0:" * MAX_LENGTH)
    with pytest.raises(ValueError, match="too long"):
        encode(bytes(MAX_LENGTH))


@pytest.mark.parametrize("value", [None, True, 1.5, {1: 2}, [object()]])
def test_values_without_a_bencode_form_raise_type_error(value: object) -> None:
    with pytest.raises(TypeError, match=r"\.$"):
        encode(value)


@given(VALUES)
def test_round_trip_and_the_independent_codec_agrees(value: object) -> None:
    raw = encode(value)
    assert decode(raw) == value
    assert bencode2.bencode(value) == raw
    assert bencode2.bdecode(raw) == value


@given(st.binary(max_size=40))
def test_any_octets_decode_or_raise_value_error(raw: bytes) -> None:
    try:
        value = decode(raw)
    except ValueError as error:
        assert str(error).endswith(".")
    else:
        assert decode(encode(value)) == value
