"""Ask a relay and wait for the answer; for management commands, not for daemons."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping

from daemonkit.address import Address
from mediarelay.ng.bencode import decode, encode

TRIES = 3
TRY_SECONDS = 1.0
DATAGRAM_BYTES = 65_535


def ask_relay(relay: Address, command: Mapping[str, object]) -> Mapping[bytes, object]:
    """Return a relay's answer; raises TimeoutError, or ValueError with the reason if it refuses or its answer cannot be read."""
    cookie = secrets.token_hex(8).encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TRY_SECONDS)
        sock.connect(relay)
        for _ in range(TRIES):
            sock.send(cookie + b" " + encode(command))
            try:
                got, _, body = sock.recv(DATAGRAM_BYTES).partition(b" ")
            except (TimeoutError, ConnectionRefusedError):
                continue
            if got == cookie:
                return _checked(decode(body))
    raise TimeoutError("it does not answer")


def _checked(answer: object) -> Mapping[bytes, object]:
    if not isinstance(answer, dict):
        raise ValueError("its answer is no dictionary")
    if answer.get(b"result") == b"error":
        raise ValueError(bytes(answer.get(b"error-reason", b"no reason")).decode("utf-8", "replace"))
    return answer
