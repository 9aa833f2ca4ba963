"""What cannot be taken back: a new password, no SIP URI any more, no application any more. Each says whom it hits, and asks."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from cryptography.fernet import InvalidToken
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from voiceapps.console.base import operator
from voiceapps.console.pages.apps.views import UNREADABLE, Found, find, revealed
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability
from voiceapps.models import VoiceApplication
from voiceapps.rules.inbound_sip import InboundSipPatch, InvalidFields
from voiceapps.rules.whole_numbers import VERSION_DIGITS, whole_number
from voiceapps.services import applications
from voiceapps.services.applications import CallsInProgressError, VersionConflictError


@dataclass(frozen=True, slots=True)
class Order:
    """One of them, in words."""

    question: str
    consequence: str
    button: str
    needs_uri: bool
    patch: InboundSipPatch | None
    """None deletes."""


ORDERS = MappingProxyType(
    {
        "rotate": Order(
            "Make a new SIP password for",
            "A password that was handed out before fails at once: whoever has it is refused until the new one is entered. The URI stays.",
            "Make the new password",
            True,
            InboundSipPatch(password_auth=True),
        ),
        "disable": Order(
            "Disable the SIP URI of",
            "Its SIP URI, password, ranges and regions are forgotten. Enabling it again makes a new URI, which has to be handed out anew.",
            "Disable it",
            True,
            InboundSipPatch(enabled=False),
        ),
        "delete": Order(
            "Delete",
            "The application, its SIP URI and its credentials are gone, and cannot be brought back. Its calls and recordings stay listed.",
            "Delete it",
            False,
            None,
        ),
    }
)


@page(Capability.SEE_APPLICATIONS, Capability.CHANGE_APPLICATIONS)
def order(request: HttpRequest, application_id: UUID, verb: str) -> HttpResponse:
    """Ask whether something is to be done that cannot be taken back, and do it."""
    wanted, found = ORDERS.get(verb), find(request, application_id)
    if wanted is None:
        raise Http404("There is no such order.")
    if wanted.needs_uri and found.head.sip_uri is None:
        messages.info(request, f"{found.head.name} takes no SIP calls.")
        return redirect("console:app", application_id)
    if request.method != "POST":
        return _asked(request, found, verb)
    try:
        return _done(request, found, wanted)
    except CallsInProgressError:
        return _asked(request, find(request, application_id), verb, began=True)
    except VersionConflictError:
        messages.error(request, f"{found.head.name} has changed meanwhile, so nothing was done. Look at it, and order it again.")
    except InvalidFields as error:
        messages.error(request, " ".join(error.errors.values()))
    except InvalidToken:
        messages.error(request, UNREADABLE)
    except VoiceApplication.DoesNotExist:
        raise Http404("It was deleted meanwhile.") from None
    return redirect("console:app", application_id)


def _done(request: HttpRequest, found: Found, wanted: Order) -> HttpResponse:
    """Carry it out on the version that was looked at."""
    version = whole_number(request.POST.get("version", ""), VERSION_DIGITS)
    versions = [] if version is None else [version]
    actor, name = operator(request), found.head.name
    if wanted.patch is None:
        applications.delete(found.row, actor=actor, force=request.POST.get("force") == "true", versions=versions)
        messages.success(request, f"{name} is deleted.")
        return redirect("console:apps")
    changed = applications.update(found.row, {}, wanted.patch, actor=actor, versions=versions)
    if changed.sip_password is None:
        messages.success(request, f"{name} takes no SIP calls any more.")
    return revealed(request, changed)


def _asked(request: HttpRequest, found: Found, verb: str, *, began: bool = False) -> HttpResponse:
    """Return the question; `began` says that calls have begun since it was asked."""
    wanted = ORDERS[verb]
    return show(
        request,
        "console/pages/apps/order.html",
        f"{wanted.question} {found.head.name}",
        head=found.head,
        order=wanted,
        impact=found.head.impact,
        has_to_be_forced=wanted.patch is None and found.head.impact.calls_up > 0,
        began=began,
    )
