"""The form of an application: one for all of its settings, which are checked by the rules that the API calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from django import forms
from django.http import QueryDict

from voiceapps.choices import CallbackMethod, MediaLearning, SecureMedia
from voiceapps.models import VoiceApplication
from voiceapps.models.applications import CREDENTIAL_LENGTH, NAME_LENGTH, URL_LENGTH
from voiceapps.rules.callback_credentials import CREDENTIALS, URL_FIELDS
from voiceapps.rules.cidr import MAX_SOURCE_RANGES, parse_range
from voiceapps.rules.diagnosis.countries import CONTINENTS, GROUP_NAMES
from voiceapps.rules.entries import entry_errors
from voiceapps.rules.http.callback import MAX_TIMEOUT, MIN_TIMEOUT, check_timeout, check_url
from voiceapps.rules.inbound_sip import ALGORITHMS, ENABLED, PASSWORD, REGIONS, SOURCE_IPS, InboundSipPatch
from voiceapps.rules.limits import MAX_LIMIT, MIN_LIMIT
from voiceapps.rules.masking import masked_url
from voiceapps.rules.media_settings import (
    MAX_KEEPALIVE,
    MAX_MEDIA_TIMEOUT,
    MIN_KEEPALIVE,
    MIN_MEDIA_TIMEOUT,
    check_keepalive,
    parse_media_source,
)

URLS = tuple(URL_FIELDS)
SETTINGS_FIELDS = (
    "name",
    "initiated_url",
    "initiated_method",
    "initiated_fallback_url",
    "initiated_fallback_method",
    "status_url",
    "status_method",
    "callback_timeout",
    "callback_username",
    "callback_password",
    "fallback_username",
    "fallback_password",
    "max_calls",
    "max_calls_per_second",
    "media_learning",
    "media_source_ips",
    "media_timeout",
    "keepalive",
    "sip_headers",
    "secure_media",
    "mask_digits",
)
"""The columns that are fields of the form; those of the SIP URI are set by a patch."""
SIP_FIELDS = MappingProxyType(
    {
        "enabled": "inbound_sip_enabled",
        "password_auth": "password_auth_enabled",
        "source_ips": "allowed_source_ips",
        "regions": "allowed_regions",
        "digest_algorithms": "digest_algorithms",
    }
)
"""The fields of the SIP URI, each with its column."""
FIELD_OF = MappingProxyType(
    {
        ENABLED: "enabled",
        PASSWORD: "password_auth",
        SOURCE_IPS: "source_ips",
        REGIONS: "regions",
        ALGORITHMS: "digest_algorithms",
        **{wire: column for column, (wire, _) in URL_FIELDS.items()},
        **{wire: username for username, wire in CREDENTIALS.items()},
    }
)
"""The form's fields by the names that the API has for them."""
PAIRS = (("callback_username", "callback_password"), ("fallback_username", "fallback_password"))
PASSWORDS = tuple(password for _, password in PAIRS)
TOGETHER = "Required together with the user."
_SENTENCES = {
    "required": "This field may not be blank.",
    "max_length": "Ensure this field has no more than %(limit_value)d characters.",
    "invalid_choice": '"%(value)s" is not a valid choice.',
    "invalid": "Must be a number.",
}
_ALGORITHMS = (("MD5", "MD5: every client knows it"), ("MD5 SHA-256", "MD5 and SHA-256"), ("SHA-256", "SHA-256 alone"))
RANGES = MappingProxyType({"source_ips": parse_range, "media_source_ips": parse_media_source})
"""The rules of the fields with ranges."""
_REGIONS = (
    ("Groups", tuple(GROUP_NAMES.items())),
    *((continent, tuple(countries.items())) for continent, countries in CONTINENTS.items()),
)


@dataclass(frozen=True, slots=True)
class RegionChoice:
    """A country, or a group of countries, in the picker."""

    code: str
    name: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class RegionGroup:
    """What belongs together in the picker."""

    title: str
    choices: tuple[RegionChoice, ...]

    @property
    def chosen(self) -> int:
        """How many of them are chosen."""
        return sum(choice.is_chosen for choice in self.choices)


class Lines(forms.CharField):
    """Entries, one a line; blanks and commas separate them, too."""

    widget = forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off"})

    def prepare_value(self, value: Any) -> Any:
        """Return the text of a list; what was typed stays as it is."""
        return value if isinstance(value, str) else "\n".join(value or ())

    def to_python(self, value: Any) -> Any:
        """Return the entries."""
        return entries(value) if isinstance(value, str) else tuple(value or ())

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the entries differ."""
        return bool(self.to_python(initial) != self.to_python(data))


class Regions(forms.MultipleChoiceField):
    """Countries and groups of them; which of them exist, the rule of the SIP settings says."""

    widget = forms.CheckboxSelectMultiple

    def valid_value(self, value: Any) -> bool:
        """Return True: the rule has the sentence for the others."""
        return True


class Algorithms(forms.ChoiceField):
    """The algorithms of the challenge, as one choice."""

    def prepare_value(self, value: Any) -> Any:
        """Return the choice for a list."""
        return value if isinstance(value, str) else " ".join(value or ())

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether another one was chosen."""
        return bool(self.prepare_value(initial) != self.prepare_value(data))


