"""Base classes of the console's pages of records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn, TypeVar

from django.contrib.admin.utils import lookup_spawns_duplicates, unquote
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from unfold.admin import ModelAdmin

from voiceapps.console.roles import Capability, may, scope
from voiceapps.reads.audit_report import AuditPage, Wanted, audit_page
from voiceapps.rules.diagnosis.visible import visible
from voiceapps.rules.whole_numbers import KEY_DIGITS, whole_number
from voiceapps.services.audit import Actor

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Tab:
    """One of the pages about a row."""

    title: str
    link: str
    is_open: bool


class ConsoleAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold ships no types
    """A page whose writes go through services, for operators with its capabilities, of the rows of their account."""

    sees: Capability
    adds: Capability | None = None
    changes: Capability | None = None
    deletes: Capability | None = None
    account = ""
    """Where a row names its account, as a look-up; empty where rows belong to none, and operators who are bound to one see nothing."""
    audited: tuple[str, str] | None = None
    """How the actions on such rows begin in the audit trail, and the field that they name a row by; None where there are none."""
    needs: ClassVar[Mapping[str, Capability]] = MappingProxyType({})
    """Columns and fields that ask for a capability of their own."""
    list_per_page = 50
    show_full_result_count = False
    list_fullwidth = True
    compressed_fields = True
    change_form_outer_before_template = "console/record_tabs.html"
    unread: tuple[str, ...] = ()
    """The encrypted fields of the rows, and of what they are listed with."""

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the operator's rows without what is encrypted: one that no key opens would spoil the list."""
        return of_account(request, super().get_queryset(request).defer(*self.unread), self.account)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may open the list."""
        return may(request, self.sees)

    def has_view_permission(self, request: HttpRequest, _obj: Model | None = None) -> bool:
        """Return whether the operator may open the page."""
        return may(request, self.sees)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may add rows."""
        return self.adds is not None and may(request, self.adds)

    def has_change_permission(self, request: HttpRequest, _obj: Model | None = None) -> bool:
        """Return whether the operator may change rows."""
        return self.changes is not None and may(request, self.changes)

    def has_delete_permission(self, request: HttpRequest, _obj: Model | None = None) -> bool:
        """Return whether the operator may delete rows."""
        return self.deletes is not None and may(request, self.deletes)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns that the operator may see."""
        return self._allowed(request, super().get_list_display(request))

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Return the columns that the operator may search: a search tells what a column holds."""
        return self._allowed(request, super().get_search_fields(request))

    def get_exclude(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Return the fields that are not shown, with those that the operator may not see."""
        return [*(super().get_exclude(request, obj) or ()), *(name for name in self.needs if not self._allowed(request, [name]))]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Return whether the list may be filtered by a query of this name."""
        allowed: bool = super().lookup_allowed(lookup, value, request)
        return allowed and bool(self._allowed(request, [lookup.partition("__")[0]]))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Return the field of a form; where it names an account, only the operator's own."""
        bound = scope(request)
        if bound is not None and db_field.name == self.account.removesuffix("_id"):
            options["queryset"] = db_field.related_model.objects.filter(pk=bound)
        return super().formfield_for_foreignkey(db_field, request, **options)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, in which strangers' text is as a person may look at it."""
        listed = super().get_changelist_instance(request)
        for row in listed.result_list:
            make_visible(row)
        return listed

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> Any:
        """Return the page of a row, with the tabs of what is known of it."""
        row = options.get("obj")
        if row is not None:
            context = {**context, "tabs": self._tabs(request, row)}
        return super().render_change_form(request, context, *args, **options)

    def history_view(self, request: HttpRequest, object_id: str, _extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Return a row's part of the audit trail, which is the one log of changes; 404 where that tells of no such rows."""
        if self.audited is None:
            raise Http404("The audit trail tells nothing of it.")
        if not (may(request, self.sees) and may(request, Capability.SEE_AUDIT)):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id}.")
        below = whole_number(request.GET.get("below", ""), KEY_DIGITS)
        trail = self.trail(request, row, below)
        shown = {"title": visible(str(row)), "tabs": self._tabs(request, row, is_log=True), "trail": trail, "is_first": below is None}
        return render(request, "console/record_log.html", {**self.admin_site.each_context(request), **shown})

    def trail(self, request: HttpRequest, row: Any, below: int | None) -> AuditPage:
        """Return a page of a row's part of the audit trail."""
        kind, name = self.audited or ("", "pk")  # `history_view` has asked
        return audit_page(Wanted(scope(request), subject=getattr(row, name), kind=kind, below=below))

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Write nothing, and return None: the service has audited it."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Write nothing, and return None: the service has audited it."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Write nothing, and return None: the service has audited it."""

    def _tabs(self, request: HttpRequest, row: Model, *, is_log: bool = False) -> tuple[Tab, ...]:
        """Return the row's page and its part of the audit trail; nothing where there is no choice."""
        if self.audited is None or not may(request, Capability.SEE_AUDIT):
            return ()
        views = (("Record", "change", not is_log), ("Change log", "history", is_log))
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        return tuple(Tab(title, reverse(f"{name}_{view}", args=[row.pk]), is_open) for title, view, is_open in views)

    def _allowed(self, request: HttpRequest, names: Any) -> list[Any]:
        return [name for name in names if name not in self.needs or may(request, self.needs[name])]

    def _get_obj_does_not_exist_redirect(self, _request: HttpRequest, _opts: Any, object_id: str) -> NoReturn:
        """Answer 404 for a row that is not there, or not the operator's; Django would go elsewhere and say so."""
        raise Http404(f"There is no {self.opts.verbose_name} {object_id}.")


class ReadOnlyAdmin(ConsoleAdmin):
    """A page of rows that only the system writes."""

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return every field but the excluded ones."""
        hidden = set(self.get_exclude(request, obj))
        names = [*(field.name for field in self.opts.fields), *self.readonly_fields]
        return [name for name in names if name not in hidden]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return a row in which strangers' text is as a person may look at it: nothing stores it again."""
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            make_visible(row)
        return row


def make_visible(row: Model) -> None:
    """Replace what acts or hides in the texts that were read of a row, and of those that were read with it; it must not be stored."""
    for one in (row, *row._state.fields_cache.values()):
        if one is not None:
            vars(one).update({name: visible(value) for name, value in vars(one).items() if isinstance(value, str)})


def of_account(request: HttpRequest, rows: QuerySet[Row], lookup: str) -> QuerySet[Row]:
    """Return the rows of the account that the operator is bound to, all for one who is not; none without a `lookup` of the account."""
    bound = scope(request)
    if bound is None:
        return rows
    if not lookup:
        return rows.none()
    mine = rows.filter(**{lookup: bound})
    return mine.distinct() if lookup_spawns_duplicates(rows.model._meta, lookup) else mine


def operator(request: HttpRequest) -> Actor:
    """Return the operator of a request as the actor for the audit trail."""
    return acting(request, request.user.get_username())


def person(request: HttpRequest) -> User:
    """Return the user of a request that a view has let in; raises PermissionDenied for a stranger."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def acting(request: HttpRequest, name: str) -> Actor:
    """Return a person as the actor who is not logged in yet."""
    return Actor(f"operator {name}", request.META.get("REMOTE_ADDR"), request.META.get("HTTP_X_REQUEST_ID", ""))
