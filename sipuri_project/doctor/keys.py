"""Whether this process has the keys of its database, and whether stored passwords still fit."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from sipuri_project.checks import credentials_of_another_realm
from voiceapps.rules.diagnosis.findings import Finding, bad, good
from voiceapps.services import key_check
from voiceapps.services.key_check import KeysDiffer

SUBJECT = "Keys"


def examine() -> Iterator[Finding]:
    """Yield what is found of the keys, and of SIP passwords that were made for another realm."""
    try:
        key_check.ensure(learn=False)
    except KeysDiffer as error:
        for line in str(error).splitlines():
            yield bad(SUBJECT, line, "Set the keys of the other processes, and start this one again.")
    else:
        yield good(SUBJECT, "The keys are those of the database.")
    for warning in credentials_of_another_realm(["default"]):
        yield bad(SUBJECT, str(warning.msg), f"Rotate it, or set SIPURI_SIP_REALM back from {settings.SIP_REALM}.")
