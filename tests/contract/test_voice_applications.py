"""Voice applications beyond the quick start: every rule by its field, separation of tenants."""

from __future__ import annotations

import json

import pytest

from tests.support.api import CALLBACK, ApiCustomer
from voiceapps.api.resources.voice_applications import EXAMPLE, VoiceApplicationData, VoiceApplicationInput
from voiceapps.api.wire.forms import ShownOnce
from voiceapps.console.pages.apps.form import SETTINGS_FIELDS
from voiceapps.models import AuditEntry, SipCredential, VoiceApplication

SIP = {"inboundSipCallsEnabled": True, "passwordAuthEnabled": True}


def fields_of(answer: object) -> dict[str, str]:
    body = answer.json()  # type: ignore[attr-defined]  # Django's test response
    assert body["links"] == []
    assert body["data"] is None
    return {error["source"]["field"]: error["description"] for error in body["errors"]}


class TestCreate:
    def test_an_application_starts_disabled(self, customer: ApiCustomer) -> None:
        data = customer.create()
        assert data["sipUri"] is None
        assert data["inboundSipCallsEnabled"] is False
        assert data["allowedSourceIps"] == data["allowedRegions"] == []
        assert "sipAuthPassword" not in data

    def test_it_can_be_enabled_at_once(self, customer: ApiCustomer) -> None:
        data = customer.create(**SIP)
        assert data["sipUri"].startswith("sip:")
        assert len(data["sipAuthPassword"]) >= 32

    def test_location_leads_to_it(self, customer: ApiCustomer) -> None:
        answer = customer.request("POST", customer.base, {"applicationName": "x", "callInitiatedCallbackUrl": CALLBACK, **SIP})
        path = answer["Location"].removeprefix("http://127.0.0.1:8000")
        assert customer.request("GET", path).json()["data"]["applicationId"] == answer.json()["data"]["applicationId"]
        assert answer["Cache-Control"] == "no-store"

    def test_every_bad_field_is_named_with_its_rule(self, customer: ApiCustomer) -> None:
        body = {
            "applicationName": 7,
            "callInitiatedCallbackUrl": "ftp://example.com/",
            "callInitiatedMethod": "PUT",
            "callbackTimeout": 26,
            "inboundSipCallsEnabled": "true",
            "allowedSourceIps": "0.0.0.0/0",
            "sipUri": "sip:me@example.com",
            "colour": "blue",
        }
        answer = customer.request("POST", customer.base, body)
        assert answer.status_code == 400
        errors = fields_of(answer)
        assert errors.keys() == body.keys()
        assert errors["inboundSipCallsEnabled"] == "Must be true or false."
        assert errors["sipUri"] == "Read-only."
        assert errors["colour"] == "No such field."
        assert VoiceApplication.objects.count() == 0

    def test_missing_fields_are_named(self, customer: ApiCustomer) -> None:
        assert fields_of(customer.request("POST", customer.base, {})).keys() == {"applicationName", "callInitiatedCallbackUrl"}

    @pytest.mark.parametrize("body", ["[]", '"x"', "null", "{", "\xff"])
    def test_a_body_that_is_no_object_is_400(self, customer: ApiCustomer, body: str) -> None:
        headers = {"Authorization": f"Bearer {customer.token}"}
        answer = customer.http.generic("POST", customer.base, body, content_type="application/json", headers=headers)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["type"] == "invalid_parameter"

    def test_another_media_type_is_415(self, customer: ApiCustomer) -> None:
        answer = customer.http.post(customer.base, {"a": 1}, headers={"Authorization": f"Bearer {customer.token}"})
        assert answer.status_code == 415


