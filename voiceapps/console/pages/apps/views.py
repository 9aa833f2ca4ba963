"""The page of one application: its form, what a customer needs to call it, its trials and its changes; and the page that makes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from cryptography.fernet import InvalidToken
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from voiceapps.console.access import once
from voiceapps.console.base import operator
from voiceapps.console.filters import SIGNS
from voiceapps.console.pages.apps.form import ApplicationForm, entries, masked, range_errors, region_groups
from voiceapps.console.pages.apps.meanwhile import OPENED, Changed, read_stamp, reconcile, stamp
from voiceapps.console.pages.apps.setup import sheet
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may, scope
from voiceapps.models import Account, VoiceApplication
from voiceapps.reads import audit_report
from voiceapps.reads.applications.listed import accounts_of
from voiceapps.reads.applications.one import ApplicationHead, read_application
from voiceapps.reads.applications.placed import placed_lines
from voiceapps.rules.cidr import MAX_SOURCE_RANGES
from voiceapps.rules.inbound_sip import InvalidFields
from voiceapps.services import applications
from voiceapps.services.applications import TooManyApplicationsError, VersionConflictError
from voiceapps.services.trials.webhook_tests import Attempt

UNREADABLE = "No key in SIPURI_FIELD_KEYS opens the passwords of this application's callbacks, so it can be neither changed nor tried."
CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab of the page."""

    name: str
    title: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class Found:
    """An application as it is now."""

    head: ApplicationHead
    row: VoiceApplication


@page(Capability.SEE_APPLICATIONS)
def application(request: HttpRequest, application_id: UUID) -> HttpResponse:
    """Return the page with the tab that `tab` of the query names, or save the form."""
    found = find(request, application_id)
    if request.method != "POST":
        return opened(request, found, tab=request.GET.get("tab", ""))
    if not may(request, Capability.CHANGE_APPLICATIONS):
        raise PermissionDenied
    return _save(request, found)


@page(Capability.SEE_APPLICATIONS, Capability.CHANGE_APPLICATIONS)
def new(request: HttpRequest) -> HttpResponse:
    """Return the form of a new application, or make it."""
    bound, row = scope(request), VoiceApplication()
    if request.method != "POST":
        form = ApplicationForm(row=row)
        form.initial["enabled"] = True
        return _new(request, form)
    form = ApplicationForm(request.POST, row=row)
    account_id = request.POST.get("account", "").strip() if bound is None else bound
    account = Account.objects.filter(pk=account_id).first() if account_id.isascii() and "\0" not in account_id else None
    if account is None:
        return _new(request, form, "There is no such account.")
    if form.is_valid():
        try:
            made = applications.create(account, form.settings(), form.patch(), actor=operator(request))
        except InvalidFields as error:
            form.blame(error.errors)
        except TooManyApplicationsError as error:
            return _new(request, form, str(error))
        else:
            messages.success(request, f"{made.application.name} is made.")
            return revealed(request, made)
    return _new(request, form)


@page(Capability.CHANGE_APPLICATIONS)
def password(request: HttpRequest, application_id: UUID) -> HttpResponse:
    """Show a new SIP password, once."""
    found = find(request, application_id)
    secret = once.take(request, _password_of(application_id))
    context = {"head": found.head, "sheet": sheet(found.row, secret) if secret else None, "may_try": may(request, Capability.TRY_OUT)}
    return once.unstored(show(request, "console/pages/apps/password.html", "SIP password", **context))


@require_POST
@page(Capability.CHANGE_APPLICATIONS)
def ranges(request: HttpRequest) -> HttpResponse:
    """Say of each range that is being typed which rule it breaks."""
    given = entries(request.POST.get("text", ""))
    try:
        errors = range_errors(request.POST.get("of", ""), given)
    except KeyError:
        raise Http404("That field has no ranges.") from None
    return once.unstored(render(request, "console/pages/apps/ranges.html", {"errors": errors[: MAX_SOURCE_RANGES * 2], "given": given}))


def find(request: HttpRequest, application_id: UUID) -> Found:
    """Return an application that the operator may see; raises Http404."""
    found = read_application(application_id, scope(request), timezone.now())
    if found is None:
        raise Http404("There is no such application.")
    return Found(*found)


