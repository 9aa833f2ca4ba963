"""Wire samples and small builders for the grammar's tests."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parents[2] / "data" / "sip"


def sample(name: str) -> bytes:
    return (DATA / name).read_bytes()


def invite_with(*, drop: str = "", add: bytes = b"", **changes: str) -> bytes:
    """Return the plain INVITE with header values changed (`call_id="x"`), one line dropped or lines added."""
    head, _, body = sample("invite.sip").partition(b"\r\n\r\n")
    lines = []
    for line in head.split(b"\r\n"):
        name = line.partition(b":")[0].decode()
        if name == drop:
            continue
        value = changes.get(name.lower().replace("-", "_"))
        lines.append(line if value is None else f"{name}: {value}".encode())
    return b"\r\n".join(lines) + b"\r\n" + add + b"\r\n" + body
