"""Encode and decode bencode (BEP 3), the notation of the ng protocol.

The encoder writes the canonical form: dictionary keys sorted, integers without leading zeros. The decoder refuses what
is not canonical, with one exception: dictionary keys may come in any order, because rtpengine and Kamailio write them
in the order of insertion. A key that appears twice is refused. Depth and length are bounded before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import itemgetter

MAX_LENGTH = 65_535
"""Octets of one document: the ng protocol is a datagram protocol."""
MAX_DEPTH = 16
"""Nesting of lists and dictionaries; rtpengine's own answers use seven levels."""

_NAME = itemgetter(0)
_INTEGER = re.compile(rb"i(0|-?[1-9][0-9]{0,18})e")
_LENGTH_DIGITS = 5


def encode(value: object) -> bytes:
    """Return `value` in canonical bencode.

    `str` is written as UTF-8; `bytes`, `int`, lists, tuples and mappings as themselves. Anything else, `bool` and
    `None` included, raises TypeError, a document over `MAX_LENGTH` octets or `MAX_DEPTH` levels ValueError.
    """
    out: list[bytes] = []
    _write(value, out, MAX_DEPTH)
    data = b"".join(out)
    if len(data) > MAX_LENGTH:
        raise ValueError("The bencode document is too long.")
    return data


def decode(data: bytes) -> object:
    """Return the value of one bencode document: `int`, `bytes`, `list` or `dict[bytes, …]`.

    Raises ValueError with a sentence if `data` is not exactly one well-formed document within the limits.
    """
    if len(data) > MAX_LENGTH:
        raise ValueError("The bencode document is too long.")
    value, position = _read(data, 0, MAX_DEPTH)
    if position != len(data):
        raise ValueError("Octets follow the bencode document.")
    return value


def _read(data: bytes, position: int, depth: int) -> tuple[object, int]:
    lead = data[position : position + 1]
    if lead == b"d" or lead == b"l":
        if depth == 0:
            raise ValueError("The bencode document is nested too deeply.")
        read = _read_dict if lead == b"d" else _read_list
        return read(data, position + 1, depth - 1)
    if lead == b"i":
        return _read_integer(data, position)
    return _read_string(data, position)


def _read_dict(data: bytes, position: int, depth: int) -> tuple[dict[bytes, object], int]:
    result: dict[bytes, object] = {}
    while data[position : position + 1] != b"e":
        key, position = _read_string(data, position)
        if key in result:
            raise ValueError("A bencode dictionary key appears twice.")
        result[key], position = _read(data, position, depth)
    return result, position + 1


def _read_integer(data: bytes, position: int) -> tuple[int, int]:
    match = _INTEGER.match(data, position)
    if match is None:
        raise ValueError("A bencode integer is malformed.")
    return int(match[1]), match.end()


def _read_list(data: bytes, position: int, depth: int) -> tuple[list[object], int]:
    result: list[object] = []
    while data[position : position + 1] != b"e":
        item, position = _read(data, position, depth)
        result.append(item)
    return result, position + 1


def _read_string(data: bytes, position: int) -> tuple[bytes, int]:
    colon = data.find(b":", position, position + _LENGTH_DIGITS + 1)
    digits = data[position:colon]
    if colon < 0 or not digits.isdigit() or (digits != b"0" and digits.startswith(b"0")):
        raise ValueError("The bencode document is truncated or malformed.")
    end = colon + 1 + int(digits)
    if end > len(data):
        raise ValueError("A bencode string is truncated.")
    return data[colon + 1 : end], end


def _write(value: object, out: list[bytes], depth: int) -> None:
    # The usual types first, by exact type: nearly all of a document is strings in one dictionary.
    kind = type(value)
    if kind is bytes:
        out.append(b"%d:%b" % (len(value), value))  # type: ignore[arg-type, str-format]  # `kind` says so
    elif kind is str:
        data = value.encode()  # type: ignore[attr-defined]  # `kind` says so
        out.append(b"%d:%b" % (len(data), data))
    elif isinstance(value, int) and kind is not bool:
        out.append(b"i%de" % value)
    elif isinstance(value, dict | Mapping):
        _write_dict(value, out, _inside(depth))
    elif isinstance(value, list | tuple):
        _write_list(value, out, _inside(depth))
    else:
        raise TypeError(f"Bencode has no notation for {kind.__name__}.")


def _inside(depth: int) -> int:
    if depth == 0:
        raise ValueError("The bencode document is nested too deeply.")
    return depth - 1


def _write_list(items: list[object] | tuple[object, ...], out: list[bytes], depth: int) -> None:
    out.append(b"l")
    for item in items:
        _write(item, out, depth)
    out.append(b"e")


def _write_dict(entries: Mapping[object, object], out: list[bytes], depth: int) -> None:
    out.append(b"d")
    for name, item in sorted(((_key(key), item) for key, item in entries.items()), key=_NAME):
        out.append(b"%d:%b" % (len(name), name))
        _write(item, out, depth)
    out.append(b"e")


def _key(key: object) -> bytes:
    if isinstance(key, str):
        return key.encode()
    if isinstance(key, bytes):
        return key
    raise TypeError("A bencode dictionary key must be a string.")
