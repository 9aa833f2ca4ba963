"""ETag and If-Match; deleting; the account's limit of applications."""

from __future__ import annotations

import uuid

import pytest

from tests.support.api import CALLBACK, ApiCustomer
from tests.unit.voiceapps.builders import ended, facts
from voiceapps.models import Account, AuditEntry, Call, SipCredential, VoiceApplication
from voiceapps.rules.reports import CallAdmitted
from voiceapps.services.reports import write_reports


def tag(customer: ApiCustomer, application_id: str) -> str:
    return str(customer.get(application_id)["ETag"])


class TestIfMatch:
    def test_only_a_change_makes_a_new_tag(self, customer: ApiCustomer) -> None:
        application_id = customer.create()["applicationId"]
        before = tag(customer, application_id)
        assert customer.patch(application_id, {"applicationName": "My Voice App"})["ETag"] == before
        assert customer.patch(application_id, {"applicationName": "Other"})["ETag"] == tag(customer, application_id) != before

    def test_a_rotation_is_a_change(self, customer: ApiCustomer) -> None:
        application_id = customer.create(inboundSipCallsEnabled=True, passwordAuthEnabled=True)["applicationId"]
        before = tag(customer, application_id)
        assert customer.patch(application_id, {"passwordAuthEnabled": True})["ETag"] != before

    def test_the_current_tag_permits_a_change(self, customer: ApiCustomer) -> None:
        application_id = customer.create()["applicationId"]
        seen = tag(customer, application_id)
        assert customer.patch(application_id, {"applicationName": "a"}, If_Match=f'"7", {seen}').status_code == 200
        answer = customer.patch(application_id, {"applicationName": "b"}, If_Match=seen)
        assert answer.status_code == 412
        assert answer.json()["errors"][0]["source"] == {"header": "If-Match"}
        assert customer.get(application_id).json()["data"]["applicationName"] == "a"

    @pytest.mark.parametrize(
        ("header", "status"), [("*", 200), ('W/"1"', 412), ('"0"', 412), ('""', 412), ("1", 400), ("", 400), ('"1', 400)]
    )
    def test_other_forms(self, customer: ApiCustomer, header: str, status: int) -> None:
        application_id = customer.create()["applicationId"]
        assert customer.patch(application_id, {"applicationName": "b"}, If_Match=header).status_code == status


