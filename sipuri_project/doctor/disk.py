"""Whether recordings, journals and the database have room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from voiceapps.rules.diagnosis.findings import Finding, bad, doubtful, good

SUBJECT = "Disk"
GIB = 1 << 30
DOUBTFUL, BAD = (0.10, 2 * GIB), (0.02, GIB // 4)
"""A share that is free, and octets: only where both are smaller is there too little."""


def examine() -> Iterator[Finding]:
    """Yield what is found of each file system that we write to, once."""
    seen: set[int] = set()
    for folder in (settings.VAR_DIR, settings.RECORDINGS_DIR, settings.JOURNAL_DIR):
        place = next(path for path in (Path(folder), *Path(folder).parents) if path.exists())
        if (device := place.stat().st_dev) not in seen:
            seen.add(device)
            yield from _of(place)


def _of(place: Path) -> Iterator[Finding]:
    state = os.statvfs(place)
    yield judge(str(place), state.f_bavail * state.f_frsize, state.f_blocks * state.f_frsize)
    if state.f_files and state.f_favail < DOUBTFUL[0] * state.f_files:
        yield doubtful(
            SUBJECT, f"{place}: only {state.f_favail} more files fit.", "Delete old recordings, or make a file system with more inodes."
        )


def judge(place: str, free: int, size: int) -> Finding:
    """Return what is found of one file system, in octets."""
    share = free / size if size else 0.0
    sentence = f"{place}: {free / GIB:.1f} of {size / GIB:.1f} GiB are free."
    fix = "Delete recordings by the API, shorten SIPURI_MESSAGE_STORE_DAYS, or enlarge the disk."
    for kind, (least_share, least_octets) in ((bad, BAD), (doubtful, DOUBTFUL)):
        if share < least_share and free < least_octets:
            return kind(SUBJECT, sentence, fix)
    return good(SUBJECT, sentence)
