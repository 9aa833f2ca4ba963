"""The page of an application: one form, one save, by the API's rules, and nothing that is typed is lost."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from tests.support.api import ApiCustomer
from tests.unit.voiceapps.builders import ACTOR, application
from tests.unit.voiceapps.forms import form_of
from tests.unit.voiceapps.people import logged_in, made
from voiceapps.console.pages.apps.form import FIELD_OF
from voiceapps.models import AuditEntry, VoiceApplication
from voiceapps.rules.cidr import MAX_SOURCE_RANGES
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.rules.people.roles import Role
from voiceapps.services import applications
from voiceapps.services.trials.webhook_tests import Attempt

pytestmark = pytest.mark.django_db

EVIL = '<script>document.title="owned"</script>\u202e'
BY_RANGE = InboundSipPatch(enabled=True, password_auth=False, source_ips=("203.0.113.0/24",), regions=("US",))


@pytest.fixture
def operator() -> Client:
    return logged_in(made("first", Role.ADMIN))


def path(row: VoiceApplication) -> str:
    return reverse("console:app", args=[row.pk])


def shown(client: Client, row: VoiceApplication, **query: str) -> str:
    answer = client.get(path(row), query)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def filled(client: Client, row: VoiceApplication, **typed: Any) -> dict[str, Any]:
    """Open the page, and return what the browser sends after that was typed; None unticks."""
    fields: dict[str, Any] = {**form_of(client.get(path(row)).content.decode(), "Save"), **typed}
    return {name: value for name, value in fields.items() if value is not None}


def saved(client: Client, row: VoiceApplication, **typed: Any) -> tuple[int, str]:
    answer = client.post(path(row), filled(client, row, **typed))
    row.refresh_from_db()
    return answer.status_code, html.unescape(answer.content.decode())


class TestSave:
    def test_a_page_that_is_saved_as_it_is_changes_nothing(self, operator: Client) -> None:
        row = applications.update(application(callback_username="u", callback_password="p"), {}, BY_RANGE, actor=ACTOR).application
        before = VoiceApplication.objects.filter(pk=row.pk).values().get()
        assert saved(operator, row)[0] == 302
        assert VoiceApplication.objects.filter(pk=row.pk).values().get() == before
        assert "Nothing has changed." in shown(operator, row)

    def test_one_save_changes_settings_and_sip_settings(self, operator: Client) -> None:
        row = applications.update(application(), {}, BY_RANGE, actor=ACTOR).application
        typed = {
            **{"name": "Renamed", "source_ips": "203.0.113.0/24\r\n198.51.100.9/32", "regions": ["EU", "US"]},
            **{"digest_algorithms": "SHA-256", "callback_timeout": "4.5", "max_calls": "7"},
            **{"mask_digits": "on", "media_source_ips": "192.0.2.0/24", "secure_media": "off"},
        }
        status, _ = saved(operator, row, **typed)
        assert status == 302
        assert (row.name, row.callback_timeout, row.max_calls, row.mask_digits, row.secure_media) == ("Renamed", 4.5, 7, True, "off")
        assert (row.allowed_source_ips, row.allowed_regions) == (["203.0.113.0/24", "198.51.100.9/32"], ["EU", "US"])
        assert (row.digest_algorithms, row.media_source_ips) == (["SHA-256"], ["192.0.2.0/24"])
        entry = AuditEntry.objects.filter(action="application.update").latest("pk")
        assert entry.actor == "operator first"
        assert entry.before["name"] == "App"

    def test_a_stored_password_stays_and_is_not_shown(self, operator: Client) -> None:
        row = application(callback_username="u", callback_password="hidden-4711")
        assert "hidden-4711" not in shown(operator, row)
        assert saved(operator, row, name="Renamed")[0] == 302
        assert row.callback_password == "hidden-4711"
        assert saved(operator, row, callback_username="")[0] == 302
        assert (row.callback_username, row.callback_password) == ("", "")

    @pytest.mark.parametrize("user", ["", "somebody"])
    def test_a_user_and_a_password_come_together(self, operator: Client, user: str) -> None:
        status, page = saved(operator, application(), callback_username=user, callback_password="" if user else "p")
        assert status == 200
        assert ("Required together with the user." if user else "This field is required.") in page

    def test_taking_the_password_away_forgets_it(self, operator: Client) -> None:
        row = applications.update(application(), {}, InboundSipPatch(enabled=True, password_auth=True), actor=ACTOR).application
        status, page = saved(operator, row, password_auth=None)
        assert (status, row.password_auth_enabled) == (200, True)
        assert "Inbound SIP calls need passwordAuthEnabled: true" in page
        assert saved(operator, row, password_auth=None, source_ips="203.0.113.0/24")[0] == 302
        assert (row.password_auth_enabled, hasattr(row, "credential")) == (False, False)

    def test_what_is_typed_without_enabling_is_refused_and_not_lost(self, operator: Client) -> None:
        row = application()
        _, page = saved(operator, row, source_ips="203.0.113.0/24")
        assert "Cannot be set while inboundSipCallsEnabled is false." in page
        assert "203.0.113.0/24</textarea>" in page

    def test_nobody_disables_it_by_the_form(self, operator: Client) -> None:
        row = applications.update(application(), {}, BY_RANGE, actor=ACTOR).application
        assert saved(operator, row, enabled=None)[0] == 302
        assert row.inbound_sip_enabled

    def test_without_the_key_of_its_passwords_it_says_so(self, operator: Client, settings: Settings) -> None:
        row = application(callback_username="u", callback_password="p")
        form = filled(operator, row, name="Renamed")
        settings.SIPURI_FIELD_KEYS = (Fernet.generate_key().decode(),)
        operator = logged_in(made("second", Role.OPERATOR))
        assert "No key in SIPURI_FIELD_KEYS" in operator.post(path(row), form).content.decode()


# A field as the API names it, a bad value, and what is typed into the form for it.
BAD = [
    ("callInitiatedCallbackUrl", "javascript:alert(1)", "javascript:alert(1)"),
    ("callInitiatedCallbackUrl", "not a url", "not a url"),
    ("callInitiatedCallbackUrl", "", ""),
    ("callInitiatedCallbackUrl", "https://a.example/" + "x" * 2048, "https://a.example/" + "x" * 2048),
    ("callStatusCallbackUrl", "ftp://a.example/", "ftp://a.example/"),
    ("callInitiatedFallbackUrl", "//a.example", "//a.example"),
    ("callbackTimeout", -5, "-5"),
    ("callbackTimeout", 25.5, "25.5"),
    ("applicationName", "", ""),
    ("applicationName", "x" * 201, "x" * 201),
    ("keepalive", 5, "5"),
    ("mediaTimeout", 9, "9"),
    ("mediaTimeout", 3601, "3601"),
    ("maxConcurrentCalls", 0, "0"),
    ("maxCallsPerSecond", 2**31, str(2**31)),
    ("mediaLearning", "all", "all"),
    ("secureMedia", "maybe", "maybe"),
    ("callInitiatedMethod", "PUT", "PUT"),
    ("allowedSourceIps", ["10.0.0.0/8", "203.0.113.0/24", "203.0.113.9"], "10.0.0.0/8\n203.0.113.0/24\n203.0.113.9"),
    ("allowedSourceIps", [f"203.0.{n}.0/24" for n in range(26)], " ".join(f"203.0.{n}.0/24" for n in range(26))),
    ("mediaSourceIps", ["0.0.0.0/0", "203.0.113.0/24", "203.0.113.0/24"], "0.0.0.0/0, 203.0.113.0/24, 203.0.113.0/24"),
    ("allowedRegions", ["XX", "us"], ["XX", "us"]),
]
COLUMNS = {
    **{
        "callbackTimeout": "callback_timeout",
        "applicationName": "name",
        "mediaTimeout": "media_timeout",
        "maxConcurrentCalls": "max_calls",
    },
    **{"maxCallsPerSecond": "max_calls_per_second", "mediaLearning": "media_learning", "secureMedia": "secure_media"},
    **{"callInitiatedMethod": "initiated_method", "mediaSourceIps": "media_source_ips", "keepalive": "keepalive", **FIELD_OF},
}


class TestRules:
    @pytest.mark.parametrize(("wire", "bad", "typed"), BAD)
    def test_both_doors_refuse_it_with_the_same_sentence(
        self, operator: Client, customer: ApiCustomer, wire: str, bad: object, typed: object
    ) -> None:
        row = applications.update(application(), {}, BY_RANGE, actor=ACTOR).application
        told = customer.request("PATCH", f"{customer.base}/{row.pk}", {wire: bad}).json()["errors"][0]
        assert told["source"]["field"] == wire
        answer = operator.post(path(row), filled(operator, row, **{COLUMNS[wire]: typed}))
        errors = answer.context["form"].errors
        assert errors.keys() == {COLUMNS[wire]}
        assert " ".join(errors[COLUMNS[wire]]) == told["description"]
        row.refresh_from_db()
        assert row.version == 2

    def test_one_bad_range_loses_nothing_that_was_typed(self, operator: Client) -> None:
        row = applications.update(application(), {}, BY_RANGE, actor=ACTOR).application
        status, page = saved(operator, row, name="Renamed", source_ips="203.0.113.0/24\n10.1.2.3/8", regions=["DE"], max_calls="12")
        assert status == 200
        assert "'10.1.2.3/8': Host bits are set: the range is ambiguous." in page
        again = form_of(page, "Save")
        assert (again["name"], again["source_ips"]) == (["Renamed"], ["203.0.113.0/24\n10.1.2.3/8"])
        assert (again["regions"], again["max_calls"]) == (["DE"], ["12"])
        assert (row.name, row.allowed_regions) == ("App", ["US"])

    def test_ranges_are_checked_while_one_types(self, operator: Client) -> None:
        def told(of: str, text: str) -> str:
            answer = operator.post(reverse("console:app_ranges"), {"of": of, "text": text})
            assert answer.status_code == 200
            assert "no-store" in answer["Cache-Control"]
            return html.unescape(answer.content.decode())

        assert "'10.0.0.0/8': Overlaps 10.0.0.0/8: RFC 1918 private range." in told("source_ips", "203.0.113.0/24\n10.0.0.0/8")
        assert "2 ranges, each as it should be." in told("source_ips", "203.0.113.0/24\n0.0.0.0/0")
        assert "Too wide" in told("media_source_ips", "0.0.0.0/0")
        assert f"At most {MAX_SOURCE_RANGES} entries" in told("source_ips", "192.0.2.1/32 " * 4000)
        assert told("source_ips", " \n").strip() == ""
        assert "<script>" not in operator.post(reverse("console:app_ranges"), {"of": "source_ips", "text": EVIL}).content.decode()
        assert operator.post(reverse("console:app_ranges"), {"of": "name", "text": ""}).status_code == 404
        assert operator.get(reverse("console:app_ranges")).status_code == 405


class TestTwoOperators:
    def change(self, row: VoiceApplication, **fields: Any) -> None:
        applications.update(VoiceApplication.objects.get(pk=row.pk), fields, InboundSipPatch(), actor=ACTOR)

    def told(self, page: str) -> list[list[str]]:
        table = page.partition('class="sipuri-calls sipuri-meanwhile"')[2].partition("</table>")[0]
        rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", table, re.DOTALL)
        return [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows]

    def test_the_second_is_told_what_changed_and_undoes_nothing(self, operator: Client) -> None:
        row = applications.update(application(), {}, BY_RANGE, actor=ACTOR).application
        mine = filled(operator, row, name="Mine", max_calls="7")
        self.change(row, name="Theirs", status_url="https://b.example/status", mask_digits=True)
        answer = operator.post(path(row), mine)
        page = html.unescape(answer.content.decode())
        assert answer.status_code == 409
        assert self.told(page) == [
            ["Name", "App", "Theirs", "Mine", "yours replaces theirs"],
            ["Status URL", "https://a.example/status", "https://b.example/status", "https://a.example/status", "theirs stays"],
            ["Mask digits in what is stored", "no", "yes", "no", "theirs stays"],
        ]
        row.refresh_from_db()
        assert (row.name, row.max_calls) == ("Theirs", None)
        again = form_of(page, "Save")
        assert (again["name"], again["max_calls"]) == (["Mine"], ["7"])
        assert operator.post(path(row), again).status_code == 302
        row.refresh_from_db()
        assert (row.name, row.status_url, row.mask_digits, row.max_calls) == ("Mine", "https://b.example/status", True, 7)

    def test_what_changed_is_told_beside_what_is_wrong(self, operator: Client) -> None:
        row = application()
        mine = filled(operator, row, name="Mine", keepalive="5")
        self.change(row, name="Theirs")
        answer = operator.post(path(row), mine)
        page = html.unescape(answer.content.decode())
        assert answer.status_code == 409
        assert self.told(page) == [["Name", "App", "Theirs", "Mine", "yours replaces theirs"]]
        assert "Must be 0 (never) or within 10-300 seconds." in page

    def test_lists_ticks_and_a_uri_that_is_gone_are_told_too(self, operator: Client) -> None:
        row = applications.update(application(), {}, BY_RANGE, actor=ACTOR).application
        mine = filled(operator, row, source_ips="203.0.113.0/24\n198.51.100.0/24")
        applications.update(row, {}, InboundSipPatch(enabled=False), actor=ACTOR)
        page = html.unescape(operator.post(path(row), mine).content.decode())
        told = {label: rest for label, *rest in self.told(page)}
        assert told["Take calls at a SIP URI"] == ["yes", "no", "yes", "theirs stays"]
        ranges = ["203.0.113.0/24", "none", "203.0.113.0/24, 198.51.100.0/24", "yours replaces theirs"]
        assert told["Source ranges"] == ranges
        assert told["Regions"] == ["US", "none", "US", "theirs stays"]
        again = form_of(page, "Save")
        assert ("enabled" in again, "regions" in again, again["source_ips"]) == (False, False, ["203.0.113.0/24\n198.51.100.0/24"])

    def test_what_both_changed_alike_replaces_nothing(self, operator: Client) -> None:
        row = application()
        mine = filled(operator, row, name="Same", callback_timeout="15")
        self.change(row, name="Same")
        page = html.unescape(operator.post(path(row), mine).content.decode())
        assert self.told(page) == [["Name", "App", "Same", "Same", "theirs stays"]]

    def test_a_changed_password_is_told_without_a_field(self, operator: Client) -> None:
        row = applications.update(application(), {}, InboundSipPatch(enabled=True, password_auth=True), actor=ACTOR).application
        mine = filled(operator, row, name="Mine")
        applications.update(row, {}, InboundSipPatch(password_auth=True), actor=ACTOR)
        answer = operator.post(path(row), mine)
        assert answer.status_code == 409
        assert "a password was changed" in answer.content.decode()

    @pytest.mark.parametrize("stamp", ["", "forged:1:2", None])
    def test_a_form_that_nobody_signed_saves_nothing(self, operator: Client, stamp: str | None) -> None:
        row = application()
        answer = operator.post(path(row), filled(operator, row, name="Mine", opened=stamp))
        assert answer.status_code == 409
        assert self.told(html.unescape(answer.content.decode())) == [["Name", "not known", "App", "Mine", "yours replaces theirs"]]

    def test_a_stamp_of_another_application_is_none(self, operator: Client) -> None:
        row, other = application(), application("9900001")
        form = filled(operator, row) | {"opened": filled(operator, other)["opened"]}
        assert operator.post(path(row), form).status_code == 409

    def test_a_change_at_the_same_moment_is_told_as_well(self, operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        row, update = application(), applications.update

        def late(*args: Any, **options: Any) -> Any:
            monkeypatch.setattr(applications, "update", update)
            self.change(row, name="Theirs")
            return update(*args, **options)

        form = filled(operator, row, name="Mine")
        monkeypatch.setattr(applications, "update", late)
        answer = operator.post(path(row), form)
        assert answer.status_code == 409
        assert self.told(html.unescape(answer.content.decode()))[0][:4] == ["Name", "App", "Theirs", "Mine"]


class TestPage:
    @pytest.mark.parametrize(("tab", "queries"), [("settings", 4), ("setup", 4), ("trials", 5), ("log", 7)])
    def test_it_asks_few_questions(
        self, operator: Client, django_assert_num_queries: DjangoAssertNumQueries, tab: str, queries: int
    ) -> None:
        row = applications.update(application(), {}, BY_RANGE, actor=ACTOR).application
        for number in range(5):
            applications.update(row, {"name": f"App {number}"}, InboundSipPatch(), actor=ACTOR)
        operator.get(path(row))
        with django_assert_num_queries(queries):  # session, user, permissions, application; entries, names, accounts
            shown(operator, row, tab=tab)

    def test_who_may_only_look_sees_no_button_and_no_secret_of_a_url(self) -> None:
        row = application(initiated_url="https://user:hidden-4711@a.example/x?key=hidden-4712")
        page = shown(logged_in(made("looker", Role.VIEWER)), row)
        assert "hidden-471" not in page
        assert "https://***@a.example/x?key=***" in page
        assert ">Save</button>" not in page
        assert '<fieldset class="sipuri-panel" disabled>' in page

    def test_hostile_text_stays_text(self, operator: Client) -> None:
        row = application(name=EVIL, callback_username=EVIL)
        for tab in ("settings", "setup", "trials", "log"):
            page = operator.get(path(row), {"tab": tab}).content.decode()
            assert EVIL not in page
            assert "<script>document" not in page

    def test_the_sheet_names_what_a_customer_needs(self, operator: Client, settings: Settings) -> None:
        row = applications.update(application(), {}, InboundSipPatch(enabled=True, password_auth=True), actor=ACTOR).application
        page = shown(operator, row, tab="setup")
        assert row.sip_uri is not None
        for text in (row.sip_uri, str(row.pk), "_sip._udp.", "6160", "pjsip.conf", "failure_route", "PASSWORD"):
            assert text in page
        assert "TLS" not in page
        settings.SIP_TLS_CERT = "/etc/certificate.pem"
        assert "_sips._tcp." in shown(operator, row, tab="setup")

    def test_who_takes_encrypted_audio_only_is_reached_by_tls(self, operator: Client) -> None:
        row = applications.update(application(secure_media="required"), {}, BY_RANGE, actor=ACTOR).application
        page = shown(operator, row, tab="setup")
        assert "transport=tls" in page
        assert "takes no SIP over TLS" in page

    def test_the_log_is_the_trail_of_this_application(self, operator: Client) -> None:
        row, other = application(), application()
        applications.update(other, {"name": "Another"}, InboundSipPatch(), actor=ACTOR)
        saved(operator, row, name="Renamed")
        page = shown(operator, row, tab="log")
        assert "<del>" in page
        assert "Renamed" in page
        assert "Another" not in page

    def test_calls_and_refusals_are_linked_with_the_filter_set(self, operator: Client) -> None:
        row = application()
        page = shown(operator, row)
        assert f"{reverse('console:calls')}?app={row.pk}" in page
        assert f"{reverse('console:refused')}?app={row.pk}" in page


class TestCallback:
    def test_its_answer_is_shown(self, operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        first = Attempt("https://a.example/initiate", "POST", 500, 12, "It answered 500.", None, EVIL)
        monkeypatch.setattr("voiceapps.services.trials.webhook_tests.run", lambda _row, **_actor: (first,))
        page = operator.post(reverse("console:app_test", args=[application().pk])).content.decode()
        assert "It answered 500." in page
        assert "a call cannot use it" in page
        assert EVIL not in page

    def test_a_support_operator_tests_it_and_a_viewer_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("voiceapps.services.trials.webhook_tests.run", lambda _row, **_actor: ())
        row = application()
        for role, status in ((Role.SUPPORT, 200), (Role.VIEWER, 403)):
            client = logged_in(made(role.value, role))
            assert client.post(reverse("console:app_test", args=[row.pk])).status_code == status

    def test_without_the_key_of_its_passwords_it_says_so(self, operator: Client, settings: Settings) -> None:
        row = application(callback_username="u", callback_password="p")
        settings.SIPURI_FIELD_KEYS = (Fernet.generate_key().decode(),)
        client = logged_in(made("second", Role.OPERATOR))
        assert "No key in SIPURI_FIELD_KEYS" in client.post(reverse("console:app_test", args=[row.pk])).content.decode()
