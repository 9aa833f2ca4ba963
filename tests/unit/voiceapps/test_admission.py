from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.admission import AdmissionSnapshot, CallCount, DigestState, Limits, Outcome, Reason, RequestFacts, decide

APPLICATION = AdmissionSnapshot(
    application_id="a",
    account_id="1",
    enabled=True,
    users=frozenset({"a", "alias"}),
    password_auth=True,
    allowed_source_ips=("203.0.113.0/24",),
    allowed_regions=("US",),
    digest_algorithms=("MD5",),
    ha1=(("a", "MD5", "secret-ha1"),),
    application_limits=Limits(),
    account_limits=Limits(),
    calls_elsewhere=CallCount(),
)
OTHER = replace(APPLICATION, application_id="b")
FACTS = RequestFacts(
    host="sip.example.com",
    host_is_ours=True,
    request_user="a",
    to_user="alias",
    source_ip="203.0.113.5",
    country="US",
    digest=DigestState.VALID,
    source_limited=False,
)


def outcome(
    facts: RequestFacts, application: AdmissionSnapshot | None = APPLICATION, to: AdmissionSnapshot | None = None
) -> tuple[int, Reason | None]:
    decision = decide(facts, request_application=application, to_application=to or application)
    return decision.status, decision.reason


def test_a_good_request_is_admitted() -> None:
    decision = decide(FACTS, request_application=APPLICATION, to_application=APPLICATION)
    assert decision.outcome is Outcome.ADMIT
    assert {result.verdict for result in decision.trace} == {"passed"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"host_is_ours": False}, (403, Reason.FOREIGN_HOST)),
        ({"source_limited": True}, (503, Reason.RATE_LIMITED)),
        ({"source_ip": "198.51.100.1"}, (401, Reason.IP_NOT_ALLOWED)),
        ({"country": "DE"}, (401, Reason.REGION_NOT_ALLOWED)),
        ({"country": None}, (401, Reason.REGION_NOT_ALLOWED)),
        ({"digest": DigestState.ABSENT}, (407, None)),
        ({"digest": DigestState.STALE}, (407, None)),
        ({"digest": DigestState.OTHER_USER}, (403, Reason.DIGEST_USER_MISMATCH)),
        ({"digest": DigestState.WRONG}, (401, Reason.DIGEST_WRONG)),
    ],
)
def test_each_rule_has_its_status_and_reason(change: dict[str, object], expected: tuple[int, Reason | None]) -> None:
    assert outcome(replace(FACTS, **change)) == expected  # type: ignore[arg-type]  # the table's values fit their fields


def test_two_applications_get_403_and_none_gets_401() -> None:
    assert outcome(FACTS, APPLICATION, OTHER) == (403, Reason.USER_MISMATCH)
    unknown = replace(FACTS, to_user="a")
    assert outcome(unknown, None) == (401, Reason.UNKNOWN_APPLICATION)
    assert outcome(FACTS, replace(APPLICATION, enabled=False)) == (401, Reason.DISABLED)


def test_a_stale_nonce_is_flagged() -> None:
    assert decide(replace(FACTS, digest=DigestState.STALE), request_application=APPLICATION, to_application=APPLICATION).stale


def test_without_a_password_only_the_source_list_admits() -> None:
    ip_only = replace(APPLICATION, password_auth=False)
    assert outcome(replace(FACTS, digest=DigestState.ABSENT), ip_only) == (0, None)
    nobody = replace(ip_only, allowed_source_ips=())
    assert outcome(FACTS, nobody) == (401, Reason.IP_NOT_ALLOWED)


def test_no_region_allows_every_country_and_a_group_its_members() -> None:
    assert outcome(replace(FACTS, country=None), replace(APPLICATION, allowed_regions=())) == (0, None)
    assert outcome(replace(FACTS, country="DE"), replace(APPLICATION, allowed_regions=("EU",))) == (0, None)


facts = st.builds(
    RequestFacts,
    host=st.just("h"),
    host_is_ours=st.booleans(),
    request_user=st.just("a"),
    to_user=st.just("a"),
    source_ip=st.sampled_from(["203.0.113.5", "198.51.100.1"]),
    country=st.sampled_from([None, "US", "DE"]),
    digest=st.sampled_from(DigestState),
    source_limited=st.booleans(),
)
snapshots = st.none() | st.builds(
    replace,
    st.just(APPLICATION),
    enabled=st.booleans(),
    password_auth=st.booleans(),
    allowed_source_ips=st.sampled_from([(), ("203.0.113.0/24",)]),
)


@given(facts, snapshots, snapshots)
def test_the_first_failed_rule_decides_and_no_secret_is_in_the_trace(
    fact: RequestFacts, request: AdmissionSnapshot | None, to: AdmissionSnapshot | None
) -> None:
    decision = decide(fact, request_application=request, to_application=to)
    assert len(decision.trace) == 8
    assert (decision.outcome is Outcome.ADMIT) == all(result.verdict != "failed" for result in decision.trace)
    assert "secret-ha1" not in repr(decision)
    if decision.outcome is Outcome.ADMIT:
        assert request is not None
        assert fact.digest is DigestState.VALID or (not request.password_auth and request.allowed_source_ips)


REASONS_IN_ORDER = [
    ("host", Reason.FOREIGN_HOST),
    ("source_rate", Reason.RATE_LIMITED),
    ("same_application", Reason.USER_MISMATCH),
    ("application", Reason.UNKNOWN_APPLICATION),
    ("enabled", Reason.DISABLED),
    ("source_ip", Reason.IP_NOT_ALLOWED),
    ("region", Reason.REGION_NOT_ALLOWED),
]


@given(facts, snapshots, snapshots)
def test_no_setting_admits_a_forbidden_call(fact: RequestFacts, request: AdmissionSnapshot | None, to: AdmissionSnapshot | None) -> None:
    decision = decide(fact, request_application=request, to_application=to)
    if decision.outcome is Outcome.REFUSE:
        assert decision.status in {401, 403, 503}
        return
    # Only an admitted or challenged caller may learn that the application exists.
    assert request is not None
    assert request.enabled
    assert request.password_auth or request.allowed_source_ips
    assert not request.allowed_source_ips or fact.source_ip == "203.0.113.5"
    assert fact.country == "US"


@given(facts, snapshots, snapshots)
def test_the_reason_is_the_one_of_the_first_rule_in_order(
    fact: RequestFacts, request: AdmissionSnapshot | None, to: AdmissionSnapshot | None
) -> None:
    decision = decide(fact, request_application=request, to_application=to)
    verdicts = {result.rule: result.verdict for result in decision.trace}
    first = next((reason for rule, reason in REASONS_IN_ORDER if verdicts[rule] == "failed"), None)
    if first is not None:
        assert decision.reason is first
    elif verdicts["digest"] == "failed":
        assert decision.reason in {None, Reason.DIGEST_WRONG, Reason.DIGEST_USER_MISMATCH}
    else:
        assert decision.outcome is Outcome.ADMIT
