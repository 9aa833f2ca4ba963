"""The two tables of verbs: what documents may hold, and what the engine can run."""

from __future__ import annotations

from callflow.bxml.registry import VERBS
from callflow.engine.verbs import STEPS


def test_every_verb_of_a_document_can_be_run() -> None:
    assert set(STEPS) == set(VERBS.values())
