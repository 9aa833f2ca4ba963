"""The limits of an application and its account, applied to a call that admission would let in.

These rules come after those of admission. Only a call that would be admitted counts, so strangers cannot exhaust a
customer's limits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from voiceapps.rules.admission import AdmissionSnapshot, CallCount, Decision, Outcome, Reason, RuleResult

MIN_LIMIT, MAX_LIMIT = 1, 2**31 - 1
"""What a limit may be; its column holds no more."""
LIMITED = 480
"""The status of a reached limit; by a 503 an SBC would rest the whole trunk (RFC 3261 21.5.4)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The current use of the limits: calls that are up, and new calls of the last second."""

    up: CallCount
    recent: CallCount


def apply_limits(decision: Decision, application: AdmissionSnapshot, usage: Usage) -> Decision:
    """Return the decision with the four limits in its trace; a reached limit turns an admission into a 480: the caller may try again."""
    own, account = application.application_limits, application.account_limits
    findings = (
        (Reason.CAPACITY, _calls("application_calls", own.max_calls, usage.up.application)),
        (Reason.CAPACITY, _calls("account_calls", account.max_calls, usage.up.account)),
        (Reason.RATE_LIMITED, _rate("application_rate", own.max_calls_per_second, usage.recent.application)),
        (Reason.RATE_LIMITED, _rate("account_rate", account.max_calls_per_second, usage.recent.account)),
    )
    trace = (*decision.trace, *(result for _, result in findings))
    reason = next((reason for reason, result in findings if result.verdict == "failed"), None)
    if reason is None or decision.outcome is not Outcome.ADMIT:
        return replace(decision, trace=trace)
    return Decision(Outcome.REFUSE, LIMITED, reason, stale=False, trace=trace)


def _calls(rule: str, limit: int | None, up: int) -> RuleResult:
    if limit is None:
        return RuleResult(rule, "skipped", "", "")
    calls = "concurrent call" if limit == 1 else "concurrent calls"
    return RuleResult(rule, "passed" if up < limit else "failed", f"at most {limit} {calls}", f"{up} {'is' if up == 1 else 'are'} up")


def _rate(rule: str, limit: int | None, recent: int) -> RuleResult:
    if limit is None:
        return RuleResult(rule, "skipped", "", "")
    calls = "new call" if limit == 1 else "new calls"
    return RuleResult(rule, "passed" if recent < limit else "failed", f"at most {limit} {calls} a second", f"{recent} in the last second")
