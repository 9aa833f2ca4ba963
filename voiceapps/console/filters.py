"""The form of a filter: each field as it was typed, with what is wrong with it, and the links that change it.

What filters mean is read by `voiceapps/rules/diagnosis/call_filters.py` and `webhook_filters.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from django.http import HttpRequest
from django.utils import timezone

from voiceapps.reads.list_choices import MAX_APPLICATIONS, ApplicationChoice
from voiceapps.rules.diagnosis.call_filters import LEVELS, PERSONAL, AskedCalls
from voiceapps.rules.diagnosis.filter_fields import Asked, Place
from voiceapps.rules.diagnosis.refusals import EXPLANATIONS
from voiceapps.rules.diagnosis.verdicts import Level, VerdictCode
from voiceapps.rules.diagnosis.webhook_filters import STATES, WebhookFilter
from voiceapps.templatetags.console_text import line

STATE_SIGNS = {"failed": ("cancel", "bad"), "pending": ("schedule", "doubtful"), "delivered": ("check_circle", "good")}
"""An icon and a level for each state of a webhook."""
SIGNS = {Level.GOOD: "check_circle", Level.DOUBTFUL: "warning", Level.BAD: "cancel", Level.GOING_ON: "call"}
_LEVEL_NAMES = {Level.BAD: "any that failed", Level.DOUBTFUL: "any that is doubtful", Level.GOOD: "any that went well"}
Described = tuple[str, str, str, tuple[tuple[str, str], ...]]
"""A field's name, its label, its hint, and its choices."""
_DEFAULT = "24h"
_SPANS = (("15m", "15 min"), ("1h", "1 h"), (_DEFAULT, "24 h"), ("7d", "7 days"), ("31d", "31 days"))


@dataclass(frozen=True, slots=True)
class FilterField:
    """One field of the form."""

    name: str
    label: str
    value: str
    error: str
    hint: str
    choices: tuple[tuple[str, str], ...] = ()
    """Values with their labels; empty where the value is typed."""


@dataclass(frozen=True, slots=True)
class FilterForm:
    """The form of a list's filter."""

    fields: tuple[FilterField, ...]

    @property
    def given(self) -> int:
        """The number of fields that narrow the list."""
        return sum(bool(field.value) for field in self.fields)

    @property
    def is_wrong(self) -> bool:
        """Whether a field cannot be read."""
        return any(field.error for field in self.fields)


@dataclass(frozen=True, slots=True)
class Change:
    """A link that changes one field of the filter."""

    label: str
    query: str
    is_chosen: bool
    sign: str = ""
    level: str = ""


def calls_form(asked: AskedCalls, applications: Sequence[ApplicationChoice], *, sees_personal: bool) -> FilterForm:
    """Return the form of calls, with the fields that an operator may fill."""
    described = (
        ("app", "Application", "An id; there are too many to list.", _applications(asked, applications)),
        ("account", "Account", "Its id, in digits.", ()),
        ("number", "From number", "All digits, or the first and *: 49170*", ()),
        ("ip", "Source address", "203.0.113.9", ()),
        ("verdict", "Verdict", "", _verdicts()),
        ("since", "Since", _since_hint(), ()),
        ("until", "Until", "As before; now if empty.", ()),
        ("id", "Call", "Its id, or its SIP Call-ID.", ()),
    )
    return _form(asked.given, asked.errors, (one for one in described if sees_personal or one[0] not in PERSONAL))


def levels(asked: AskedCalls) -> tuple[Change, ...]:
    """Return the links that narrow the list to the calls of one level, and the one that shows all."""
    chosen = asked.given.get("verdict", "")
    names = {Level.BAD: "Failed", Level.DOUBTFUL: "Doubtful", Level.GOOD: "Good"}
    one = (Change(names[level], asked.query(verdict=level), chosen == level, SIGNS[level], level) for level in LEVELS)
    return (Change("All", asked.query(verdict=""), not chosen), *one)


def spans(asked: AskedCalls) -> tuple[Change, ...]:
    """Return the links that change the span of time to one that ends now."""
    is_default = "since" not in asked.given and asked.found is not None and not asked.found.has_exact_key
    chosen = "" if "until" in asked.given else _DEFAULT if is_default else asked.given.get("since", "")
    return tuple(Change(label, asked.query(since=text, until=""), chosen == text) for text, label in _SPANS)


