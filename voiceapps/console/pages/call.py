"""The page of one call: what became of it, and by its tabs everything that is known of it."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.http import content_disposition_header

from voiceapps.call_report import CallReport, call_messages, call_report, neighbours
from voiceapps.console import ladder
from voiceapps.console.ladder import Lane, Step
from voiceapps.models import Recording
from voiceapps.rules.diagnosis import pcap
from voiceapps.rules.recording_files import MEDIA_TYPES
from voiceapps.services import recordings

VIEW, VIEW_RECORDING = "voiceapps.view_call", "voiceapps.view_recording"
TABS = ("ladder", "media", "webhooks", "recordings", "related")
SIGNS = {"good": "check_circle", "doubtful": "warning", "bad": "cancel", "going-on": "call"}


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab: `count` is shown beside its title, None shows nothing."""

    name: str
    title: str
    count: int | None
    is_open: bool


def call(request: HttpRequest, call_id: str) -> HttpResponse:
    """Return the page; `tab` and `step` of the query say what is open."""
    report = _report(request, call_id)
    wanted = request.GET.get("tab", TABS[0])
    opened = wanted if wanted in TABS else TABS[0]
    context = {
        **admin.site.each_context(request),
        "title": "Call",
        "report": report,
        "head": report.head,
        "verdict": report.verdict,
        "sign": SIGNS[report.verdict.level],
        "tabs": [Tab(name, title, count, name == opened) for name, (title, count) in _tabs(report).items()],
        "opened_template": f"console/pages/call/{opened}.html",
        **(_drawn(request, report) if opened == "ladder" else {}),
        **({"neighbours": neighbours(call_id)} if opened == "related" else {}),
    }
    return render(request, "console/pages/call.html", context)


def capture(request: HttpRequest, call_id: str) -> HttpResponseBase:
    """Return the stored messages as a capture file."""
    report = _report(request, call_id)
    response = StreamingHttpResponse(pcap.capture(call_messages(report.head.call_id)), content_type=pcap.CONTENT_TYPE)
    response["Content-Disposition"] = content_disposition_header(True, f"{report.head.call_id}.pcap")
    return response


def recording(request: HttpRequest, call_id: str, recording_id: str) -> HttpResponseBase:
    """Return the audio of a recording."""
    if not request.user.has_perm(VIEW_RECORDING):
        raise PermissionDenied
    row = get_object_or_404(Recording, pk=recording_id, call=call_id)
    path = recordings.file_of(row) if row.is_playable else None
    if path is None or not path.is_file():
        raise Http404(f"The recording {recording_id} has no audio.")
    return FileResponse(path.open("rb"), content_type=MEDIA_TYPES[row.file_format], filename=path.name)


def _report(request: HttpRequest, call_id: str) -> CallReport:
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    report = call_report(call_id)
    if report is None:
        raise Http404(f"There is no call {call_id}.")
    return report


def _tabs(report: CallReport) -> dict[str, tuple[str, int | None]]:
    return {
        "ladder": ("Ladder", None),
        "media": ("Media", None),
        "webhooks": ("Webhooks & BXML", len(report.webhooks)),
        "recordings": ("Recordings", len(report.recordings)),
        "related": ("Related", None),
    }


def _drawn(request: HttpRequest, report: CallReport) -> dict[str, object]:
    """Return the ladder, as a drawing and as a list, and the messages that are open: one, or two side by side."""
    steps = ladder.steps(report.ladder, report.webhooks)
    known = {step.number: step for step in steps}
    chosen = [known[number] for number in _numbers(request) if number in known]

    def link(step: Step) -> str:
        """Return the link that opens a step, beside the one that was opened last."""
        others = [other.number for other in chosen if other.number != step.number][-1:]
        return "?" + "&".join(f"step={number}" for number in (*others, step.number)) + "#message"

    rows, titles = ladder.rows(steps), _titles(report)
    return {"ladder": ladder.svg(rows, titles, link=link), "list": ladder.as_list(rows, titles, link=link), "chosen": chosen}


def _numbers(request: HttpRequest) -> list[int]:
    return [int(number) for number in request.GET.getlist("step")[:2] if number.isdecimal() and len(number) < 6]


def _titles(report: CallReport) -> dict[Lane, tuple[str, str]]:
    head = report.head
    return {
        Lane.CALLER: ("Caller", head.source),
        Lane.PROXY: ("Proxy", head.proxy_node),
        Lane.CALLFLOW: ("Call flow", head.callflow_node),
        Lane.WEBHOOK: ("Webhook", ""),
    }
