"""Pages of records that may be a million: a list shows the newest of them, by an index, and a search finds any by its id.

The rows of a list are bounded before they are filtered, sorted and paged, so that none of it reads more than the bound, and nothing is
counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.paginator import InfinitePaginator

from voiceapps.console.base import ReadOnlyAdmin, of_account

MAX_LISTED = 2_000
"""Rows of a list: each page skips the ones before it."""


class NewestAdmin(ReadOnlyAdmin):
    """The pages of rows that only the system writes, the newest first."""

    newest: ClassVar[tuple[str, str]]
    """The columns of the index that sorts the rows: their time and their key."""
    ids: ClassVar[Mapping[str, str]]
    """What rows are found by: the first letters of an id, and the look-up, which an index serves."""
    paginator = InfinitePaginator
    most_listed = MAX_LISTED
    search_help_text = "A whole id."
    list_before_template = "console/newest.html"

    def get_ordering(self, _request: HttpRequest) -> list[str]:
        """Return the order of the index."""
        return [f"-{column}" for column in self.newest]

    def get_search_fields(self, _request: HttpRequest) -> list[str]:
        """Return what is searched."""
        return list(self.ids.values())

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """Return the rows of the list: those of an id, or else the newest."""
        term = search_term.strip()
        return queryset.filter(self.found_by(term) if term else self.newest_of(request)), False

    def found_by(self, term: str) -> Q:
        """Return the condition that a row has an id, or belongs to what has it."""
        looked_up = next((lookup for first, lookup in self.ids.items() if term.startswith(first)), None)
        return Q(**{looked_up: term}) if looked_up else Q(pk__in=[])

    def newest_of(self, request: HttpRequest) -> Q:
        """Return the condition that a row is one of the operator's newest."""
        time = self.newest[0]
        rows = of_account(request, self.model._default_manager.all(), self.account).order_by(*self.get_ordering(request))
        last = list(rows.values_list(time, flat=True)[MAX_LISTED : MAX_LISTED + 1])
        return Q(**{f"{time}__gt": last[0]}) if last else Q()
