"""The audit trail: who changed what, from what to what, from where; and whether the chains are as they were written."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from voiceapps.console import filters
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, scope
from voiceapps.reads.audit_report import MAX_LOOKED_AT, Wanted, audit_page
from voiceapps.rules.whole_numbers import KEY_DIGITS, whole_number
from voiceapps.services import audit

FILTERS = ("account", "subject", "actor", "action")
MAX_TEXT = 200


@page(Capability.SEE_AUDIT)
def trail(request: HttpRequest) -> HttpResponse:
    """Return a page of entries; `account`, `subject`, `actor` and `action` of the query say which, `below` where it begins."""
    found = audit_page(_wanted(request.GET, scope(request)))
    kept = QueryDict(mutable=True)
    kept.update({name: request.GET[name] for name in FILTERS if request.GET.get(name)})
    return show(
        request,
        "console/pages/audit.html",
        "Audit trail",
        found=found,
        filter_form=filters.audit_form(request.GET.dict()),
        link=kept.urlencode(),
        most=MAX_LOOKED_AT,
        is_first="below" not in request.GET,
        may_verify=scope(request) is None,
    )


@require_POST
@page(Capability.SEE_AUDIT)
def verify(request: HttpRequest) -> HttpResponse:
    """Check the chains that the operator may see, all entries of them, and tell the result."""
    bound = scope(request)
    faults = list(audit.faults()) if bound is None else [fault for fault in [audit.verify(bound)] if fault]
    for fault in faults:
        messages.error(request, fault)
    if not faults:
        messages.success(request, "Every entry is as it was written, and every end is signed.")
    return redirect("console:audit")


def _wanted(query: QueryDict, bound: str | None) -> Wanted:
    account, subject, actor, action = (query.get(name, "").strip()[:MAX_TEXT] for name in FILTERS)
    chain = bound if bound is not None else {"": None, "-": audit.SYSTEM}.get(account, account)
    return Wanted(chain, subject, actor, action, below=whole_number(query.get("below", ""), KEY_DIGITS))
