"""A small seeded sample of `make fuzz`, and every input that broke something once."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.fuzz.engine import run_target, saved
from tests.fuzz.mutate import MAX_INPUT, mutate
from tests.fuzz.targets import TARGETS

SAMPLE = 12_000


@pytest.mark.parametrize("name", TARGETS)
def test_a_sample_of_hostile_inputs_breaks_nothing(name: str) -> None:
    target = TARGETS[name]
    outcome = run_target(target, Random(f"sample {name}"), max(len(target.seeds), round(SAMPLE * target.share)))
    assert outcome.findings == {}
    assert outcome.kept > 1, "the inputs reach more than one end"


@pytest.mark.parametrize(("name", "path"), saved(), ids=lambda value: value.name if isinstance(value, Path) else "")
def test_what_broke_once_does_not_again(name: str, path: Path) -> None:
    TARGETS[name].run(path.read_bytes())


def test_a_seed_repeats_its_inputs() -> None:
    seeds = TARGETS["message"].seeds
    one, two = ([mutate(seeds, random) for _ in range(200)] for random in (Random(7), Random(7)))
    assert one == two
    assert len(set(one)) > 190
    assert max(map(len, one)) <= MAX_INPUT
