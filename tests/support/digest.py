"""Answers to challenges by who knows the password, as phones give them."""

from __future__ import annotations

from sipproxy.sip import digest
from sipproxy.sip.digest import Challenge, Credentials, make_ha1


def answer_challenge(
    challenge: Challenge, *, username: str, password: str, method: str, uri: str, cnonce: str, count: int = 1
) -> Credentials:
    """Return the credentials that answer a challenge."""
    ha1 = make_ha1(username, challenge.realm, password, challenge.algorithm)
    return digest.answer_challenge(challenge, username=username, ha1=ha1, method=method, uri=uri, cnonce=cnonce, count=count)
