"""Columns with a form of their own: an encrypted text, and the trace of a decision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models
from django.db.models.functions import Cast

from voiceapps.rules.admission import EXPECTED

if TYPE_CHECKING:
    _Text = models.TextField[str | models.Value, str]
    _Results = models.TextField[list[dict[str, str]], list[dict[str, str]]]
else:  # the generic form exists in the stubs only
    _Text = _Results = models.TextField


class EncryptedTextField(_Text):
    """A text stored as a Fernet token, by MultiFernet with `SIPURI_FIELD_KEYS`: the first key writes, all of them read. "" stays ""."""

    def get_prep_value(self, value: Any) -> Any:
        """Return the encrypted text."""
        return field_cipher().encrypt(str(value).encode()).decode() if value else ""

    def from_db_value(self, value: str | None, _expression: Any, _connection: Any) -> str:
        """Return the decrypted text."""
        return decrypted(value) if value else ""


def field_cipher() -> MultiFernet:
    """Return what encrypts secrets at rest."""
    return _fernet(settings.SIPURI_FIELD_KEYS)


def stored(name: str) -> Cast:
    """Return what stands in an encrypted column, as it stands there: one row that no key opens must not stop a query of many."""
    return Cast(name, models.TextField())


def decrypted(token: str) -> str:
    """Return the text of what is stored; raises InvalidToken if no key opens it."""
    try:
        return field_cipher().decrypt(token.encode()).decode() if token else ""
    except InvalidToken:
        raise InvalidToken("No key in SIPURI_FIELD_KEYS opens what is stored.") from None


def is_current(token: str) -> bool:
    """Return whether the first key has written a token."""
    try:
        _fernet(settings.SIPURI_FIELD_KEYS[:1]).decrypt(token.encode())
    except InvalidToken:
        return False
    return True


def rewritten(token: str) -> str:
    """Return a token's text as the first key writes it; raises InvalidToken if no key opens it."""
    return field_cipher().rotate(token.encode()).decode()


def opens(token: str) -> bool:
    """Return whether one of the keys opens a token."""
    try:
        decrypted(token)
    except InvalidToken:
        return False
    return True


def copied(token: str) -> models.Value:
    """Return what is stored for another row, written by the first key; what no key opens stays as it is, and fails where it is read."""
    # As an expression it is stored as it is: the field would encrypt it once more.
    return models.Value(rewritten(token) if token and opens(token) else token, output_field=models.TextField())


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


MAX_SEEN = 128
"""Characters that a trace keeps of what a rule saw: most of it is what a peer sent."""
_VERDICTS = {"p": "passed", "f": "failed", "s": "skipped"}


class TraceField(_Results):
    """The results of rules, each with `rule`, `verdict`, `expected` and `seen`, stored as short JSON.

    `["host","p","a.example"]` is a result; what it expected stands at its end unless it is the usual, and a skipped rule is its bare name.
    """

    def get_prep_value(self, value: Any) -> Any:
        """Return the stored text."""
        return json.dumps([_short(result) for result in value], separators=(",", ":"))

    def from_db_value(self, value: str, _expression: Any, _connection: Any) -> list[dict[str, str]]:
        """Return the results."""
        return [_whole(short) for short in json.loads(value)]


def _short(result: Mapping[str, str]) -> str | list[str]:
    rule, verdict, expected, seen = result["rule"], result["verdict"], result["expected"], result["seen"]
    if verdict == "skipped" and not expected and not seen:
        return rule
    short = [rule, verdict[0], seen if len(seen) <= MAX_SEEN else f"{seen[: MAX_SEEN - 1]}…"]
    return short if expected == EXPECTED.get(rule, "") else [*short, expected]


def _whole(short: str | list[str]) -> dict[str, str]:
    if isinstance(short, str):
        return {"rule": short, "verdict": "skipped", "expected": "", "seen": ""}
    rule, verdict, seen, *expected = short
    return {"rule": rule, "verdict": _VERDICTS[verdict], "expected": expected[0] if expected else EXPECTED.get(rule, ""), "seen": seen}
