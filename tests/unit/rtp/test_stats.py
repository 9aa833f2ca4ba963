from hypothesis import given
from hypothesis import strategies as st

from mediarelay.rtp.stats import ReceiveStats

SSRC = 7


def _feed(stats: ReceiveStats, sequences: list[int], *, ssrc: int = SSRC) -> None:
    for step, sequence in enumerate(sequences):
        stats.update(ssrc, sequence & 0xFFFF, 160 * step, step * 0.020)


def test_nothing_received() -> None:
    stats = ReceiveStats()
    assert (stats.received, stats.lost, stats.jitter, stats.fraction_lost()) == (0, 0, 0, 0)


def test_loss_across_the_wrap() -> None:
    stats = ReceiveStats()
    _feed(stats, [65533, 65534, 1, 2, 3])
    assert stats.received == 5
    assert stats.lost == 2
    assert stats.highest_sequence == 0x10003


def test_reordering_is_no_loss_and_duplicates_do_not_go_negative() -> None:
    stats = ReceiveStats()
    _feed(stats, [10, 12, 11, 13, 13, 13])
    assert stats.lost == 0


def test_fraction_is_per_interval() -> None:
    stats = ReceiveStats()
    _feed(stats, [0, 2, 4, 6])
    assert stats.fraction_lost() == 3 * 256 // 7
    _feed(stats, [7, 8])
    assert stats.fraction_lost() == 0
    assert stats.lost == 3


def test_a_new_source_keeps_the_old_loss() -> None:
    stats = ReceiveStats()
    _feed(stats, [0, 1, 4])
    _feed(stats, [500, 501], ssrc=8)
    assert stats.lost == 2
    assert stats.ssrc == 8


def test_a_jump_must_be_confirmed() -> None:
    stats = ReceiveStats()
    _feed(stats, [0, 1, 30000])
    assert (stats.received, stats.lost) == (2, 0)
    _feed(stats, [30001, 30002])
    assert (stats.received, stats.lost) == (4, 0)


def test_jitter_of_an_even_stream_is_zero_and_of_an_uneven_one_is_not() -> None:
    even, uneven = ReceiveStats(), ReceiveStats()
    for step in range(200):
        even.update(SSRC, step, 160 * step, 5 + step * 0.020)
        uneven.update(SSRC, step, 160 * step, 5 + step * 0.020 + (step % 2) * 0.010)
    assert even.jitter <= 1
    assert 9.5 < uneven.jitter_ms < 10.5
    assert 76 <= uneven.jitter <= 84


def test_jitter_survives_the_timestamp_wrap() -> None:
    stats = ReceiveStats()
    for step in range(100):
        stats.update(SSRC, step, (0xFFFFFFFF - 8000 + 160 * step) & 0xFFFFFFFF, step * 0.020)
    assert stats.jitter <= 1


@given(st.lists(st.booleans(), min_size=1, max_size=300), st.integers(0, 0xFFFF))
def test_lost_is_what_was_dropped_between_first_and_last(kept: list[bool], first: int) -> None:
    stats = ReceiveStats()
    received = [first + k for k, keep in enumerate(kept) if keep]
    _feed(stats, received)
    expected = received[-1] - received[0] + 1 if received else 0
    assert stats.lost == expected - len(received)
