from __future__ import annotations

import json
from pathlib import Path

import pytest

from mediarelay.aio.journal import SLACK_LINES, JournalFile
from mediarelay.core.events import SessionChanged
from mediarelay.core.journal import JournalEntry
from tests.unit.kernel.test_offload import Kernel, carried_call
from tests.unit.relay.harness import CALLER, ENGINE, RelayHarness, rtp, sdp

PHONE, NODE = (CALLER, 5000), (ENGINE, 6000)


def kept(harness: RelayHarness) -> JournalEntry:
    """Return the session's entry as it would come back from a file."""
    entry = harness.relay.entry_of("c-1")
    assert entry is not None
    value: JournalEntry = json.loads(json.dumps(entry))
    return value


def restarted(harness: RelayHarness, entry: JournalEntry) -> RelayHarness:
    """Return a relay that has resumed a session of another."""
    later = RelayHarness()
    later.now = harness.now + 3
    later.relay.restore(entry, later.now)
    later.pump()
    return later


def test_a_session_goes_on_where_it_was() -> None:
    harness = RelayHarness()
    inside = harness.offer(sdp(CALLER, 5000, "a=rtcp:5009", "a=sendrecv"), label="caller", via_branch="z9")
    outside = harness.answer()
    for number in (1, 2, 5):
        harness.media(outside, rtp(number), PHONE)
    harness.media(inside, rtp(1, ssrc=9), NODE)
    later = restarted(harness, kept(harness))
    assert [session.figures() for session in later.relay.table] == [session.figures() for session in harness.relay.table]
    assert kept(later) == kept(harness)
    assert later.media(outside, rtp(6), PHONE) == (("10.0.0.1", inside), NODE)
    assert later.media(outside, rtp(6), ("192.0.2.66", 5000)) is None
    assert later.ng("query", call_id="c-1")[b"tags"][b"a"][b"label"] == b"caller"  # type: ignore[index]  # it is a dictionary
    assert later.offer() == inside
    later.ng("delete", call_id="c-1", from_tag="a", to_tag="b")
    later.advance(31)
    assert all(pool.free == pool.size for pool in later.relay.table.allocator.pools.values())
    assert (later.relay.table.flows, later.bound) == ({}, set())


def test_what_the_kernel_carries_is_adopted_with_its_counts() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    carried_call(harness)
    kernel.forward(PHONE, 100)
    harness.advance(1)
    entry = kept(harness)
    kernel.forward(PHONE, 11)
    later = restarted(harness, entry)
    again = Kernel(later)
    again.flows, again.came, again.left = kernel.flows, kernel.came, kernel.left
    later.relay.adopt(entry, lambda flows: all(again.flows.get(flow.mark) == flow for flow in flows), later.now)
    assert later.relay.offload.marks() == set(kernel.flows)
    later.advance(1)
    assert next(iter(later.relay.table)).figures()[0].packets_in == 3 + 111
    used = later.relay.offload.marks()
    later.ng("offer", call_id="c-2", from_tag="a", sdp=sdp(CALLER, 7000), direction=["external", "internal"])
    later.ng("answer", call_id="c-2", from_tag="a", to_tag="b", sdp=sdp(ENGINE, 8000))
    other = later.relay.table.get("c-2")
    assert other is not None
    first, second = (leg.rtp.local[1] for leg in other.streams[0].legs)
    later.media(first, rtp(1), (CALLER, 7000))
    later.media(second, rtp(1, ssrc=9), (ENGINE, 8000))
    later.advance(0.5)
    assert len(later.relay.offload) == 4
    assert {flow.mark for flow in other.streams[0].kernel_flows}.isdisjoint(used)


def test_flows_that_are_not_as_written_down_are_not_adopted() -> None:
    harness = RelayHarness()
    Kernel(harness)
    carried_call(harness)
    later = restarted(harness, kept(harness))
    later.relay.adopt(kept(harness), lambda flows: False, later.now)
    assert len(later.relay.offload) == 0


@pytest.mark.parametrize("key", ["parties", "streams", "touched_at"])
def test_a_damaged_record_is_refused(key: str) -> None:
    harness = RelayHarness()
    harness.offer()
    entry = kept(harness)
    del entry[key]
    with pytest.raises(ValueError, match="damaged"):
        RelayHarness().relay.restore(entry, 1.0)


def test_two_sessions_cannot_have_one_port() -> None:
    harness = RelayHarness()
    harness.offer()
    later = restarted(harness, kept(harness))
    with pytest.raises(ValueError, match="is not free"):
        later.relay.restore({**kept(harness), "call": "c-2"}, later.now)


def test_every_change_emits_an_event() -> None:
    harness = RelayHarness()

    def told() -> int:
        count = sum(isinstance(event, SessionChanged) for event in harness.events)
        harness.events.clear()
        return count

    inside = harness.offer()
    assert told() == 1
    outside = harness.answer()
    assert told() == 1
    for port, source in ((outside, PHONE), (inside, NODE)):
        harness.media(port, rtp(1), source)
        harness.pump()
        assert told() == 1
        harness.media(port, rtp(2), source)
        harness.pump()
        assert told() == 0
    harness.ng("delete", call_id="c-1", from_tag="a")
    assert told() == 1
    assert harness.relay.entry_of("c-1") is None


# The file.


def test_a_journal_file_returns_the_live_sessions(tmp_path: Path) -> None:
    path = tmp_path / "var" / "relay.journal"
    journal = JournalFile(path, "rules-1")
    assert journal.load() == ([], False)
    journal.open()
    for number in (1, 2, 3):
        journal.put(f"c-{number}", {"call": f"c-{number}", "streams": {}})
    journal.put("c-2", {"call": "c-2", "streams": {"0": 1}})
    journal.put("c-1", None)
    assert JournalFile(path, "rules-1").load() == ([{"call": "c-3", "streams": {}}, {"call": "c-2", "streams": {"0": 1}}], True)
    assert JournalFile(path, "rules-2").load()[1] is False
    path.write_text(path.read_text() + '{"call":"c-3","str')
    assert len(JournalFile(path, "rules-1").load()[0]) == 2
    journal.close()
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "\n", "[]\n", "junk\n{}", '{"boot":"another","rules":"rules-1"}\n{"call":"c","streams":{}}'])
def test_a_journal_of_another_boot_or_without_a_header_is_ignored(tmp_path: Path, content: str) -> None:
    path = tmp_path / "relay.journal"
    path.write_text(content)
    assert JournalFile(path, "rules-1").load() == ([], False)


def test_malformed_journal_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "relay.journal"
    journal = JournalFile(path, "rules-1")
    journal.open()
    journal.put("c-1", {"call": "c-1", "streams": {}})
    path.write_text(path.read_text() + '[]\n5\n{"call":[]}\n{}\nnull\n')
    assert len(JournalFile(path, "rules-1").load()[0]) == 1


def test_the_journal_does_not_grow_without_bound(tmp_path: Path) -> None:
    path = tmp_path / "relay.journal"
    journal = JournalFile(path, "rules-1")
    journal.open()
    for number in range(3 * SLACK_LINES):
        journal.put("c-1", {"call": "c-1", "streams": {}, "n": number})
    assert len(path.read_text().splitlines()) <= SLACK_LINES + 6
    assert JournalFile(path, "rules-1").load()[0] == [{"call": "c-1", "streams": {}, "n": 3 * SLACK_LINES - 1}]
