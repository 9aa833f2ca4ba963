from __future__ import annotations

import pytest

from sipproxy.core.response_context import CANCELLED, FIRST, MOVES, UNANSWERED, Input, Phase, ResponseContext
from tests.support.sip import make_request
from tests.unit.proxy.harness import CALLER, RELAY, UDP


def context() -> ResponseContext:
    request = make_request(branch="z9hG4bKx")
    return ResponseContext(UDP, ("server", "z9hG4bKx", "INVITE"), request, CALLER, "c-1", RELAY, initial=True, offered=True)


def test_every_phase_is_listed_and_can_be_reached() -> None:
    reached = {FIRST}
    for _ in MOVES:
        reached |= {following for phase in reached for following in MOVES[phase].values()}
    assert reached == set(MOVES) == set(Phase)


def test_every_phase_leads_to_the_end_and_the_end_to_nothing() -> None:
    assert {phase for phase, moves in MOVES.items() if moves.get(Input.FINAL_SENT) is Phase.FINISHED} == set(Phase) - {Phase.FINISHED}
    assert MOVES[Phase.FINISHED] == {}


def test_another_target_is_tried_only_until_the_sender_has_seen_a_response_or_cancelled() -> None:
    assert {phase for phase, moves in MOVES.items() if Input.NEXT_TARGET in moves} == {Phase.CALLING, Phase.PROCEEDING}


@pytest.mark.parametrize("phase", Phase)
def test_a_cancelled_request_stays_so_until_its_final_response(phase: Phase) -> None:
    following = MOVES[phase].get(Input.CANCEL)
    if following is None:
        assert phase in (*CANCELLED, Phase.FINISHED)
    else:
        assert following in CANCELLED
        assert MOVES[following] == {Input.FINAL_SENT: Phase.FINISHED}
        assert (following in UNANSWERED) == (phase in UNANSWERED)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("given", Input)
def test_move_follows_the_table_and_ignores_what_it_does_not_list(phase: Phase, given: Input) -> None:
    held = context()
    assert held.phase is FIRST
    held.phase = phase
    held.move(given)
    assert held.phase is MOVES[phase].get(given, phase)
