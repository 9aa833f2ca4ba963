"""Our own wire files against their table: what a proxy answers."""

from __future__ import annotations

import pytest

from tests.unit.proxy.harness import CALLER, OUTSIDE, ProxyHarness
from tests.unit.sip.wire import SILENCE, Verdict, sample, verdicts


@pytest.mark.parametrize("verdict", verdicts(), ids=lambda verdict: verdict.file)
def test_every_sample_gets_its_answer_and_leaves_nothing(verdict: Verdict) -> None:
    harness = ProxyHarness()
    harness.receive(sample(verdict.file), CALLER, OUTSIDE, 0.0)
    answers = [data for _, data, _ in harness.take()]
    assert [data[8:11].decode() for data in answers] == ([] if verdict.answer == SILENCE else [verdict.answer])
    assert harness.is_empty()
    assert all(len(data) < 2 * len(sample(verdict.file)) for data in answers), "an answer is no weapon"
