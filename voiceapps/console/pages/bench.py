"""The bench: would a call enter, is a document right, what does a backend answer? Nothing is placed, and nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.fernet import InvalidToken
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from voiceapps.console.base import of_account, operator
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may, scope
from voiceapps.models import VoiceApplication
from voiceapps.reads.list_choices import MAX_APPLICATIONS, application_choices
from voiceapps.reads.webhook_report import newest_document
from voiceapps.rules.admission import Decision, DigestState, Outcome, Reason
from voiceapps.rules.cidr import parse_address
from voiceapps.rules.diagnosis.filter_fields import RULES
from voiceapps.rules.diagnosis.refusals import EXPLANATIONS
from voiceapps.rules.document_check import DocumentCheck, Fault
from voiceapps.rules.limits import LIMITED
from voiceapps.rules.regions import COUNTRIES
from voiceapps.services.trials import webhook_tests
from voiceapps.services.trials.admission_checks import ImaginedCall, check, country_of
from voiceapps.services.trials.webhook_tests import Attempt, TooManyRunningError, check_document

MAX_LINES = 1_000
"""Lines of a document that are shown beside their faults; it may have many empty ones."""
NOBODY = "??"
"""What is typed for a country that nobody knows."""
DIGESTS: Mapping[DigestState, str] = {
    DigestState.VALID: "right",
    DigestState.WRONG: "wrong",
    DigestState.ABSENT: "none, as in a first INVITE",
    DigestState.STALE: "an answer to an old challenge",
    DigestState.OTHER_USER: "those of another application",
}
UNREADABLE = "No key in SIPURI_FIELD_KEYS opens the application's callback password, so nothing can be sent."
EXAMPLE = """<Response>
  <SpeakSentence voice="julie">Hello.</SpeakSentence>
  <Hangup/>
</Response>"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What would become of a call, in words."""

    decision: Decision
    country: str | None
    is_given: bool
    """Whether the country was typed."""
    level: str
    sign: str
    title: str
    cause: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """A line of a document, with the rules that it breaks."""

    number: int
    text: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """A document with what the check found."""

    check: DocumentCheck
    lines: tuple[DocumentLine, ...]
    whole: tuple[str, ...]
    """What concerns no line that is shown."""
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Typed:
    """What is in the forms, and what is wrong with it."""

    application: str = ""
    ip: str = ""
    country: str = ""
    digest: str = DigestState.VALID.value
    document: str = ""
    errors: dict[str, str] = field(default_factory=dict)


@page(Capability.TRY_OUT)
def bench(request: HttpRequest) -> HttpResponse:
    """Return the page; with `app` and `ip` in the query it tells whether such a call would enter, and `delivery` brings its answer."""
    given = request.GET
    document = _document_of(request, given.get("delivery", "")) if may(request, Capability.SEE_TRACES) else ""
    typed = Typed(
        application=given.get("app", "").strip(),
        ip=given.get("ip", "").strip(),
        country=given.get("country", "").strip().upper(),
        digest=given.get("digest", "") or DigestState.VALID.value,
        document=document,
    )
    answer = _admission(request, typed) if typed.ip else None
    return _shown(request, typed, answer=answer, checked=_checked(document) if document else None)


@require_POST
@page(Capability.TRY_OUT)
def check_bxml(request: HttpRequest) -> HttpResponse:
    """Check a document, and show each fault beside its line."""
    document = request.POST.get("document", "").replace("\r\n", "\n")
    typed = Typed(document=document, errors={} if document.strip() else {"document": "Write a document, such as the example."})
    return _shown(request, typed, checked=None if typed.errors else _checked(document))


@require_POST
@page(Capability.TRY_OUT)
def test_webhook(request: HttpRequest) -> HttpResponse:
    """Send a made-up `initiate` to an application's backend, and show what a call would make of the answer."""
    typed = Typed(application=request.POST.get("app", "").strip())
    try:
        application = _application(request, typed.application, VoiceApplication.SECRETS)
        return _shown(request, typed, attempts=webhook_tests.run(application, actor=operator(request)))
    except ValueError as error:
        typed.errors["tested"] = str(error)
    except TooManyRunningError as error:
        typed.errors["tested"] = f"{error} Try again in a few seconds."
    except InvalidToken:
        typed.errors["tested"] = UNREADABLE
    return _shown(request, typed)


