"""Keyset pagination: every page costs the same, and rows that are added or deleted do not shift later pages.

The cursor holds the sort values of the last row of a page. It is opaque to clients, and forging one gains nothing, since every
query is restricted to the client's account.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Field, Model, Q, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.wire.envelope import Link, link, ok
from voiceapps.api.wire.errors import bad

DEFAULT_LIMIT, MAX_LIMIT, MAX_CURSOR = 100, 1000, 1024

M = TypeVar("M", bound=Model)


class PageQuery(serializers.Serializer[Any]):
    """The parameters that every list takes."""

    limit = serializers.IntegerField(
        required=False, default=DEFAULT_LIMIT, min_value=1, max_value=MAX_LIMIT, help_text="Entries of one page."
    )
    afterCursor = serializers.CharField(
        required=False, max_length=MAX_CURSOR, help_text="Where the page before ended; take it from its link `next`."
    )


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """One page and the cursor of the next one, None after the last page."""

    rows: Sequence[M]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Keyset:
    """The order of a list: fields of which the last one is unique, all ascending or all descending."""

    fields: tuple[str, ...]
    descending: bool = False

    def page(self, rows: QuerySet[M], *, limit: int, cursor: str | None) -> Page[M]:
        """Return a page; raises ProblemError for an invalid cursor."""
        sign = "-" if self.descending else ""
        rows = rows.order_by(*(sign + name for name in self.fields))
        if cursor is not None:
            rows = rows.filter(self._after(self._values(rows.model, cursor)))
        found = list(rows[: limit + 1])
        shown = found[:limit]
        return Page(shown, self.cursor(shown[-1]) if len(found) > limit else None)

    def cursor(self, row: Model) -> str:
        """Return the cursor of the page after a row."""
        values = [getattr(row, name) for name in self.fields]
        return base64.urlsafe_b64encode(json.dumps(values, default=str).encode()).decode().rstrip("=")

    def _after(self, values: Sequence[Any]) -> Q:
        beyond = "lt" if self.descending else "gt"
        # The first condition is implied by the others; it has a form that an index can serve.
        after = Q(**{f"{self.fields[0]}__{beyond}e": values[0]})
        choices = Q()
        for index, name in enumerate(self.fields):
            same = dict(zip(self.fields[:index], values, strict=False))
            choices |= Q(**same, **{f"{name}__{beyond}": values[index]})
        return after & choices

    def _values(self, model: type[Model], cursor: str) -> list[Any]:
        try:
            texts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            if not isinstance(texts, list) or len(texts) != len(self.fields) or not all(isinstance(text, str | int) for text in texts):
                raise ValueError
            values = [_value(model, name, text) for name, text in zip(self.fields, texts, strict=True)]
            if None in values or any(isinstance(value, str) and "\0" in value for value in values):
                raise ValueError
        except (ValueError, TypeError, OverflowError, binascii.Error, RecursionError, ValidationError):
            raise bad("parameter", "afterCursor", "Not a cursor of this list.") from None
        return values


def _value(model: type[Model], name: str, text: str | int) -> Any:
    column = model._meta.get_field(name)
    assert isinstance(column, Field)  # lists are sorted by columns of their own
    value = column.to_python(text)
    # A time that the database could not store overflows here.
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def answer_page(
    request: Request, query: Mapping[str, Any], keyset: Keyset, rows: QuerySet[M], data: type[serializers.Serializer[Any]]
) -> Response:
    """Return the page that a `PageQuery` asks for, with each row rendered by `data`; raises ProblemError."""
    page = keyset.page(rows, limit=query["limit"], cursor=query.get("afterCursor"))
    return ok(data(page.rows, many=True).data, links=_page_links(request, page))


def _page_links(request: Request, page: Page[Any]) -> list[Link]:
    """Return the link `self` and, unless this is the last page, `next`."""
    here = settings.PUBLIC_URL + request.path
    links = [link("self", settings.PUBLIC_URL + request.get_full_path())]
    if page.next_cursor:
        query = request.query_params.copy()
        query["afterCursor"] = page.next_cursor
        links.append(link("next", f"{here}?{query.urlencode()}"))
    return links