def _text(label: str, most: int, help_text: str = "", **options: Any) -> forms.CharField:
    return forms.CharField(label=label, max_length=most, help_text=help_text, error_messages=_SENTENCES, **options)


def _url(label: str, help_text: str = "", *, required: bool = False) -> forms.CharField:
    widget = forms.TextInput(attrs={"inputmode": "url", "spellcheck": "false", "autocomplete": "off"})
    return _text(label, URL_LENGTH, help_text, required=required, widget=widget, validators=[_checked(check_url)])


def _method() -> forms.ChoiceField:
    return forms.ChoiceField(label="Method", choices=CallbackMethod.choices, error_messages=_SENTENCES)


def _secret(label: str) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    return _text(label, CREDENTIAL_LENGTH, "Never shown. Empty: the stored one stays.", required=False, strip=False, widget=widget)


def _user(label: str) -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    return _text(label, CREDENTIAL_LENGTH, "Empty: no credentials are sent.", required=False, widget=widget)


def _number(label: str, least: int, most: int, help_text: str, **options: Any) -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        min_value=least,
        max_value=most,
        help_text=help_text,
        error_messages=_SENTENCES | {"invalid": "Must be a whole number."},
        **options,
    )


def _checked(rule: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a rule as a validator of the form's."""

    def validate(value: Any) -> None:
        try:
            rule(value)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    return validate


class ApplicationForm(forms.Form):
    """All settings of an application. Stored passwords are not shown, and an empty field keeps them."""

    name = _text("Name", NAME_LENGTH)
    initiated_url = _url("Callback URL for new calls", "It is asked what to do with each new call, and answers with BXML.", required=True)
    initiated_method = _method()
    initiated_fallback_url = _url("Fallback URL", "Asked where the first one does not answer as it should.")
    initiated_fallback_method = _method()
    status_url = _url("Status URL", "It is told when a call has ended.")
    status_method = _method()
    callback_timeout = forms.FloatField(
        label="Timeout, seconds",
        help_text=f"{MIN_TIMEOUT}–{MAX_TIMEOUT}; a caller hears nothing meanwhile.",
        error_messages=_SENTENCES,
        validators=[_checked(check_timeout)],
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    callback_username = _user("User")
    callback_password = _secret("Password")
    fallback_username = _user("User of the fallback")
    fallback_password = _secret("Password of the fallback")

    enabled = forms.BooleanField(
        label="Take calls at a SIP URI", required=False, help_text="The URI is made when this is saved, and with it the password."
    )
    password_auth = forms.BooleanField(
        label="Ask for a password (digest)",
        required=False,
        help_text="Beside a list of ranges either proves who calls. Taking it away forgets the password.",
    )
    source_ips = Lines(
        label="Source ranges",
        required=False,
        help_text=f"Public IPv4 ranges from which calls are taken, in CIDR form, one a line, at most {MAX_SOURCE_RANGES}.",
    )
    regions = Regions(label="Regions", choices=_REGIONS, required=False, help_text="None: calls from anywhere.")
    digest_algorithms = Algorithms(label="Digest algorithms", choices=_ALGORITHMS, error_messages=_SENTENCES)

    media_learning = forms.ChoiceField(label="Where media may come from", choices=MediaLearning.choices, error_messages=_SENTENCES)
    media_source_ips = Lines(
        label="Media ranges",
        required=False,
        help_text="Public IPv4 ranges from which media may come beside the SIP address, one a line.",
    )
    secure_media = forms.ChoiceField(label="Encrypted audio", choices=SecureMedia.choices, error_messages=_SENTENCES)
    media_timeout = _number(
        "Seconds without a sign of life",
        MIN_MEDIA_TIMEOUT,
        MAX_MEDIA_TIMEOUT,
        "Then the caller is asked once, and without an answer the call ends.",
    )
    keepalive = forms.IntegerField(
        label="Seconds between questions to callers behind NAT",
        help_text=f"{MIN_KEEPALIVE}–{MAX_KEEPALIVE}, or 0 for never.",
        error_messages=_SENTENCES | {"invalid": "Must be a whole number."},
        validators=[_checked(check_keepalive)],
        widget=forms.NumberInput(attrs={"min": 0, "max": MAX_KEEPALIVE}),
    )
    max_calls = _number("Concurrent calls, at most", MIN_LIMIT, MAX_LIMIT, "Empty: the account's limit alone.", required=False)
    max_calls_per_second = _number("New calls a second, at most", MIN_LIMIT, MAX_LIMIT, "Empty: the account's limit alone.", required=False)
    sip_headers = forms.BooleanField(label="SIP headers in the webhook of a new call", required=False)
    mask_digits = forms.BooleanField(
        label="Mask digits in what is stored", required=False, help_text="The callback URLs get them; traces, webhooks and logs do not."
    )

    def __init__(self, sent: QueryDict | None = None, *, row: VoiceApplication) -> None:
        super().__init__(sent, initial=initial_of(row), label_suffix="")
        self._row = row

    def clean_source_ips(self) -> tuple[str, ...]:
        """Return the ranges; raises ValidationError with the rule that each bad one breaks."""
        ranges: tuple[str, ...] = self.cleaned_data["source_ips"]
        _raise(range_errors("source_ips", ranges))
        return ranges

    def clean_media_source_ips(self) -> list[str]:
        """Return the ranges; raises ValidationError with the rule that each bad one breaks."""
        ranges: tuple[str, ...] = self.cleaned_data["media_source_ips"]
        _raise(range_errors("media_source_ips", ranges))
        return list(ranges)

    def clean(self) -> dict[str, Any]:
        """Return the values; a user and its password are given together, or were before."""
        values: dict[str, Any] = super().clean() or {}
        for user, password in PAIRS:
            if values.get(user) and not values.get(password) and not getattr(self._row, user):
                self.add_error(password, TOGETHER)
            if values.get(password) and not values.get(user):
                self.add_error(user, "This field is required.")
        return values

    def settings(self) -> dict[str, Any]:
        """Return the columns to store. An empty password is kept, unless its user goes."""
        values = {name: self.cleaned_data[name] for name in SETTINGS_FIELDS}
        for user, password in PAIRS:
            if values[user] and not values[password]:
                del values[password]
        return values

    def patch(self) -> InboundSipPatch:
        """Return the change of the SIP settings. A password that exists stays; disabling has a page of its own."""
        given, was = self.cleaned_data, self._row
        sources, regions = tuple(given["source_ips"]), tuple(given["regions"])
        algorithms = tuple(given["digest_algorithms"].split())
        if not (was.inbound_sip_enabled or given["enabled"]):
            changed = algorithms if algorithms != tuple(was.digest_algorithms) else None
            return InboundSipPatch(source_ips=sources or None, regions=regions or None, digest_algorithms=changed)
        wanted: bool = given["password_auth"]
        return InboundSipPatch(
            enabled=None if was.inbound_sip_enabled else True,
            password_auth=None if wanted == was.password_auth_enabled else wanted,
            source_ips=sources,
            regions=regions,
            digest_algorithms=algorithms,
        )

    def blame(self, errors: Mapping[str, str]) -> None:
        """Put what a service refuses beside its fields."""
        for wire, sentence in errors.items():
            self.add_error(FIELD_OF[wire], sentence)


def initial_of(row: VoiceApplication) -> dict[str, Any]:
    """Return what the form shows of an application; whoever enables one is offered a password."""
    shown = {name: getattr(row, name) for name in SETTINGS_FIELDS if name not in PASSWORDS}
    sip = {name: getattr(row, column) for name, column in SIP_FIELDS.items()}
    timeout = int(row.callback_timeout) if row.callback_timeout.is_integer() else row.callback_timeout
    return shown | sip | {"callback_timeout": timeout, "password_auth": row.password_auth_enabled or not row.inbound_sip_enabled}


def masked(row: VoiceApplication) -> ApplicationForm:
    """Return the form for who may only read it: what its URLs carry beside their paths is a secret."""
    form = ApplicationForm(row=row)
    form.initial.update({name: masked_url(form.initial[name]) for name in URLS})
    return form


def entries(text: str) -> tuple[str, ...]:
    """Return the entries of a text."""
    return tuple(text.replace(",", " ").split())


def range_errors(name: str, ranges: tuple[str, ...]) -> list[str]:
    """Return a sentence for each entry that cannot be taken, as the API says it; raises KeyError for a field without ranges."""
    return entry_errors(ranges, MAX_SOURCE_RANGES, RANGES[name])


def region_groups(form: ApplicationForm) -> tuple[RegionGroup, ...]:
    """Return what is to be chosen from, with what is chosen."""
    wanted = frozenset(form["regions"].value() or ())
    return tuple(
        RegionGroup(title, tuple(RegionChoice(code, name, code in wanted) for code, name in choices)) for title, choices in _REGIONS
    )


def _raise(sentences: list[str]) -> None:
    if sentences:
        raise forms.ValidationError(sentences)
