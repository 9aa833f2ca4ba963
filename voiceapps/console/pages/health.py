"""The examination of the installation as a page: what is wrong, and what mends it. Each visit looks anew."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability
from voiceapps.rules.diagnosis.findings import EXIT_CODES, Finding
from voiceapps.rules.diagnosis.verdicts import Level

Examine = Callable[[], list[Finding]]
SIGNS = {Level.GOOD: ("check_circle", "well"), Level.DOUBTFUL: ("warning", "doubtful"), Level.BAD: ("cancel", "wrong")}


@page(Capability.SEE_NODES)
def health(request: HttpRequest) -> HttpResponse:
    """Return the page, the worst finding first."""
    examine: Examine = import_string(settings.EXAMINATION)
    findings = sorted(examine(), key=lambda finding: -EXIT_CODES[finding.level])
    worst = findings[0].level if findings else Level.GOOD
    rows = [(finding, *SIGNS[finding.level]) for finding in findings]
    faults = sum(finding.level is not Level.GOOD for finding in findings)
    return show(request, "console/pages/health.html", "Health", rows=rows, worst=worst, sign=SIGNS[worst][0], faults=faults)
