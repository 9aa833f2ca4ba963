"""What a run needs of a stack, ours or the peer's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

# Each has a loopback address of its own: both stacks may use the usual port ranges, and neither collides with what runs on 127.0.0.1.
OUR_ADDRESS, PEER_ADDRESS, SIPP_ADDRESS = "127.0.0.2", "127.0.0.3", "127.0.0.4"
REALM = "sip-uri.localhost"


@dataclass(frozen=True, slots=True)
class Caller:
    """The URI, address and user of sipp's calls; `callee_port` is where the answering sipp listens."""

    proxy: tuple[str, int]
    sip_uri: str
    user: str
    callee_port: int
    password: str = field(repr=False)

    def fields(self) -> str:
        """Return sipp's injection file."""
        return f"SEQUENTIAL\n{self.sip_uri};[authentication username={self.user} password={self.password}]\n"


class Stack(Protocol):
    """A proxy, its media relay and its database."""

    @property
    def name(self) -> str: ...

    @property
    def database(self) -> str: ...

    @property
    def caller(self) -> Caller: ...

    def parts(self) -> dict[str, int]:
        """Return the process id of the root of each part's tree; the database is not included."""

    def rows(self) -> int:
        """Return how many calls it has recorded."""