class TestDelete:
    def test_its_credential_is_deleted_and_its_audit_stays(self, customer: ApiCustomer) -> None:
        application_id = customer.create(inboundSipCallsEnabled=True, passwordAuthEnabled=True)["applicationId"]
        answer = customer.request("DELETE", f"{customer.base}/{application_id}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert customer.get(application_id).status_code == 404
        assert not SipCredential.objects.exists()
        assert AuditEntry.objects.get(action="application.delete").subject == application_id

    def test_live_calls_prevent_deletion_unless_forced(self, customer: ApiCustomer) -> None:
        application_id = customer.create()["applicationId"]
        write_reports([CallAdmitted(facts(VoiceApplication.objects.get(pk=application_id)), "proxy")])
        path = f"{customer.base}/{application_id}"
        answer = customer.request("DELETE", path)
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["type"] == "calls_in_progress"
        assert customer.request("DELETE", f"{path}?force=false").status_code == 409
        assert customer.request("DELETE", f"{path}?force=yes").status_code == 400
        assert customer.request("DELETE", f"{path}?force=true").status_code == 204
        assert Call.objects.get().application is None

    def test_an_ended_call_does_not_prevent_deletion(self, customer: ApiCustomer) -> None:
        application_id = customer.create()["applicationId"]
        call = facts(VoiceApplication.objects.get(pk=application_id))
        write_reports([CallAdmitted(call, "proxy"), ended(call)])
        assert customer.request("DELETE", f"{customer.base}/{application_id}").status_code == 204

    def test_if_match_guards_it(self, customer: ApiCustomer) -> None:
        application_id = customer.create()["applicationId"]
        path = f"{customer.base}/{application_id}"
        assert customer.request("DELETE", path, If_Match='"99"').status_code == 412
        assert customer.request("DELETE", path, If_Match=tag(customer, application_id)).status_code == 204

    def test_anothers_is_not_found(self, customer: ApiCustomer, stranger: ApiCustomer) -> None:
        application_id = customer.create()["applicationId"]
        assert stranger.request("DELETE", f"{stranger.base}/{application_id}").status_code == 404
        assert stranger.request("DELETE", f"{stranger.base}/{uuid.uuid4()}").status_code == 404


def test_the_accounts_limit_of_applications_is_enforced(customer: ApiCustomer) -> None:
    Account.objects.filter(pk=customer.account_id).update(max_applications=1)
    first = customer.create()["applicationId"]
    body = {"applicationName": "x", "callInitiatedCallbackUrl": CALLBACK}
    answer = customer.request("POST", customer.base, body)
    assert (answer.status_code, answer.json()["errors"][0]["type"]) == (409, "too_many_applications")
    customer.request("DELETE", f"{customer.base}/{first}")
    assert customer.request("POST", customer.base, body).status_code == 201


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3", 2**31])
def test_a_limit_is_a_whole_number_from_one_on_or_null(customer: ApiCustomer, value: object) -> None:
    application_id = customer.create(maxConcurrentCalls=5)["applicationId"]
    answer = customer.patch(application_id, {"maxConcurrentCalls": value})
    assert answer.json()["errors"][0]["source"] == {"field": "maxConcurrentCalls"}
    assert customer.patch(application_id, {"maxConcurrentCalls": None}).json()["data"]["maxConcurrentCalls"] is None


def test_media_settings_are_kept_and_shown(customer: ApiCustomer) -> None:
    wanted = {
        "mediaLearning": "nat",
        "mediaSourceIps": ["198.51.100.0/24"],
        "mediaTimeout": 3600,
        "keepalive": 0,
        "sipHeaders": True,
        "secureMedia": "required",
        "maskDigits": True,
    }
    made = customer.create()
    assert {name: made[name] for name in wanted} == {
        "mediaLearning": "strict",
        "mediaSourceIps": [],
        "mediaTimeout": 30,
        "keepalive": 25,
        "sipHeaders": False,
        "secureMedia": "optional",
        "maskDigits": False,
    }
    changed = customer.patch(made["applicationId"], wanted).json()["data"]
    assert {name: changed[name] for name in wanted} == wanted
    assert AuditEntry.objects.get(action="application.update").changes["mask_digits"] is True
    assert customer.patch(made["applicationId"], {"inboundSipCallsEnabled": False}).json()["data"]["mediaSourceIps"] == ["198.51.100.0/24"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mediaLearning", "any"),
        ("mediaLearning", None),
        ("mediaSourceIps", ["0.0.0.0/0"]),
        ("mediaSourceIps", "198.51.100.0/24"),
        ("mediaSourceIps", None),
        ("mediaTimeout", 9),
        ("mediaTimeout", 3601),
        ("mediaTimeout", "30"),
        ("keepalive", 5),
        ("keepalive", 301),
        ("sipHeaders", "true"),
        ("secureMedia", "always"),
        ("secureMedia", None),
        ("maskDigits", "true"),
        ("maskDigits", None),
    ],
)
def test_a_bad_media_setting_is_named(customer: ApiCustomer, field: str, value: object) -> None:
    answer = customer.patch(customer.create()["applicationId"], {field: value})
    assert (answer.status_code, answer.json()["errors"][0]["source"]) == (400, {"field": field})


def test_the_answer_carries_the_request_id_that_the_audit_names(customer: ApiCustomer) -> None:
    answer = customer.request("POST", customer.base, {"applicationName": "x", "callInitiatedCallbackUrl": CALLBACK}, X_Request_Id="forged")
    entry = AuditEntry.objects.get(action="application.create")
    assert entry.request_id == answer["X-Request-Id"] != "forged"
    assert entry.actor == f"client {customer.client_id}"
    assert entry.source_ip == "127.0.0.1"


def test_the_account_reads_its_own_audit(customer: ApiCustomer, stranger: ApiCustomer) -> None:
    application_id = customer.create()["applicationId"]
    stranger.create()
    path = f"/v2/accounts/{customer.account_id}/audit-entries?subject={application_id}"
    (entry,) = customer.request("GET", path).json()["data"]
    assert entry["action"] == "application.create"
    assert entry["changes"]["name"] == "My Voice App"
    assert stranger.request("GET", path).status_code == 403


def test_a_body_over_the_cap_is_413(customer: ApiCustomer) -> None:
    answer = customer.request("POST", customer.base, {"applicationName": "x" * 70_000})
    assert (answer.status_code, answer.json()["errors"][0]["type"]) == (413, "payload_too_large")
