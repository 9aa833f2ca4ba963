"""The decision whether a call is admitted.

The input is facts of the request and snapshots of the applications that it names; the output is one decision. Every rule is
evaluated, so that the trace is complete. The first rule that fails, in the order of `decide`, determines the decision.
Nothing here has state or does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from voiceapps.rules import cidr, regions
from voiceapps.rules.media_settings import SecureMedia

Verdict = Literal["passed", "failed", "skipped"]


class DigestState(StrEnum):
    """The result of checking the request's credentials."""

    ABSENT = "absent"
    STALE = "stale"
    OTHER_USER = "other_user"
    WRONG = "wrong"
    VALID = "valid"


class Outcome(StrEnum):
    """What the proxy does with the request."""

    ADMIT = "admit"
    CHALLENGE = "challenge"
    REFUSE = "refuse"


class Reason(StrEnum):
    """Why a call was refused."""

    FOREIGN_HOST = "foreign_host"
    RATE_LIMITED = "rate_limited"
    USER_MISMATCH = "user_mismatch"
    UNKNOWN_APPLICATION = "unknown_application"
    DISABLED = "disabled"
    IP_NOT_ALLOWED = "ip_not_allowed"
    REGION_NOT_ALLOWED = "region_not_allowed"
    DIGEST_USER_MISMATCH = "digest_user_mismatch"
    DIGEST_WRONG = "digest_wrong"
    CAPACITY = "capacity"
    DATABASE_UNAVAILABLE = "database_unavailable"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an application or an account; None is no limit."""

    max_calls: int | None = None
    max_calls_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class CallCount:
    """A number of calls of an application, and of its account."""

    application: int = 0
    account: int = 0


@dataclass(frozen=True, slots=True)
class AdmissionSnapshot:
    """One application as admission sees it, read for one INVITE."""

    application_id: str
    account_id: str
    enabled: bool
    users: frozenset[str]
    password_auth: bool
    allowed_source_ips: tuple[str, ...]
    allowed_regions: tuple[str, ...]
    digest_algorithms: tuple[str, ...]
    ha1: tuple[tuple[str, str, str], ...] = field(repr=False)
    application_limits: Limits
    account_limits: Limits
    calls_elsewhere: CallCount
    """Live calls that the asking proxy does not hold; 0 if no limit needs them."""
    media_learning: str = "strict"
    """`nat` if media may come from any public address of a caller behind NAT."""
    media_source_ips: tuple[str, ...] = ()
    """Ranges from which media may come beside the SIP source."""
    sip_headers: bool = False
    """Whether the `initiate` webhook shows the caller's SIP headers."""
    mask_digits: bool = False
    """Whether what is stored of a call shows no digits of its caller."""
    secure_media: SecureMedia = SecureMedia.OFF
    """Whether the audio of its callers is encrypted."""
    unreadable: bool = False
    """Whether it has credentials that cannot be read: no caller can be told from a stranger."""


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What the request says, and where it came from."""

    host: str
    host_is_ours: bool
    request_user: str
    to_user: str
    source_ip: str
    country: str | None
    digest: DigestState
    source_limited: bool


@dataclass(frozen=True, slots=True)
class RuleResult:
    """The result of one rule: its verdict, what it expected and what it saw."""

    rule: str
    verdict: Verdict
    expected: str
    seen: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with the request; `status` is 0 if it is admitted."""

    outcome: Outcome
    status: int
    reason: Reason | None
    stale: bool
    trace: tuple[RuleResult, ...]


@dataclass(frozen=True, slots=True)
class _Finding:
    """A rule's result, with the status and reason of its failure."""

    result: RuleResult
    status: int
    reason: Reason | None


EXPECTED: Mapping[str, str] = {
    "host": "a name or address of this service",
    "source_rate": "within the limit of one source",
    "same_application": "Request-URI and To name the same application",
    "application": "a SIP URI in use",
    "enabled": "inbound SIP calls enabled",
    "digest": "a valid digest for the application",
}
"""What the rules expect that expect the same of every call."""


