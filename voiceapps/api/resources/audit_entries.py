"""The account's audit trail: who changed what, from where, by which request."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.base import AccountViewSet
from voiceapps.api.openapi import enveloped, operation
from voiceapps.api.wire.forms import ExactTime, parameters
from voiceapps.api.wire.paging import Keyset, PageQuery, answer_page
from voiceapps.models import AuditEntry

IN_ORDER = Keyset(("number",))

EXAMPLE: dict[str, object] = {
    "number": 17,
    "time": "2026-11-22T18:04:31.250113+00:00",
    "actor": "client api-4k2m9x0c1q7w8z5r3t6y2u1p",
    "sourceIp": "198.51.100.42",
    "requestId": "6f0f4e0e-4b4e-4a43-9f4c-6b1f5c1a9d10",
    "action": "application.update",
    "subject": "15f99d57-f823-4718-80cc-5d95d5b83e59",
    "changes": {"name": "Switchboard", "password": "rotated"},
    "before": {"name": "Front desk"},
    "previousDigest": "0b2f6f1f0c7b1a0f5e2a5d9f4a9d4f4f3d7c5c8f8c8e2e5b4a7d6c3b2a190807",
    "digest": "9d1e8f3a6b5c4d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e",
}


class AuditEntryData(serializers.Serializer[Any]):
    """One entry; its digest covers the other fields as sorted JSON without blanks."""

    number = serializers.IntegerField()
    time = ExactTime(source="at")
    actor = serializers.CharField()
    sourceIp = serializers.CharField(source="source_ip", allow_null=True)
    requestId = serializers.CharField(source="request_id", allow_blank=True)
    action = serializers.CharField()
    subject = serializers.CharField()
    changes = serializers.DictField(help_text="What things are now.")
    before = serializers.DictField(help_text="What those were that had a value. The digest covers it unless it is empty.")
    previousDigest = serializers.CharField(source="previous_digest", allow_blank=True)
    digest = serializers.CharField()


class AuditQuery(PageQuery):
    """The filters of the audit trail."""

    action = serializers.CharField(required=False, max_length=64)
    subject = serializers.CharField(required=False, max_length=200, help_text="The id of what was changed.")


class AuditEntryViewSet(AccountViewSet):
    """The entries of an account."""

    scopes: ClassVar[dict[str, str]] = {"GET": "admin"}

    @operation(
        "listAuditEntries",
        tag="Audit",
        answers={200: enveloped("AuditEntriesAnswer", AuditEntryData(many=True))},
        example=[EXAMPLE],
        query=AuditQuery,
        errors=(400, 401, 403, 429),
    )
    def list(self, request: Request, account_id: str) -> Response:
        """List the account's audit entries, the oldest first."""
        query = parameters(request, AuditQuery)
        wanted = {name: query[name] for name in ("action", "subject") if name in query}
        return answer_page(request, query, IN_ORDER, AuditEntry.objects.filter(chain=account_id, **wanted), AuditEntryData)
