"""The page of one call: what became of it, and by its tabs everything that is known of it."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_POST

from voiceapps.console import ladder
from voiceapps.console.access import revealed
from voiceapps.console.base import of_account, operator
from voiceapps.console.filters import SIGNS
from voiceapps.console.ladder import Lane, Step
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may, scope
from voiceapps.console.timeline import moments
from voiceapps.models import Call, Recording
from voiceapps.reads.call_report import CallReport, call_messages, call_report, neighbours
from voiceapps.rules.diagnosis import pcap
from voiceapps.rules.recording_files import MEDIA_TYPES
from voiceapps.rules.whole_numbers import whole_number
from voiceapps.services import recordings
from voiceapps.services.diagnosis import messages

STEP_DIGITS = 5
TABS = {
    "ladder": Capability.SEE_TRACES,
    "media": Capability.SEE_CALLS,
    "webhooks": Capability.SEE_WEBHOOKS,
    "timeline": Capability.SEE_CALLS,
    "policy": Capability.SEE_CALLS,
    "recordings": Capability.HEAR_RECORDINGS,
    "related": Capability.SEE_CALLS,
}
"""The tabs, by what they ask for."""


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab: `count` is shown beside its title, None shows nothing."""

    name: str
    title: str
    count: int | None
    is_open: bool


@page(Capability.SEE_CALLS)
def call(request: HttpRequest, call_id: str) -> HttpResponse:
    """Return the page; `tab` and `step` of the query say what is open."""
    report = _report(request, call_id)
    open_to = [name for name, capability in TABS.items() if may(request, capability)]
    wanted = request.GET.get("tab", "")
    opened = wanted if wanted in open_to else open_to[0]
    personal = may(request, Capability.SEE_PERSONAL)
    context = {
        "report": report,
        "head": report.head,
        "verdict": report.verdict,
        "sign": SIGNS[report.verdict.level],
        "tabs": [Tab(name, title, count, name == opened) for name, (title, count) in _tabs(report).items() if name in open_to],
        "may_see_traces": may(request, Capability.SEE_TRACES),
        "may_see_personal": personal,
        "may_see_application": may(request, Capability.SEE_APPLICATIONS),
        "may_try": may(request, Capability.TRY_OUT),
        "may_replay": may(request, Capability.REPLAY_WEBHOOKS),
        "opened_template": f"console/pages/call/{opened}.html",
        **(_drawn(request, report) if opened == "ladder" else {}),
        **({"moments": moments(report, traces=may(request, Capability.SEE_TRACES))} if opened == "timeline" else {}),
        **({"neighbours": neighbours(call_id, scope(request), personal=personal)} if opened == "related" else {}),
    }
    return show(request, "console/pages/call.html", "Call", **context)


@require_POST
@page(Capability.SEE_CALLS, Capability.SEE_TRACES)
def reveal(request: HttpRequest, call_id: str) -> HttpResponse:
    """Open the text of a call's messages to the operator, for the session; the audit trail has it."""
    row = get_object_or_404(of_account(request, Call.objects.only("account_id"), "account_id"), pk=call_id)
    messages.reveal(call_id, row.account_id, actor=operator(request))
    revealed.open_call(request, call_id)
    steps = "".join(f"&step={number}" for number in _numbers(request.POST))
    return redirect(f"{reverse('console:call', args=[call_id])}?tab=ladder{steps}#message")


@page(Capability.SEE_CALLS, Capability.SEE_TRACES)
def capture(request: HttpRequest, call_id: str) -> HttpResponseBase:
    """Return the stored messages as a capture file, once they are open to the operator."""
    get_object_or_404(of_account(request, Call.objects.only("pk"), "account_id"), pk=call_id)
    if not revealed.is_open(request, call_id):
        raise PermissionDenied
    response = StreamingHttpResponse(pcap.capture(call_messages(call_id)), content_type=pcap.CONTENT_TYPE)
    response["Content-Disposition"] = content_disposition_header(True, f"{call_id}.pcap")
    return response


@page(Capability.SEE_CALLS, Capability.HEAR_RECORDINGS)
def recording(request: HttpRequest, call_id: str, recording_id: str) -> HttpResponseBase:
    """Return the audio of a recording."""
    row = get_object_or_404(of_account(request, Recording.objects.all(), "account_id"), pk=recording_id, call=call_id)
    path = recordings.file_of(row) if row.is_playable else None
    if path is None or not path.is_file():
        raise Http404(f"The recording {recording_id} has no audio.")
    return FileResponse(path.open("rb"), content_type=MEDIA_TYPES[row.file_format], filename=path.name)


def _report(request: HttpRequest, call_id: str) -> CallReport:
    report = call_report(call_id, scope(request), personal=may(request, Capability.SEE_PERSONAL))
    if report is None:
        raise Http404(f"There is no call {call_id}.")
    return report


def _tabs(report: CallReport) -> dict[str, tuple[str, int | None]]:
    return {
        "ladder": ("Ladder", None),
        "media": ("Media", None),
        "webhooks": ("Webhooks & BXML", None if report.has_more_webhooks else len(report.webhooks)),
        "timeline": ("Timeline", None),
        "policy": ("Policy", None),
        "recordings": ("Recordings", len(report.recordings)),
        "related": ("Related", None),
    }


def _drawn(request: HttpRequest, report: CallReport) -> dict[str, object]:
    """Return the ladder, as a drawing and as a list, and the messages that are open: one, or two side by side."""
    steps = ladder.steps(report.ladder, report.webhooks)
    known = {step.number: step for step in steps}
    chosen = [known[number] for number in _numbers(request.GET) if number in known]

    def link(step: Step) -> str:
        """Return the link that opens a step, beside the one that was opened last."""
        others = [other.number for other in chosen if other.number != step.number][-1:]
        return "?" + "&".join(f"step={number}" for number in (*others, step.number)) + "#message"

    rows, titles = ladder.rows(steps), _titles(report)
    drawn = {"ladder": ladder.svg(rows, titles, link=link), "list": ladder.as_list(rows, titles, link=link), "chosen": chosen}
    return drawn | {"is_open": revealed.is_open(request, report.head.call_id)}


def _numbers(given: QueryDict) -> list[int]:
    return [number for text in given.getlist("step")[:2] if (number := whole_number(text, STEP_DIGITS)) is not None]


def _titles(report: CallReport) -> dict[Lane, tuple[str, str]]:
    head = report.head
    return {
        Lane.CALLER: ("Caller", head.source),
        Lane.PROXY: ("Proxy", head.proxy_node),
        Lane.CALLFLOW: ("Call flow", head.callflow_node),
        Lane.WEBHOOK: ("Webhook", ""),
    }
