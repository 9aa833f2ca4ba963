"""Two operators with one application open: the second is told what the first has changed, and loses nothing that was typed.

A form carries, signed, the version and the values that it was opened with. Where the version is not the present one any more, each
field has three values: what it was, what it is (theirs), and what was sent (yours). Fields that only they changed take their value,
or saving would undo it; all others stay as they were typed. Nothing is saved before the operator has seen that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core import signing
from django.http import QueryDict

from voiceapps.console.pages.apps.form import PASSWORDS, ApplicationForm, entries, initial_of
from voiceapps.models import VoiceApplication

OPENED = "opened"
"""The field with what the form was opened with."""
_SALT = "console application form"


@dataclass(frozen=True, slots=True)
class Opened:
    """What a form was opened with."""

    version: int
    values: dict[str, Any]
    """Empty if that is not known: then each field counts that is not as it was sent."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A field that somebody else has changed, or may have, with its three values as texts."""

    label: str
    old: str
    theirs: str
    yours: str
    keeps_yours: bool
    """Whether saving again replaces their value."""


def stamp(row: VoiceApplication) -> str:
    """Return what a form that is opened now carries."""
    return signing.dumps([str(row.pk), row.version, initial_of(row)], salt=_SALT, compress=True)


def read_stamp(text: str, row: VoiceApplication) -> Opened:
    """Return what a form was opened with; one that nobody signed was opened with no version."""
    try:
        of, version, values = signing.loads(text, salt=_SALT)
    except signing.BadSignature:
        return Opened(0, {})
    return Opened(version, values) if of == str(row.pk) else Opened(0, {})


def reconcile(sent: QueryDict, opened: Opened, row: VoiceApplication) -> tuple[ApplicationForm, tuple[Changed, ...]]:
    """Return the form as it is to be looked at again, and what was changed meanwhile."""
    form, now, data = ApplicationForm(sent, row=row), initial_of(row), sent.copy()
    told = []
    for name, field in form.fields.items():
        if name in PASSWORDS:
            continue
        old, theirs, yours = opened.values.get(name, now[name]), now[name], form[name].data
        is_mine = field.has_changed(old, yours)
        if old == theirs and (opened.values or not is_mine):
            continue
        if not is_mine:
            _put(data, name, field.prepare_value(theirs))
        differs = is_mine and field.has_changed(theirs, yours)
        before = _words(old) if opened.values else "not known"
        told.append(Changed(str(field.label), before, _words(theirs), _words(_entered(field, yours)), keeps_yours=differs))
    return ApplicationForm(data, row=row), tuple(told)


def _put(data: QueryDict, name: str, value: Any) -> None:
    """Have the form show a value as if it had been typed."""
    if isinstance(value, list):
        data.setlist(name, value)
    elif value is False:
        data.pop(name, None)
    else:
        data[name] = "on" if value is True else "" if value is None else str(value)


def _entered(field: forms.Field, value: Any) -> Any:
    return entries(value) if isinstance(field.widget, forms.Textarea) else value


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)
