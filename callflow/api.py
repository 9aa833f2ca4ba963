"""What of the API reads BXML documents, by the parser that calls use: the check of one, and another one for a call that goes on."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from callflow.bxml import BxmlError, parse_document
from callflow.bxml.lint import check
from voiceapps.api.base import ClientViewSet
from voiceapps.api.callcontrol.base import CALLS_TAG, CallControlViewSet
from voiceapps.api.callcontrol.orders import CHANGE_ERRORS, order
from voiceapps.api.openapi import enveloped, operation
from voiceapps.api.resources.webhook_tests import BxmlFaultData
from voiceapps.api.wire.body import XmlText
from voiceapps.api.wire.envelope import ok
from voiceapps.api.wire.errors import Problem, ProblemError
from voiceapps.rules.call_orders import OrderKind

EXAMPLE: dict[str, object] = {
    "valid": False,
    "verbs": [{"name": "SpeakSentence", "line": 2, "attributes": {"voice": "julie"}}],
    "errors": [{"line": 3, "description": "<Pause> has no attribute 'lenght'."}],
}


REQUEST_EXAMPLE = """<Response>
<SpeakSentence voice="julie">Hello.</SpeakSentence>
<Pause lenght="2"/>
</Response>"""

DOCUMENT_EXAMPLE = """<Bxml>
<StopRecording/>
<SpeakSentence>Your agent is here.</SpeakSentence>
</Bxml>"""


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
        return ok(BxmlCheckData(check(*_document_of(request))).data)


class CallDocumentViewSet(CallControlViewSet):
    """The document of a call that goes on."""

    parser_classes = [XmlText, TextXml]  # noqa: RUF012  # DRF reads it as it is
    scopes: ClassVar[dict[str, str]] = {"PUT": "calls:write"}

    @operation(
        "updateCallBxml",
        tag=CALLS_TAG,
        request={"application/xml": str},
        request_example=DOCUMENT_EXAMPLE,
        answers={204: None},
        errors=(*CHANGE_ERRORS, 413),
        shape="call control",
    )
    def replace(self, request: Request, account_id: str, call_id: str) -> Response:
        """Have a call leave its document and run this one; relative URLs in it mean what they meant in the document before."""
        document, charset = _document_of(request)
        try:
            parse_document(document, charset)
        except BxmlError as error:
            raise ProblemError(Problem(400, f"Invalid BXML: {error}")) from None
        order(account_id, call_id, OrderKind.DOCUMENT, {"bxml": document.decode("latin-1"), "charset": charset})
        return Response(status=204)


def _document_of(request: Request) -> tuple[bytes, str]:
    """Return the body and the character set of its Content-Type; an empty body reaches no parser."""
    return cast(bytes, request.data or b""), (request.content_params or {}).get("charset", "")
