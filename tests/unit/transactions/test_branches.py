from __future__ import annotations

from sipproxy.sip import Request
from sipproxy.transactions.branches import has_looped, make_branch
from tests.support.sip import make_request

KEY = b"key"


def come_back(request: Request, branch: str) -> Request:
    again = request.copy()
    again.prepend("Via", f"SIP/2.0/UDP 203.0.113.5:6160;branch={branch}")
    again.prepend("Via", "SIP/2.0/UDP elsewhere.example;branch=z9hG4bKx")
    return again


def test_a_loop_is_recognised_but_a_spiral_is_none() -> None:
    request = make_request(branch="z9hG4bKa")
    branch = make_branch(request, key=KEY, random="0123456789abcdef0123")
    looped = come_back(request, branch)
    assert has_looped(looped, keys=(KEY,))
    assert not has_looped(looped, keys=(b"other",))
    assert has_looped(looped, keys=(b"other", KEY))
    looped.set_uri("sip:other@sip.example")
    assert not has_looped(looped, keys=(KEY,))
    assert not has_looped(request, keys=(KEY,))


def test_odd_vias_are_no_loop() -> None:
    request = make_request(branch="z9hG4bKa")
    request.append("Via", "nonsense z9hG4bK")
    request.append("Via", "SIP/2.0/UDP h;branch=z9hG4bK" + "\u00e9" * 36)
    assert not has_looped(request, keys=(KEY,))
