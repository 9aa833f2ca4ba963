"""Read one element's attributes by their rules, and refuse every other attribute.

A misspelt attribute fails the document: if it were ignored, its author would have to search for the reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn
from urllib.parse import urlsplit

from lxml.etree import _Element

from callflow.bxml.errors import BxmlError
from callflow.bxml.limits import MAX_CREDENTIAL_LENGTH, MAX_TAG_LENGTH, MAX_TERMINATING_DIGITS, MAX_URL_LENGTH
from callflow.bxml.webhook import Webhook
from voiceapps.rules.callback_credentials import has_credentials

_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_WHOLE = re.compile(r"[0-9]{1,9}")
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f]")
_DIGITS = re.compile(r"[0-9A-D*#]*")


class ElementReader:
    """Typed access to one element; `finish()` refuses attributes that nobody read."""

    def __init__(self, element: _Element) -> None:
        self.element = element
        self.name = str(element.tag)
        self.line = line_of(element)
        self._unread = {str(name) for name in element.attrib}

    def choice(self, name: str, default: str, choices: Sequence[str]) -> str:
        """Return an attribute that is one of a few words."""
        value = self.optional(name)
        if value is None:
            return default
        if value not in choices:
            self.refuse(name, f"must be one of {', '.join(choices)}, not {value!r}")
        return value

    def credentials(self, username: str, password: str, url: str) -> tuple[str, str]:
        """Return the two attributes with the credentials for a URL, which may carry none itself then."""
        given = self.limited(username, "", MAX_CREDENTIAL_LENGTH), self.limited(password, "", MAX_CREDENTIAL_LENGTH)
        if any(given) and has_credentials(url):
            self.refuse(username if given[0] else password, "gives credentials that the URL carries too: give them once")
        return given

    def digits(self, name: str, default: str) -> str:
        """Return a set of telephone digits, letters in upper case."""
        value = self.limited(name, default, MAX_TERMINATING_DIGITS).upper()
        if not _DIGITS.fullmatch(value):
            self.refuse(name, f"may hold only 0-9, A-D, * and #, not {value!r}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false, written in any case: several of the vendor's SDKs write `True`."""
        value = self.optional(name)
        if value is None:
            return default
        if value.lower() not in ("true", "false"):
            self.refuse(name, f"must be true or false, not {value!r}")
        return value.lower() == "true"

    def limited(self, name: str, default: str, longest: int) -> str:
        """Return free text of a bounded length."""
        value = self.optional(name)
        if value is None:
            return default
        if len(value) > longest:
            self.refuse(name, f"is longer than {longest} characters")
        return value

    def number(self, name: str, default: float, lowest: float, highest: float) -> float:
        """Return a decimal number within its range."""
        value = self.optional(name)
        if value is None:
            return default
        if not _DECIMAL.fullmatch(value) or not lowest <= float(value) <= highest:
            self.refuse(name, f"must be a number from {lowest:g} to {highest:g}, not {value!r}")
        return float(value)

    def optional(self, name: str) -> str | None:
        """Return an attribute as written, or None if it is absent."""
        self._unread.discard(name)
        value = self.element.get(name)
        return None if value is None else str(value)

    def tag(self) -> str | None:
        """Return the call's new tag: None leaves it alone, the empty string clears it."""
        return None if self.optional("tag") is None else self.limited("tag", "", MAX_TAG_LENGTH)

    def text(self) -> str:
        """Return the text of an element without children, without the white space around it."""
        return (self.element.text or "").strip()

    def url(self, name: str) -> str | None:
        """Return a URL, absolute or relative, or None if it is absent or empty."""
        value = self.optional(name)
        if not value:
            return None
        problem = url_problem(value)
        if problem:
            self.refuse(name, problem)
        return value

    def plain_webhook(self, prefix: str) -> Webhook | None:
        """Return `{prefix}Url` with its method, or None without the URL; it has neither credentials beside it nor a fallback."""
        url, method = self.url(f"{prefix}Url"), self._method(f"{prefix}Method")
        return None if url is None else Webhook(url, method)

    def webhook(self, prefix: str, *, fallback: bool = True) -> Webhook | None:
        """Return `{prefix}Url` with its method, credentials and fallback, or None without the URL."""
        url, method = self.url(f"{prefix}Url"), self._method(f"{prefix}Method")
        other = self._fallback(prefix) if fallback else None
        username, password = self.credentials("username", "password", url or "")
        return None if url is None else Webhook(url, method, username, password, other)

    def whole(self, name: str, default: int, lowest: int, highest: int) -> int:
        """Return a whole number within its range."""
        value = self.optional(name)
        if value is None:
            return default
        if not _WHOLE.fullmatch(value) or not lowest <= int(value) <= highest:
            self.refuse(name, f"must be a whole number from {lowest} to {highest}, not {value!r}")
        return int(value)

    def finish(self, *, leaf: bool = True, text: bool = False) -> None:
        """Refuse unread attributes, and children and text unless the element takes them."""
        if self._unread:
            raise BxmlError(f"<{self.name}> has no attribute {min(self._unread)!r}.", self.line)
        if leaf and len(self.element):
            child = self.element[0]
            raise BxmlError(f"<{self.name}> cannot hold <{child.tag}>.", line_of(child))
        if not text:
            self._refuse_text()

    def fail(self, rule: str) -> NoReturn:
        """Refuse the document because of this element; raises BxmlError."""
        raise BxmlError(f"<{self.name}> {rule}.", self.line)

    def refuse(self, name: str, rule: str) -> NoReturn:
        """Refuse the document because of one attribute; raises BxmlError."""
        raise BxmlError(f"<{self.name}> attribute {name!r} {rule}.", self.line)

    def _fallback(self, prefix: str) -> Webhook | None:
        url, method = self.url(f"{prefix}FallbackUrl"), self._method(f"{prefix}FallbackMethod")
        if url is None:
            # The vendor's SDK for Python wrote these names until version 23.3.
            url, method = self.url(f"{prefix}Fallback_url"), self._method(f"{prefix}Fallback_method")
        username, password = self.credentials("fallbackUsername", "fallbackPassword", url or "")
        return None if url is None else Webhook(url, method, username, password)

    def _method(self, name: str) -> str:
        return self.choice(name, "POST", ("GET", "POST"))

    def _refuse_text(self) -> None:
        texts = [self.element.text, *(child.tail for child in self.element)]
        if any(text and text.strip() for text in texts):
            raise BxmlError(f"<{self.name}> cannot hold text.", self.line)


def line_of(element: _Element) -> int:
    """Return the line on which an element starts."""
    line: int = getattr(element, "sourceline", 0)  # lxml-stubs know the attribute but not its type
    return line


def url_problem(value: str) -> str | None:
    """Return which rule a URL breaks, or None; http and https only, relative ones included."""
    if len(value) > MAX_URL_LENGTH:
        return f"is longer than {MAX_URL_LENGTH} characters"
    if _NOT_IN_URL.search(value):
        return "is not a URL: it holds a space or a control character"
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  # reading it is the check: a bad port raises
    except ValueError:
        return f"is not a URL: {value!r}"
    if parts.scheme not in ("", "http", "https"):
        return f"must be an http or https URL, not {parts.scheme!r}"
    if parts.scheme and not parts.hostname:
        return f"names no host: {value!r}"
    return None