class TestCallbackCredentials:
    def test_the_user_is_shown_but_not_the_password(self, customer: ApiCustomer) -> None:
        data = customer.create(callbackCreds={"userId": "u", "password": "p-secret"})
        assert data["callbackCreds"] == {"userId": "u"}
        assert "p-secret" not in customer.request("GET", customer.base).content.decode()
        assert "p-secret" not in json.dumps(list(AuditEntry.objects.values_list("changes", flat=True)))

    def test_credentials_are_given_once(self, customer: ApiCustomer) -> None:
        creds = {"userId": "u", "password": "p"}
        application_id = customer.create(callbackCreds=creds, callInitiatedFallbackUrl="https://u:p@a.example/f")["applicationId"]
        errors = fields_of(customer.patch(application_id, {"callStatusCallbackUrl": "https://u:p@a.example/s"}))
        assert errors == {
            "callStatusCallbackUrl": "Credentials are given twice, in callStatusCallbackUrl and by callbackCreds. Give them once."
        }
        assert fields_of(customer.patch(application_id, {"callInitiatedFallbackCreds": creds})).keys() == {"callInitiatedFallbackCreds"}
        both = {"callInitiatedCallbackUrl": "https://u@a.example/", "callbackCreds": creds}
        assert fields_of(customer.patch(application_id, both)).keys() == both.keys()
        moved = {"callInitiatedCallbackUrl": "https://u:p@a.example/", "callbackCreds": None}
        assert customer.patch(application_id, moved).status_code == 200

    def test_user_and_password_belong_together_and_null_clears_both(self, customer: ApiCustomer) -> None:
        application_id = customer.create(callbackCreds={"userId": "u", "password": "p"})["applicationId"]
        assert fields_of(customer.patch(application_id, {"callbackCreds": {"userId": "v"}})).keys() == {"callbackCreds.password"}
        assert fields_of(customer.patch(application_id, {"callbackCreds": {"password": "q"}})).keys() == {"callbackCreds.userId"}
        assert customer.patch(application_id, {"callbackCreds": None}).json()["data"]["callbackCreds"] is None


class TestInboundSip:
    def test_enabling_needs_a_mechanism(self, customer: ApiCustomer) -> None:
        application_id = customer.create()["applicationId"]
        answer = customer.patch(application_id, {"inboundSipCallsEnabled": True})
        assert "passwordAuthEnabled" in fields_of(answer)["inboundSipCallsEnabled"]

    @pytest.mark.parametrize("body", [{"passwordAuthEnabled": False}, {"allowedSourceIps": [], "passwordAuthEnabled": False}])
    def test_the_last_mechanism_cannot_be_removed(self, customer: ApiCustomer, body: dict[str, object]) -> None:
        application_id = customer.create(**SIP)["applicationId"]
        assert customer.patch(application_id, body).status_code == 400
        assert customer.get(application_id).json()["data"]["passwordAuthEnabled"] is True

    def test_nothing_can_be_set_while_disabled(self, customer: ApiCustomer) -> None:
        application_id = customer.create()["applicationId"]
        answer = customer.patch(application_id, {"passwordAuthEnabled": True, "allowedRegions": ["US"]})
        assert fields_of(answer).keys() == {"passwordAuthEnabled", "allowedRegions"}

    def test_enabling_again_keeps_the_uri_and_re_enabling_changes_it(self, customer: ApiCustomer) -> None:
        data = customer.create(**SIP)
        again = customer.patch(data["applicationId"], {"inboundSipCallsEnabled": True}).json()["data"]
        assert again["sipUri"] == data["sipUri"]
        customer.patch(data["applicationId"], {"inboundSipCallsEnabled": False})
        assert customer.patch(data["applicationId"], SIP).json()["data"]["sipUri"] != data["sipUri"]

    def test_the_password_is_stored_nowhere(self, customer: ApiCustomer) -> None:
        data = customer.create(**SIP)
        stored = SipCredential.objects.get(pk=data["applicationId"]).secrets
        assert data["sipAuthPassword"] not in stored
        assert data["sipAuthPassword"] not in json.dumps(list(AuditEntry.objects.values_list("changes", flat=True)))

    def test_password_off_drops_the_credential(self, customer: ApiCustomer) -> None:
        data = customer.create(**SIP, allowedSourceIps=["0.0.0.0/0"])
        customer.patch(data["applicationId"], {"passwordAuthEnabled": False})
        assert not SipCredential.objects.exists()

    @pytest.mark.parametrize(
        ("entry", "rule"),
        [
            ("192.168.1.5/24", "Host bits"),
            ("10.0.0.0/8", "RFC 1918"),
            ("172.16.0.0/12", "RFC 1918"),
            ("192.168.0.0/16", "RFC 1918"),
            ("127.0.0.0/8", "loopback"),
            ("169.254.0.0/16", "link-local"),
            ("::1/128", "IPv6"),
            ("172.0.0.0/8", "Overlaps 172.16.0.0/12"),
            ("198.51.100.42", "198.51.100.42/32"),
            ("010.0.0.1/32", "Leading zeros"),
            ("100.64.0.0/10", "RFC 6598"),
            ("224.0.0.0/4", "multicast"),
            ("0.0.0.0/8", "Overlaps 0.0.0.0/8"),
            (" 203.0.113.0/24", "CIDR form"),
        ],
    )
    def test_a_bad_range_says_which_rule_it_breaks(self, customer: ApiCustomer, entry: str, rule: str) -> None:
        application_id = customer.create(**SIP)["applicationId"]
        answer = customer.patch(application_id, {"allowedSourceIps": ["203.0.113.0/24", entry]})
        assert rule in fields_of(answer)["allowedSourceIps"]

    @pytest.mark.parametrize("entries", [["203.0.113.0/24"], ["198.51.100.5/32"], ["0.0.0.0/0"], []])
    def test_good_ranges_replace_the_list(self, customer: ApiCustomer, entries: list[str]) -> None:
        application_id = customer.create(**SIP, allowedSourceIps=["192.0.2.0/24"])["applicationId"]
        assert customer.patch(application_id, {"allowedSourceIps": entries}).json()["data"]["allowedSourceIps"] == entries

    def test_at_most_25_ranges_and_no_duplicates(self, customer: ApiCustomer) -> None:
        application_id = customer.create(**SIP)["applicationId"]
        ranges = [f"203.0.113.{n}/32" for n in range(26)]
        assert "At most 25" in fields_of(customer.patch(application_id, {"allowedSourceIps": ranges}))["allowedSourceIps"]
        assert customer.patch(application_id, {"allowedSourceIps": ranges[:25]}).status_code == 200
        assert "more than once" in fields_of(customer.patch(application_id, {"allowedSourceIps": ranges[:1] * 2}))["allowedSourceIps"]

    def test_regions_are_countries_or_groups(self, customer: ApiCustomer) -> None:
        application_id = customer.create(**SIP)["applicationId"]
        assert customer.patch(application_id, {"allowedRegions": ["US", "EU", "DE"]}).status_code == 200
        assert "'us'" in fields_of(customer.patch(application_id, {"allowedRegions": ["us"]}))["allowedRegions"]


