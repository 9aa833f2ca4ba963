"""A client's id and secret, as an Authorization header carries them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import unquote_plus


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client id, and the candidates for its secret: HTTP Basic can be read in two ways."""

    client_id: str
    secrets: tuple[str, ...]


def basic_credentials(header: str) -> Credentials:
    """Return the credentials in an HTTP Basic header, empty ones for a malformed header.

    RFC 6749 wants both parts form-encoded, but few clients do that: the secret is accepted decoded and as it stands.
    """
    scheme, _, encoded = header.partition(" ")
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return Credentials("", ())
    if scheme.lower() != "basic" or not colon:
        return Credentials("", ())
    return Credentials(unquote_plus(user), tuple(dict.fromkeys((password, unquote_plus(password)))))
