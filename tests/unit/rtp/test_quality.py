from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.rtp.quality import QualityLog, mean_opinion_score

PERCENT = st.floats(0, 100)
MILLISECONDS = st.floats(0, 10_000)


@pytest.mark.parametrize(
    ("loss", "jitter", "rtt", "score"),
    [
        (0, 0, 0, 4.40),  # the codec's best
        (0, 0, 300, 4.32),
        (0, 0, 600, 3.59),  # beyond 177 ms one way people begin to talk at once
        (1, 0, 0, 4.33),
        (5, 0, 0, 3.90),
        (20, 0, 0, 2.63),
        (100, 0, 0, 1.16),
    ],
)
def test_known_networks(loss: float, jitter: float, rtt: float, score: float) -> None:
    assert mean_opinion_score(loss, jitter, rtt) == pytest.approx(score, abs=0.03)


@given(PERCENT, MILLISECONDS, MILLISECONDS, PERCENT)
def test_a_score_is_a_score_and_more_loss_is_never_better(loss: float, jitter: float, rtt: float, more: float) -> None:
    score = mean_opinion_score(loss, jitter, rtt)
    assert 1.0 <= score <= 4.5
    assert mean_opinion_score(min(100.0, loss + more), jitter, rtt) <= score + 1e-9


def test_a_log_of_scores() -> None:
    log = QualityLog()
    assert QualityLog().average is None
    for score in (4.0, 2.0, 3.0):
        log.add(score)
    assert [log.average, log.lowest, log.highest, log.samples] == [3.0, 2.0, 4.0, 3]
