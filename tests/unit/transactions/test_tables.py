from __future__ import annotations

import pytest

from sipproxy.transactions.tables import FIRST, LINGER, MACHINE, Action, Input, Kind, State


@pytest.mark.parametrize("kind", Kind)
def test_every_state_can_be_reached_and_left(kind: Kind) -> None:
    table = MACHINE[kind]
    reached = {FIRST[kind]}
    for _ in table:
        reached |= {step[0] for state in reached if state in table for step in table[state].values()}
    assert reached == {*table, State.TERMINATED}
    assert all(any(step[0] is not state for step in steps.values()) for state, steps in table.items())


@pytest.mark.parametrize("kind", Kind)
def test_an_armed_timer_is_listed_in_the_state_where_it_fires(kind: Kind) -> None:
    rings = {
        Action.ARM_LINGER: Input.LINGER_TIMER,
        Action.ARM_TIMEOUT: Input.TIMEOUT_TIMER,
        Action.ARM_RETRANSMIT: Input.RETRANSMIT_TIMER,
        Action.REPEAT: Input.RETRANSMIT_TIMER,
    }
    for steps in MACHINE[kind].values():
        for state, actions in steps.values():
            for action in actions:
                if action in rings:
                    assert rings[action] in MACHINE[kind][state]
                if action is Action.ARM_LINGER:
                    assert (kind, state) in LINGER