def webhooks_form(asked: Asked[WebhookFilter], applications: Sequence[ApplicationChoice], *, is_bound: bool) -> FilterForm:
    """Return the form of webhooks; who is bound to an account does not choose one."""
    described = (
        ("state", "State", "", (("", "any"), *((state, state) for state in STATES))),
        ("event", "Event", "As webhooks name it: disconnect", ()),
        ("app", "Application", "An id; there are too many to list.", _applications(asked, applications)),
        ("account", "Account", "Its id, in digits.", ()),
        ("host", "Host", "backend.example.com, or with :8443", ()),
        ("call", "Call", "Its id: c-…", ()),
        ("since", "Since", _since_hint(), ()),
        ("until", "Until", "As before; now if empty.", ()),
    )
    return _form(asked.given, asked.errors, (one for one in described if not (is_bound and one[0] == "account")))


def refused_form(
    query: Mapping[str, str], errors: Mapping[str, str], spans: Sequence[str], default: str, *, sees_personal: bool
) -> FilterForm:
    """Return the form of refused attempts, with the fields that an operator may fill."""
    reasons = ((reason.value, explanation.title) for reason, explanation in EXPLANATIONS.items())
    described: tuple[Described, ...] = (
        ("since", "Since", "", (("", f"{default} ago"), *((span, f"{span} ago") for span in spans if span != default))),
        ("reason", "Reason", "", (("", "any"), *reasons)),
        ("ip", "Source address", "203.0.113.9", ()),
        ("app", "Application", "Its id.", ()),
    )
    given = {**query, "since": "" if query.get("since") == default else query.get("since", "")}
    return _form(given, errors, (one for one in described if sees_personal or one[0] not in PERSONAL))


def audit_form(query: Mapping[str, str]) -> FilterForm:
    """Return the form of the audit trail."""
    described = (
        ("account", "Account", "Its id; - for what belongs to none.", ()),
        ("subject", "What was changed", "Its id.", ()),
        ("actor", "By whom", "operator admin", ()),
        ("action", "Action", "application.update", ()),
    )
    return _form(query, {}, described)


def applications_form(query: Mapping[str, str], errors: Mapping[str, str], *, is_bound: bool) -> FilterForm:
    """Return the form of applications; who is bound to an account does not choose one."""
    described = (
        ("name", "Application", "A part of its name, its id or its SIP URI.", ()),
        ("account", "Account", "Its id, in digits.", ()),
    )
    return _form(query, errors, (one for one in described if not (is_bound and one[0] == "account")))


def states(asked: Asked[WebhookFilter]) -> tuple[Change, ...]:
    """Return the links that narrow the list to the webhooks of one state, and the one that shows all."""
    chosen = asked.given.get("state", "")
    one = (Change(state.capitalize(), asked.query(state=state), chosen == state, *STATE_SIGNS[state]) for state in STATES)
    return (Change("All", asked.query(state=""), not chosen), *one)


def webhook_spans(asked: Asked[WebhookFilter]) -> tuple[Change, ...]:
    """Return the links that change the span of time to one that ends now."""
    chosen = None if "until" in asked.given else asked.given.get("since", "")
    return tuple(Change(label, asked.query(since=text, until=""), chosen == text) for text, label in (("", "any time"), *_SPANS))


def query_of(link: str) -> dict[str, str]:
    """Return the fields of a filter's link."""
    return dict(parse_qsl(link))


def place(query: Mapping[str, str]) -> tuple[Place | None, bool]:
    """Return the place at which a page begins, and whether it is the page before that; raises ValueError."""
    newer = "before" in query
    text = query.get("before" if newer else "after", "")
    return (Place.parse(text) if text else None), newer


def same_place(asked: Asked[Any], request: HttpRequest) -> str:
    """Return the link to the filter at the place in the list that a request names."""
    return f"{request.path}?{asked.query(**{name: request.GET[name] for name in ('after', 'before') if name in request.GET})}"


def _form(given: Mapping[str, str], errors: Mapping[str, str], described: Iterable[Described]) -> FilterForm:
    found = (FilterField(name, label, given.get(name, ""), errors.get(name, ""), hint, choices) for name, label, hint, choices in described)
    return FilterForm(tuple(found))


def _since_hint() -> str:
    return f"15m, 24h, 7d, or 2026-11-30T10:05 (in {timezone.get_current_timezone_name()})"


def _applications(asked: Asked[Any], applications: Sequence[ApplicationChoice]) -> tuple[tuple[str, str], ...]:
    if len(applications) > MAX_APPLICATIONS:
        return ()
    known = [(str(choice.application_id), choice.label) for choice in applications]
    chosen = asked.given.get("app", "")
    other = [(chosen, line(chosen))] if chosen and chosen not in dict(known) else []
    return (("", "any"), *other, *known)


def _verdicts() -> tuple[tuple[str, str], ...]:
    codes = [(code.value, code.headline) for level in LEVELS for code in VerdictCode if code.level == level]
    return (("", "any"), *((level.value, _LEVEL_NAMES[level]) for level in LEVELS), *codes)