def opened(
    request: HttpRequest,
    found: Found,
    *,
    tab: str,
    form: ApplicationForm | None = None,
    meanwhile: tuple[Changed, ...] | None = None,
    attempts: tuple[Attempt, ...] = (),
) -> HttpResponse:
    """Return the page with one tab, and what came of what was ordered there."""
    tabs = _tabs(request, tab)
    name = next(one.name for one in tabs if one.is_open)
    context: dict[str, object] = {"meanwhile": meanwhile, "attempts": attempts, **_settings(request, found, form, name)}
    if name == "setup":
        context["sheet"] = sheet(found.row)
    elif name == "trials":
        context["placed"] = [(line, SIGNS[line.finding.level] if line.finding else "") for line in placed_lines(found.row.pk)]
    elif name == "log":
        # Its id is nobody else's, so the account need not be asked for.
        wanted = audit_report.Wanted(None, subject=str(found.head.application_id))
        context["trail"] = audit_report.audit_page(wanted)
    answer = show(
        request,
        "console/pages/apps/page.html",
        found.head.name,
        head=found.head,
        tabs=tabs,
        tab=name,
        tab_template=f"console/pages/apps/{name}.html",
        may_change=may(request, Capability.CHANGE_APPLICATIONS),
        may_see_calls=may(request, Capability.SEE_CALLS),
        may_see_refusals=may(request, Capability.SEE_REFUSALS),
        **context,
    )
    answer.status_code = 200 if meanwhile is None else CONFLICT
    return answer


def revealed(request: HttpRequest, changed: applications.Changed) -> HttpResponse:
    """Go to the page that shows a new password once, if there is one, or else to the application's."""
    if changed.sip_password is None:
        return redirect("console:app", changed.application.pk)
    once.keep(request, _password_of(changed.application.pk), changed.sip_password)
    return redirect("console:app_password", changed.application.pk)


def _save(request: HttpRequest, found: Found) -> HttpResponse:
    was = read_stamp(request.POST.get(OPENED, ""), found.row)
    if was.version != found.row.version:
        return _told(request, found)
    form = ApplicationForm(request.POST, row=found.row)
    if form.is_valid():
        try:
            changed = applications.update(found.row, form.settings(), form.patch(), actor=operator(request), versions=[was.version])
        except InvalidFields as error:
            form.blame(error.errors)
        except VersionConflictError:
            return _told(request, find(request, found.head.application_id))
        except VoiceApplication.DoesNotExist:
            raise Http404("It was deleted meanwhile.") from None
        except InvalidToken:
            form.add_error(None, UNREADABLE)
        else:
            messages.success(request, "Nothing has changed." if changed.application.version == was.version else "The changes are saved.")
            return revealed(request, changed)
    return opened(request, found, tab="settings", form=form)


def _told(request: HttpRequest, found: Found) -> HttpResponse:
    """Return the form with what somebody else has changed since it was opened."""
    form, meanwhile = reconcile(request.POST, read_stamp(request.POST.get(OPENED, ""), found.row), found.row)
    return opened(request, found, tab="settings", form=form, meanwhile=meanwhile)


def _new(request: HttpRequest, form: ApplicationForm, account_error: str = "") -> HttpResponse:
    bound = scope(request)
    return show(
        request,
        "console/pages/apps/new.html",
        "New application",
        form=form,
        regions=region_groups(form),
        account=bound or request.POST.get("account", request.GET.get("account", "")),
        accounts=accounts_of(bound),
        is_bound=bound is not None,
        account_error=account_error,
        may_change=True,
    )


def _settings(request: HttpRequest, found: Found, form: ApplicationForm | None, tab: str) -> Mapping[str, object]:
    """Return the form of the settings, where they are shown; who may not change them sees no secret in a URL."""
    if tab != "settings":
        return {}
    if not may(request, Capability.CHANGE_APPLICATIONS):
        form = masked(found.row)
    form = form or ApplicationForm(row=found.row)
    return {"form": form, "regions": region_groups(form), "stamp": stamp(found.row)}


def _tabs(request: HttpRequest, wanted: str) -> tuple[Tab, ...]:
    titles = {"settings": "Settings", "setup": "Set up a client"}
    if may(request, Capability.TRY_OUT):
        titles["trials"] = "Try it"
    if may(request, Capability.SEE_AUDIT):
        titles["log"] = "Change log"
    chosen = wanted if wanted in titles else "settings"
    return tuple(Tab(name, title, name == chosen) for name, title in titles.items())


def _password_of(application_id: object) -> str:
    return f"SIP password of {application_id}"
