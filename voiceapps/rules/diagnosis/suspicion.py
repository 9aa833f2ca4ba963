"""How much a source looks like an attacker, from what was refused to it: a score, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voiceapps.rules.admission import Reason

WEIGHTS: Mapping[Reason, float] = {
    Reason.DIGEST_WRONG: 5.0,
    Reason.UNKNOWN_APPLICATION: 3.0,
    Reason.FOREIGN_HOST: 3.0,
    Reason.DIGEST_USER_MISMATCH: 2.0,
    Reason.RATE_LIMITED: 1.0,
    Reason.USER_MISMATCH: 1.0,
}
"""What one attempt counts; others are a customer's mistakes or faults of ours."""
SCANNER, SUSPECT = 100.0, 15.0
AGENTS = ("friendly-scanner", "sipvicious", "sundayddr", "sipcli", "pplsip", "sipsak", "vaxsipuseragent")
"""What known scanners call themselves, in lower case."""
AGENT_WEIGHT = 50.0


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What is thought of a source."""

    score: int
    word: str
    why: str


def judge(counts: Mapping[Reason, int], agents: frozenset[str], applications: int) -> Suspicion:
    """Return what is thought of a source: `counts` of its attempts by reason, what it calls itself, how many applications it tried."""
    known = sorted(name for name in AGENTS if any(name in agent.lower() for agent in agents))
    score = sum(WEIGHTS.get(reason, 0.0) * count for reason, count in counts.items()) + AGENT_WEIGHT * bool(known)
    reasons = [f"{count} × {reason.value.replace('_', ' ')}" for reason, count in sorted(counts.items(), key=lambda item: -item[1])]
    if known:
        reasons.append(f"calls itself {known[0]}")
    if applications > 1:
        reasons.append(f"{applications} applications")
    word = "scanner" if score >= SCANNER else "suspect" if score >= SUSPECT else "stranger"
    return Suspicion(round(score), word, ", ".join(reasons))