def decide(facts: RequestFacts, *, request_application: AdmissionSnapshot | None, to_application: AdmissionSnapshot | None) -> Decision:
    """Return the decision about an INVITE whose Request-URI and To name these applications, None if they name no application."""
    application = request_application
    findings = (
        _host(facts),
        _rate(facts),
        _same_application(facts, request_application, to_application),
        _known(facts, application),
        _enabled(application),
        _source_ip(facts, application),
        _region(facts, application),
        _digest(facts, application),
    )
    trace = tuple(finding.result for finding in findings)
    failed = next((finding for finding in findings if finding.result.verdict == "failed"), None)
    if failed is None:
        return Decision(Outcome.ADMIT, 0, None, stale=False, trace=trace)
    if failed.reason is None:
        return Decision(Outcome.CHALLENGE, failed.status, None, stale=facts.digest is DigestState.STALE, trace=trace)
    return Decision(Outcome.REFUSE, failed.status, failed.reason, stale=False, trace=trace)


def _host(facts: RequestFacts) -> _Finding:
    return _finding("host", facts.host_is_ours, EXPECTED["host"], facts.host, 403, Reason.FOREIGN_HOST)


def _rate(facts: RequestFacts) -> _Finding:
    seen = "over the limit" if facts.source_limited else "within the limit"
    return _finding("source_rate", not facts.source_limited, EXPECTED["source_rate"], seen, 503, Reason.RATE_LIMITED)


def _same_application(facts: RequestFacts, request: AdmissionSnapshot | None, to: AdmissionSnapshot | None) -> _Finding:
    same = request.application_id == to.application_id if request and to else request is to and facts.request_user == facts.to_user
    seen = f"{facts.request_user} and {facts.to_user}"
    return _finding("same_application", same, EXPECTED["same_application"], seen, 403, Reason.USER_MISMATCH)


def _known(facts: RequestFacts, application: AdmissionSnapshot | None) -> _Finding:
    return _finding("application", application is not None, EXPECTED["application"], facts.request_user, 401, Reason.UNKNOWN_APPLICATION)


def _enabled(application: AdmissionSnapshot | None) -> _Finding:
    if application is None:
        return _skipped("enabled")
    seen = "enabled" if application.enabled else "disabled"
    return _finding("enabled", application.enabled, EXPECTED["enabled"], seen, 401, Reason.DISABLED)


def _source_ip(facts: RequestFacts, application: AdmissionSnapshot | None) -> _Finding:
    if application is None or not application.allowed_source_ips:
        # Without a password the list is the only authentication, so an empty one admits nobody.
        if application is None or application.password_auth:
            return _skipped("source_ip")
        return _finding(
            "source_ip", False, "a source range, as password authentication is off", facts.source_ip, 401, Reason.IP_NOT_ALLOWED
        )
    allowed = cidr.contains(application.allowed_source_ips, facts.source_ip)
    expected = ", ".join(application.allowed_source_ips)
    return _finding("source_ip", allowed, expected, facts.source_ip, 401, Reason.IP_NOT_ALLOWED)


def _region(facts: RequestFacts, application: AdmissionSnapshot | None) -> _Finding:
    if application is None or not application.allowed_regions:
        return _skipped("region")
    allowed = regions.allows(application.allowed_regions, facts.country)
    expected = ", ".join(application.allowed_regions)
    return _finding("region", allowed, expected, facts.country or "unknown country", 401, Reason.REGION_NOT_ALLOWED)


_DIGEST_FAILURES: dict[DigestState, tuple[int, Reason | None]] = {
    DigestState.ABSENT: (407, None),
    DigestState.STALE: (407, None),
    DigestState.OTHER_USER: (403, Reason.DIGEST_USER_MISMATCH),
    DigestState.WRONG: (401, Reason.DIGEST_WRONG),
}


def _digest(facts: RequestFacts, application: AdmissionSnapshot | None) -> _Finding:
    if application is None or not application.password_auth:
        return _skipped("digest")
    status, reason = _DIGEST_FAILURES.get(facts.digest, (0, None))
    return _finding("digest", facts.digest is DigestState.VALID, EXPECTED["digest"], facts.digest.value, status, reason)


def _finding(rule: str, passed: bool, expected: str, seen: str, status: int, reason: Reason | None) -> _Finding:  # noqa: PLR0913  # one row of the table
    return _Finding(RuleResult(rule, "passed" if passed else "failed", expected, seen), status, reason)


def _skipped(rule: str) -> _Finding:
    return _Finding(RuleResult(rule, "skipped", "", ""), 0, None)
