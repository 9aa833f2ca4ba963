from __future__ import annotations

import pytest

from mediarelay.ng.limits import MAX_KNOWN_SOURCES
from mediarelay.ng.sources import CommandSources


@pytest.mark.parametrize(
    ("bound", "allowed", "host", "heard"),
    [
        ("127.0.0.1", (), "127.0.0.1", True),
        ("127.0.0.1", (), "127.8.8.8", True),
        ("127.0.0.1", (), "10.0.0.5", False),
        ("10.0.0.5", (), "10.0.0.5", True),
        ("10.0.0.5", (), "10.0.0.6", False),
        ("10.0.0.5", ("10.0.0.6/32", "192.0.2.0/24"), "10.0.0.6", True),
        ("10.0.0.5", ("10.0.0.6/32", "192.0.2.0/24"), "192.0.2.77", True),
        ("10.0.0.5", ("10.0.0.6/32", "192.0.2.0/24"), "192.0.3.1", False),
        ("0.0.0.0", ("10.0.0.0/24",), "10.0.1.1", False),
    ],
)
def test_who_may_command(bound: str, allowed: tuple[str, ...], host: str, heard: bool) -> None:
    sources = CommandSources(bound, allowed)
    assert [sources.admits(host), sources.admits(host)] == [heard, heard]
    assert sources.refused == (0 if heard else 2)


def test_what_is_remembered_is_bounded_and_the_rest_is_heard_all_the_same() -> None:
    sources = CommandSources("127.0.0.1", ("10.0.0.0/8",))
    hosts = [f"10.0.{number // 250}.{number % 250}" for number in range(MAX_KNOWN_SOURCES + 100)]
    assert all(map(sources.admits, hosts))
    assert all(map(sources.admits, hosts))
    assert len(sources._known) == MAX_KNOWN_SOURCES
