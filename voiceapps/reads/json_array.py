"""Several columns as one: a JSON array, by which one query reads what has nothing in common.

Django's `JSONObject` names each value in every row, with a cast of each name on PostgreSQL: it takes longer to write than to run.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Func, JSONField


class JsonArray(Func):
    """The values of columns in their order; Python gives them their names again."""

    function = "JSON_ARRAY"
    output_field = JSONField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return the same in PostgreSQL's words."""
        return self.as_sql(compiler, connection, function="JSONB_BUILD_ARRAY", **context)
