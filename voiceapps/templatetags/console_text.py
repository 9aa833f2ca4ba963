"""How the console shows text from strangers, times and durations: one filter for each."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from voiceapps.rules.diagnosis.visible import visible, visible_line

MAX_SHOWN = 120
"""Characters; a longer text opens on demand."""

register = template.Library()


@register.filter
def wire(value: object, most: int = MAX_SHOWN) -> SafeString:
    """Return text from a stranger: escaped, its direction isolated, its control characters visible, and cut with a way to the whole."""
    text = visible(str(value))
    if len(text) <= most:
        return format_html('<bdi class="sipuri-wire">{}</bdi>', text)
    more = '<details class="sipuri-more"><summary><bdi class="sipuri-wire">{}…</bdi></summary><bdi class="sipuri-wire">{}</bdi></details>'
    return format_html(more, text[:most], text)


@register.filter
def whole(value: object) -> SafeString:
    """Return a message from a stranger as it is, but for its control characters, which are visible."""
    return format_html('<bdi class="sipuri-wire">{}</bdi>', visible(str(value)))


@register.filter
def line(value: object, most: int = MAX_SHOWN) -> str:
    """Return text from a stranger for an attribute: on one line, its control characters visible, and cut."""
    text = visible_line(str(value))
    return text if len(text) <= most else f"{text[:most]}…"


@register.filter
def moment(value: datetime | None) -> str:
    """Return a time as date, seconds and zone: the one that the operator has chosen."""
    return "" if value is None else f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S %Z}"


@register.filter
def span(seconds: float | None) -> str:
    """Return a duration with the digits that matter: `0.03 s`, `5.4 s`, `1 h 02 min`."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


_SIDES = {"external": "The caller", "internal": "The call flow", "callflow": "The caller, end to end"}


@register.filter
def side(name: str) -> str:
    """Return whose media a side of the relay is."""
    return _SIDES[name]


@register.filter
def words(name: str) -> str:
    """Return a name of ours as words: `caller hangup`."""
    return name.replace("_", " ")
