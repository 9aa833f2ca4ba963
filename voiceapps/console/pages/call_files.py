"""Files of calls: a short one comes at once, a long one is written by a worker and fetched from a page."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_POST

from voiceapps.choices import ExportFormat
from voiceapps.console import filters
from voiceapps.console.access.sessions import is_poll
from voiceapps.console.base import operator, person
from voiceapps.console.pages.calls import allowed
from voiceapps.console.pages.fragments import fragment
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may
from voiceapps.models import CallExport
from voiceapps.reads.list_choices import exports_of
from voiceapps.services.diagnosis import exports
from voiceapps.services.diagnosis.call_files import CONTENT_TYPES, Wanted
from voiceapps.services.diagnosis.exports import MAX_KEPT, MAX_OPEN, TooManyExportsError

LIST = "console/pages/call_files/list.html"


@page(Capability.SEE_CALLS, Capability.EXPORT_CALLS)
@require_POST
def export(request: HttpRequest) -> HttpResponseBase:
    """Return the calls that fit the filter as a file or, if they are many, have it written and go to its page."""
    asked = allowed(request, filters.query_of(request.POST.get("query", "")))
    file_format = request.POST.get("format", "")
    if asked.found is None or file_format not in ExportFormat:
        return HttpResponseBadRequest("No filter, or no format.")
    wanted = Wanted(asked.found, file_format, may(request, Capability.SEE_PERSONAL))
    rows = exports.size_of(asked.found)
    if rows is None:
        return _ordered(request, wanted, asked.query())
    parts = exports.stream(wanted, asked.query(), rows, actor=operator(request))
    response = StreamingHttpResponse(parts, content_type=CONTENT_TYPES[file_format])
    response["Content-Disposition"] = content_disposition_header(True, f"calls.{file_format}")
    return response


@page(Capability.SEE_CALLS, Capability.EXPORT_CALLS)
def files(request: HttpRequest) -> HttpResponse:
    """Return the page of the operator's files; it lives while one of them is being written."""
    lines = exports_of(person(request).pk)
    is_open = any(line.state in exports.OPEN for line in lines)
    if is_poll(request):
        return fragment(request, LIST, {"exports": lines}, has_ended=not is_open)
    context = {"exports": lines, "is_open": is_open, "part": LIST, "now": timezone.now()}
    return show(request, "console/pages/call_files.html", "Files of calls", **context)


@page(Capability.SEE_CALLS, Capability.EXPORT_CALLS)
def download(request: HttpRequest, export_id: UUID) -> HttpResponseBase:
    """Return a file that was written for the operator."""
    row = get_object_or_404(CallExport, pk=export_id, operator=person(request).pk)
    path = exports.file_of(row)
    if path is None or (row.shows_personal and not may(request, Capability.SEE_PERSONAL)):
        raise Http404("The file is not there.")
    content_type = CONTENT_TYPES[row.file_format]
    return FileResponse(path.open("rb"), as_attachment=True, content_type=content_type, filename=f"calls.{row.file_format}")


def _ordered(request: HttpRequest, wanted: Wanted, query: str) -> HttpResponse:
    try:
        exports.order(person(request).pk, wanted, query, actor=operator(request))
    except TooManyExportsError:
        messages.error(request, f"{MAX_OPEN} files are being written, or {MAX_KEPT} are kept already. Files are kept for a day.")
    return redirect(reverse("console:call_files"))
