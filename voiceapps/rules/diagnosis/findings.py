"""What an examination of the installation finds: one sentence each, how bad it is, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from voiceapps.rules.diagnosis.verdicts import Level

EXIT_CODES = {Level.GOOD: 0, Level.DOUBTFUL: 1, Level.BAD: 2}
"""What monitors take for good, a warning and an alarm (the convention of Nagios plug-ins)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    """What it is about, in one or two words."""
    level: Level
    sentence: str
    fix: str = ""
    """What to do; empty where nothing is to be done."""


def good(subject: str, sentence: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(subject, Level.GOOD, sentence)


def doubtful(subject: str, sentence: str, fix: str) -> Finding:
    """Return that something may become, or be, a fault."""
    return Finding(subject, Level.DOUBTFUL, sentence, fix)


def bad(subject: str, sentence: str, fix: str) -> Finding:
    """Return that something costs calls or records now."""
    return Finding(subject, Level.BAD, sentence, fix)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return the worst finding as an exit code."""
    return max((EXIT_CODES[finding.level] for finding in findings), default=0)