def _shown(
    request: HttpRequest,
    typed: Typed,
    *,
    answer: Answer | None = None,
    checked: Checked | None = None,
    attempts: Sequence[Attempt] = (),
) -> HttpResponse:
    choices = application_choices(scope(request))
    return show(
        request,
        "console/pages/bench.html",
        "Bench",
        typed=typed,
        applications=choices if len(choices) <= MAX_APPLICATIONS else (),
        digests=[(state.value, words) for state, words in DIGESTS.items()],
        nobody=NOBODY,
        example=EXAMPLE,
        answer=answer,
        checked=checked,
        attempts=attempts,
        most_lines=MAX_LINES,
        may_see_traces=may(request, Capability.SEE_TRACES),
    )


def _application(request: HttpRequest, text: str, read: Sequence[str] = ()) -> VoiceApplication:
    """Return the application of an id, without its secrets but for those that are to be read; raises ValueError with a sentence."""
    try:
        wanted = UUID(text)
    except ValueError:
        raise ValueError(RULES["app"]) from None
    rows = VoiceApplication.objects.defer(*(name for name in VoiceApplication.SECRETS if name not in read))
    found = of_account(request, rows, "account_id").filter(pk=wanted).first()
    if found is None:
        raise ValueError("There is no such application.")
    return found


def _document_of(request: HttpRequest, delivery: str) -> str:
    """Return the document that was answered to a webhook, "" if there is none."""
    try:
        return newest_document(UUID(delivery), scope(request)) if delivery else ""
    except ValueError:
        return ""


def _admission(request: HttpRequest, typed: Typed) -> Answer | None:
    """Return what would become of the call that was typed; None leaves a sentence for each field that is wrong."""
    application, call = None, None
    try:
        application = _application(request, typed.application)
    except ValueError as error:
        typed.errors["app"] = str(error)
    try:
        call = _imagined(typed)
    except ValueError as error:
        typed.errors["ip"] = str(error)
    if typed.country not in ("", NOBODY, *COUNTRIES):
        typed.errors["country"] = f"Write a country's two letters, such as DE; {NOBODY} is one that nobody knows."
    if application is None or call is None or typed.errors:
        return None
    try:
        return _answer(check(application, call), call.country, is_given=bool(typed.country))
    except VoiceApplication.DoesNotExist:
        typed.errors["app"] = "There is no such application."
        return None


def _imagined(typed: Typed) -> ImaginedCall:
    address = parse_address(typed.ip)
    country = country_of(address) if not typed.country else None if typed.country == NOBODY else typed.country
    known = typed.digest in set(DigestState)
    return ImaginedCall(address, country, DigestState(typed.digest) if known else DigestState.VALID)


def _answer(decision: Decision, country: str | None, *, is_given: bool) -> Answer:
    if decision.outcome is Outcome.ADMIT:
        return Answer(decision, country, is_given, "good", "check_circle", "The call would enter")
    if decision.reason is None:
        return Answer(decision, country, is_given, "doubtful", "help", f"The caller would be asked for its password ({decision.status})")
    # A limit of calls is told by one status, whatever it counts.
    words = EXPLANATIONS[Reason.CAPACITY if decision.status == LIMITED else decision.reason]
    title = f"The call would be refused ({decision.status}): {words.title[0].lower()}{words.title[1:]}"
    return Answer(decision, country, is_given, "bad", "cancel", title, words.cause, words.remedy)


def _checked(document: str) -> Checked:
    found = check_document(document.encode(errors="replace"), "utf-8")
    lines = document.split("\n")
    shown = lines[:MAX_LINES]
    beside = tuple(DocumentLine(number, text, _of_line(found.faults, number)) for number, text in enumerate(shown, 1))
    apart = tuple(_apart(fault) for fault in found.faults if fault.line is None or not 1 <= fault.line <= len(shown))
    return Checked(found, beside, apart, len(lines) > MAX_LINES)


def _of_line(faults: Sequence[Fault], number: int) -> tuple[str, ...]:
    return tuple(fault.description for fault in faults if fault.line == number)


def _apart(fault: Fault) -> str:
    return fault.description if fault.line is None else f"Line {fault.line}: {fault.description}"
