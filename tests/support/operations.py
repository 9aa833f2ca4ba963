"""Every operation that openapi.json describes, each with a request that should succeed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.api import ApiCustomer

DESCRIPTION = json.loads((Path(__file__).parents[2] / "openapi.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Operation:
    """One operation with a request that should succeed."""

    name: str
    method: str
    path: str
    scope: str
    media_type: str
    body: Any

    def url(self, objects: dict[str, str]) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: objects[match[1]], self.path)


def _operations() -> list[Operation]:
    found = []
    for path, methods in DESCRIPTION["paths"].items():
        for method, described in methods.items():
            if not any("oauth2" in way for way in described.get("security", [])):
                continue
            content = described.get("requestBody", {}).get("content", {})
            media_type = next(iter(content), "")
            examples = content.get(media_type, {}).get("examples", {})
            body = next(iter(examples.values()))["value"] if examples else None
            scope = next(iter(described["security"][0]["oauth2"]), "")
            found.append(Operation(described["operationId"], method.upper(), path, scope, media_type, body))
    return found


OPERATIONS = _operations()


def send(customer: ApiCustomer, operation: Operation, objects: dict[str, str], token: str | None = None) -> Any:
    headers = {} if token == "" else {"Authorization": f"Bearer {token or customer.token}"}
    body = operation.body
    if operation.body is not None:
        # Whatever an example names has to exist: the account that the credential is for.
        body = json.dumps(body).replace("9900000", customer.account_id) if operation.media_type == "application/json" else body
        return customer.http.generic(operation.method, operation.url(objects), body, content_type=operation.media_type, headers=headers)
    return customer.http.generic(operation.method, operation.url(objects), headers=headers)
