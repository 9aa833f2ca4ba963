"""openapi.json is a contract: it changes by `make openapi` only."""

from __future__ import annotations

import json
import re
from pathlib import Path

from django.test import Client

SNAPSHOT = Path(__file__).parents[2] / "openapi.json"


def test_the_committed_description_is_served(client: Client) -> None:
    served = client.get("/openapi.json", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert json.loads(served.content) == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_every_operation_and_every_error_has_an_example() -> None:
    bare = []
    for path, methods in json.loads(SNAPSHOT.read_text(encoding="utf-8"))["paths"].items():
        for method, operation in methods.items():
            assert operation["operationId"]
            assert operation["tags"]
            content = {"request": operation.get("requestBody", {})} | operation["responses"]
            for part, described in content.items():
                kinds = [kind for kind in described.get("content", {}) if not kind.startswith("audio/")]
                bare += [(method, path, part) for kind in kinds[:1] if not described["content"][kind].get("examples")]
    assert bare == []


def test_its_pages_load_nothing_from_elsewhere(client: Client) -> None:
    for page in ("/docs/api", "/docs/redoc"):
        answer = client.get(page)
        html = answer.content.decode()
        assert "default-src 'self'" in answer["Content-Security-Policy"]
        assert re.findall(r'(?:src|href)="(?:https?:)?//[^"]*"', html) == []
