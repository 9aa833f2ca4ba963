"""How many rows of everything there are."""

from __future__ import annotations

from dataclasses import dataclass

OF_MEDIA = 20_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """The numbers of rows; by default those of a large installation after 30 days."""

    calls: int = 1_000_000
    events: int = 10_000_000
    deliveries: int = 1_000_000
    refusals: int = 500_000
    entries: int = 200_000
    recordings: int = 100_000
    """Each is written down, too."""
    live: int = 200
    """Calls that are up, the newest."""
    media: int = OF_MEDIA
    """Calls, the newest, whose media figures are kept."""
    heavy_events: int = 3_000
    heavy_deliveries: int = 300
    """What one call has that has much of everything."""
    accounts: int = 20
    applications: int = 200
    clients: int = 500
    people: int = 200
    trials: int = 2_000
    hosts: int = 1_000
    exports: int = 20
    nodes: int = 20
    bans: int = 1_000
    ranges: int = 20

    @classmethod
    def of(cls, calls: int, events: int, deliveries: int) -> Sizes:
        """Return the sizes for so many calls; what there is a share of them of becomes less with them."""
        return cls(calls, events, deliveries, calls // 2, calls // 5, calls // 10, media=min(calls, OF_MEDIA))

    @property
    def heavy(self) -> int:
        """The number of the call that has much of everything."""
        return self.calls // 2