class TestTenants:
    def test_another_account_is_forbidden(self, customer: ApiCustomer, stranger: ApiCustomer) -> None:
        application_id = customer.create()["applicationId"]
        for method, path in (("GET", customer.base), ("POST", customer.base), ("GET", f"{customer.base}/{application_id}")):
            answer = stranger.request(method, path, {} if method == "POST" else None)
            assert answer.status_code == 403

    def test_anothers_application_is_not_found_under_ones_own_account(self, customer: ApiCustomer, stranger: ApiCustomer) -> None:
        application_id = customer.create()["applicationId"]
        assert stranger.get(application_id).status_code == 404
        assert stranger.patch(application_id, {"applicationName": "mine"}).status_code == 404
        assert stranger.request("GET", stranger.base).json()["data"] == []

    def test_no_token_is_401_with_a_challenge(self, customer: ApiCustomer) -> None:
        answer = customer.http.get(customer.base)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer.json()["errors"][0]["type"] == "unauthorized"


def test_unknown_paths_and_methods_keep_the_envelope(customer: ApiCustomer) -> None:
    assert customer.request("GET", "/v2/nowhere").json()["errors"][0]["type"] == "resource_not_found"
    assert customer.request("PUT", customer.base, {}).json()["errors"][0]["type"] == "method_not_allowed"
    assert customer.get("not-a-uuid").status_code == 404


def test_each_field_is_in_the_example_and_in_the_console() -> None:
    shown = {name for name, field in VoiceApplicationData().fields.items() if not isinstance(field, ShownOnce)}
    assert shown == set(EXAMPLE)
    columns = {str(field.source) for field in VoiceApplicationInput().fields.values()}
    plain = {source for source in columns if source != "*" and not source.startswith("inbound_sip")}
    assert plain <= set(SETTINGS_FIELDS)
