"""Statements that are built once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import CharField, Count, DateTimeField, F, Value
from django.db.models.sql.compiler import SQLCompiler
from pytest_django import DjangoAssertNumQueries

from tests.unit.voiceapps.test_figures import NOW
from voiceapps.models import Node
from voiceapps.reads.json_array import JsonArray
from voiceapps.reads.prepared import Asked, Prepared

pytestmark = pytest.mark.django_db


@pytest.fixture
def nodes() -> list[Node]:
    made = (Node(name=f"n{number}", role="callflow", state="up", load=number, seen_at=NOW + timedelta(hours=number)) for number in range(4))
    return Node.objects.bulk_create(made)


def _since() -> Any:
    return Node.objects.filter(seen_at__gte=Asked("since", DateTimeField()), role=Asked("role", CharField())).order_by("name")


def test_rows_are_those_of_the_queryset_with_other_values_each_time(
    nodes: list[Node], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    statement = Prepared(_since().values_list("name", "seen_at", JsonArray("load", "name")))
    for number in (0, 2, 3):
        with django_assert_num_queries(1):
            found = list(statement.rows(since=nodes[number].seen_at, role="callflow"))
        assert found == [(one.name, one.seen_at, [one.load, one.name]) for one in nodes[number:]]
    assert list(statement.rows(since=datetime(2020, 1, 1, tzinfo=UTC), role="' OR 1=1 --")) == []


def test_parts_of_a_union_have_places_of_their_own(nodes: list[Node]) -> None:
    counted = _since().order_by().values(all_=Value("all")).annotate(count=Count("pk")).values_list("all_", "count")
    loads = Node.objects.filter(seen_at__lt=Asked("until", DateTimeField())).order_by().values_list("name", F("load"))
    statement = Prepared(counted.union(loads, all=True))
    found = statement.rows(since=nodes[1].seen_at, role="callflow", until=nodes[2].seen_at)
    assert sorted(found) == [("all", 3), ("n0", 0), ("n1", 1)]


def test_it_is_built_once(nodes: list[Node], monkeypatch: pytest.MonkeyPatch) -> None:
    built, as_sql = [], SQLCompiler.as_sql

    def build(compiler: SQLCompiler, *arguments: Any, **options: Any) -> Any:
        built.append(compiler)
        return as_sql(compiler, *arguments, **options)

    monkeypatch.setattr(SQLCompiler, "as_sql", build)
    statement = Prepared(_since().values_list("name"))
    for _ in range(3):
        assert len(list(statement.rows(since=NOW, role="callflow"))) == 4
    assert len(built) == 1


def test_a_place_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="since"):
        Prepared(_since().values_list("name")).rows(role="callflow")
