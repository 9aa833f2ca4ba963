"""The API's check of BXML documents, by the parser that calls use."""

from __future__ import annotations

from typing import Any, cast

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from callflow.bxml.lint import check
from voiceapps.api.base import ClientViewSet
from voiceapps.api.openapi import enveloped, operation
from voiceapps.api.resources.webhook_tests import BxmlFaultData
from voiceapps.api.wire.body import XmlText
from voiceapps.api.wire.envelope import ok

EXAMPLE: dict[str, object] = {
    "valid": False,
    "verbs": [{"name": "SpeakSentence", "line": 2, "attributes": {"voice": "julie"}}],
    "errors": [{"line": 3, "description": "<Pause> has no attribute 'lenght'."}],
}


REQUEST_EXAMPLE = """<Response>
<SpeakSentence voice="julie">Hello.</SpeakSentence>
<Pause lenght="2"/>
</Response>"""


class TextXml(XmlText):
    """The parser of XML bodies under the older media type (RFC 7303 section 9.2)."""

    media_type = "text/xml"


class CheckedVerbData(serializers.Serializer[Any]):
    """One verb of the document."""

    name = serializers.CharField()
    line = serializers.IntegerField()
    attributes = serializers.DictField(child=serializers.CharField())


class BxmlCheckData(serializers.Serializer[Any]):
    """What a call would make of a document."""

    valid = serializers.BooleanField()
    verbs = CheckedVerbData(many=True)
    errors = BxmlFaultData(source="faults", many=True)  # type: ignore[assignment]  # the wire's name; DRF means something else by it


class BxmlCheckViewSet(ClientViewSet):
    """Checks of documents: nothing is stored, and any valid token is accepted."""

    parser_classes = [XmlText, TextXml]  # noqa: RUF012  # DRF reads it as it is

    @operation(
        "checkBxml",
        tag="BXML",
        request={"application/xml": str},
        request_example=REQUEST_EXAMPLE,
        answers={200: enveloped("BxmlCheckAnswer", BxmlCheckData())},
        example=EXAMPLE,
        errors=(401, 413, 415, 429),
    )
    def create(self, request: Request) -> Response:
        """Check a BXML document: a broken one is answered with 200 too, and each of its faults."""
        # The parsers give bytes; an empty body reaches none of them.
        document, charset = cast(bytes, request.data or b""), (request.content_params or {}).get("charset", "")
        return ok(BxmlCheckData(check(document, charset)).data)
